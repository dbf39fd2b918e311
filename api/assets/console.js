// Keeps the overview up to date: listens for news, then asks the server for the parts that change.
// Without this script the page shows the same; it just has to be reloaded.
"use strict";

const GATHER_MS = 700; // news come in bursts: one refresh for all of them
const LEAST_MS = 15_000; // ages and countdowns move on without news
const main = document.getElementById("main");
const liveness = document.getElementById("liveness");
const find = document.getElementById("find");
let waiting = null;
let asking = false;
let again = false;

document.documentElement.classList.add("scripted-page");

async function refresh() {
  waiting = null;
  if (asking) {
    again = true;
    return;
  }
  asking = true;
  try {
    const answer = await fetch("/parts/overview" + location.search, {
      credentials: "same-origin",
      redirect: "manual",
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
  const href = main.contains(focused) ? focused.getAttribute("href") : null;
  for (const part of fresh.querySelectorAll("[data-live]")) {
    const old = document.querySelector(`[data-live="${part.dataset.live}"]`);
    if (old && old.outerHTML !== part.outerHTML) old.replaceWith(document.adoptNode(part));
  }
  narrow();
  if (href !== null && !document.contains(focused)) {
    main.querySelector(`a[href="${CSS.escape(href)}"]`)?.focus({ preventScroll: true });
  }
}

function soon() {
  if (waiting === null) waiting = setTimeout(refresh, GATHER_MS);
}

function narrow() {
  const wanted = find.value.trim().toLowerCase();
  let shown = 0;
  for (const tile of document.querySelectorAll(".tile")) {
    tile.hidden = wanted !== "" && !tile.dataset.find.includes(wanted);
    if (!tile.hidden) shown += 1;
  }
  for (const firm of document.querySelectorAll(".board-firm")) {
    firm.hidden = wanted !== "" && firm.querySelector(".tile:not([hidden])") === null;
  }
  document.querySelector(".no-match").hidden = wanted === "" || shown > 0;
}

function say(word) {
  if (liveness.textContent !== word) liveness.textContent = word;
}

find.addEventListener("input", narrow);
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !event.target.closest("input, textarea, select")) {
    event.preventDefault();
    find.focus();
  } else if (event.key === "Escape" && event.target === find) {
    find.value = "";
    narrow();
  }
});

say(liveness.dataset.waitWord);
const news = new EventSource("/v1/stream");
news.addEventListener("ready", () => say(liveness.dataset.liveWord));
for (const event of ["fault", "device", "platform", "reset"]) news.addEventListener(event, soon);
news.addEventListener("open", () => {
  say(liveness.dataset.liveWord);
  soon();
});
news.addEventListener("error", () => say(liveness.dataset.lostWord));
setInterval(() => {
  if (!document.hidden) soon();
}, LEAST_MS);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) soon();
});
