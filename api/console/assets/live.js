// Keeps a page up to date: listens for news of what it shows, then asks for the page again and puts
// what has changed (`data-live`) in its place. Focus, scroll and what is unfolded stay.
// Without this script the page shows the same; it just has to be reloaded.
"use strict";

(() => {
  const GATHER_MS = 250; // news come in bursts: one refresh for all of them
  const REST_MS = 500; // at least, between two of them
  const LEAST_MS = 30_000; // ages move on without news
  const liveness = document.getElementById("liveness");
  const { device, compound } = liveness.dataset;
  let waiting = null;
  let asking = false;
  let again = false;
  let asked = -REST_MS;

  async function refresh() {
    waiting = null;
    if (asking) {
      again = true;
      return;
    }
    asking = true;
    asked = performance.now();
    try {
      const answer = await fetch(location.href, {
        credentials: "same-origin",
        redirect: "manual",
        headers: { Accept: "text/html" },
        signal: AbortSignal.timeout(10_000),
      });
      if (answer.type === "opaqueredirect" || answer.status === 401) {
        location.reload(); // the login is over
        return;
      }
      if (answer.ok) replace(await answer.text());
    } catch {
      // The old figures stay until new ones are there; the stream says that it is interrupted.
    } finally {
      asking = false;
      if (again) {
        again = false;
        soon();
      }
    }
  }

  function replace(html) {
    const fresh = new DOMParser().parseFromString(html, "text/html");
    const focused = document.activeElement;
    const href = focused === null ? null : focused.getAttribute("href");
    for (const part of fresh.querySelectorAll("[data-live]")) {
      const old = document.querySelector(`[data-live="${part.dataset.live}"]`);
      if (old === null || isHeld(old)) continue;
      for (const one of part.querySelectorAll("details[data-keep]")) {
        const was = old.querySelector(`details[data-keep="${CSS.escape(one.dataset.keep)}"]`);
        if (was !== null) one.open = was.open;
      }
      if (old.outerHTML === part.outerHTML) continue;
      const keep = summaryOf(old, focused);
      old.replaceWith(document.adoptNode(part));
      if (keep !== null) {
        const summary = part.querySelector(`details[data-keep="${CSS.escape(keep)}"] > summary`);
        summary?.focus({ preventScroll: true });
      }
    }
    if (href !== null && !document.contains(focused)) {
      const same = `main a[href="${CSS.escape(href)}"]`;
      document.querySelector(same)?.focus({ preventScroll: true });
    }
  }

  // What somebody is just marking, or writing into, is left to them until the next time.
  function isHeld(part) {
    const marked = getSelection();
    if (marked.type === "Range" && marked.containsNode(part, true)) return true;
    const focused = document.activeElement;
    return part.contains(focused) && focused.matches("input, select, textarea");
  }

  function summaryOf(part, focused) {
    if (!part.contains(focused) || !focused.matches("summary")) return null;
    return focused.parentElement.dataset.keep ?? null;
  }

  function soon() {
    if (waiting !== null || document.hidden) return;
    const rest = asked + REST_MS - performance.now();
    waiting = setTimeout(refresh, Math.max(GATHER_MS, rest));
  }

  function concerns(event) {
    const news = JSON.parse(event.data);
    if (compound) return news.compound === compound;
    return news.device === device || news.compound === liveness.dataset.within;
  }

  function say(word) {
    if (liveness.textContent !== word) liveness.textContent = word;
  }

  say(liveness.dataset.waitWord);
  const news = new EventSource(
    "/v1/stream" + (device ? `?device=${encodeURIComponent(device)}` : ""),
  );
  news.addEventListener("ready", () => say(liveness.dataset.liveWord));
  for (const event of ["fault", "device"]) {
    news.addEventListener(event, (told) => concerns(told) && soon());
  }
  for (const event of ["heard", "platform", "reset"]) news.addEventListener(event, soon);
  news.addEventListener("open", () => {
    say(liveness.dataset.liveWord);
    soon();
  });
  news.addEventListener("error", () => say(liveness.dataset.lostWord));
  setInterval(soon, LEAST_MS);
  document.addEventListener("visibilitychange", soon);
})();
