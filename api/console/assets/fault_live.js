// Keeps the page of one fault up to date, and counts down to its next limit. What somebody is
// writing or answering is left as it is. Without it the page shows the same; it is reloaded.
"use strict";

(() => {
  const GATHER_MS = 350; // an action is told in a burst: the move, then who is told of it
  const APART_MS = 1_000;
  const LEAST_MS = 15_000;
  const liveness = document.getElementById("liveness");
  const fault = document.querySelector(".fault-head").dataset.fault;
  let waiting = null;
  let asking = false;
  let asked = -Infinity;
  let ahead = 0; // of this clock, ms

  function isBusy(old) {
    if (old.contains(document.querySelector(":popover-open"))) return true;
    if (old.contains(document.activeElement) && document.activeElement !== document.body) return true;
    return [...old.querySelectorAll("textarea, input[name=assignee]")].some(
      (field) => field.value !== field.defaultValue,
    );
  }

  async function refresh() {
    waiting = null;
    if (asking) {
      soon();
      return;
    }
    asking = true;
    asked = performance.now();
    try {
      const answer = await fetch(`/faults/${encodeURIComponent(fault)}`, {
        credentials: "same-origin",
        redirect: "manual",
        headers: { Accept: "text/html" },
        signal: AbortSignal.timeout(10_000),
      });
      if (answer.type === "opaqueredirect" || answer.status === 401) {
        location.reload(); // the login is over
        return;
      }
      if (answer.ok) show(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch {
      // What is there stays; the stream says that it is interrupted.
    } finally {
      asking = false;
    }
  }

  function show(fresh) {
    for (const one of fresh.querySelectorAll("main [data-live]")) {
      const old = document.querySelector(`main [data-live="${one.dataset.live}"]`);
      if (old === null || old.innerHTML === one.innerHTML || isBusy(old)) continue;
      old.innerHTML = one.innerHTML;
    }
    const severity = fresh.querySelector(".fault-head")?.dataset.severity;
    if (severity) document.querySelector(".fault-head").dataset.severity = severity;
    set();
  }

  function set() {
    const due = document.querySelector("[data-due]");
    if (due !== null) ahead = Date.now() - Number(due.dataset.now);
  }

  function tick() {
    const due = document.querySelector("[data-due]");
    const figure = due?.querySelector("b");
    if (!figure) return;
    const left = Math.floor((Number(due.dataset.due) - (Date.now() - ahead)) / 1000);
    if (left < 0) {
      soon(); // it is late: the server says how that is told
      return;
    }
    const text = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    if (figure.textContent !== text) figure.textContent = text;
  }

  function soon() {
    if (waiting !== null || document.hidden) return;
    const since = performance.now() - asked;
    waiting = setTimeout(refresh, Math.max(GATHER_MS, APART_MS - since));
  }

  function say(word) {
    if (liveness.textContent !== word) liveness.textContent = word;
  }

  set();
  setInterval(tick, 500);
  say(liveness.dataset.waitWord);
  const news = new EventSource("/v1/stream");
  news.addEventListener("ready", () => say(liveness.dataset.liveWord));
  news.addEventListener("fault", (event) => {
    if (JSON.parse(event.data).fault === fault) soon();
  });
  for (const event of ["platform", "reset"]) news.addEventListener(event, soon);
  news.addEventListener("open", () => {
    say(liveness.dataset.liveWord);
    soon();
  });
  news.addEventListener("error", () => say(liveness.dataset.lostWord));
  setInterval(soon, LEAST_MS);
  document.addEventListener("visibilitychange", soon);
})();
