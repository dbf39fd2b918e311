// Keeps the overview up to date: the server sends the parts of it that change, at once; all of
// them are asked for where that begins.
// Without this script the page shows the same; it just has to be reloaded.
"use strict";

const AGAIN_MS = 5_000; // after an answer that is no stream; a stream that breaks comes back itself
const ALL_MS = 60_000; // all parts are compared so often, whatever was sent
const main = document.getElementById("main");
const liveness = document.getElementById("liveness");
const find = document.getElementById("find");
const held = []; // parts that come while all of them are being asked for: they are newer
let asking = false;
let again = false;

document.documentElement.classList.add("scripted-page");

async function refresh() {
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
    for (const html of held.splice(0)) replace(html);
    if (again) {
      again = false;
      refresh();
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

function listen() {
  const news = new EventSource("/parts/overview/live" + location.search);
  const isLive = () => say(liveness.dataset.liveWord);
  const isLost = () => say(liveness.dataset.lostWord);
  news.addEventListener("open", isLive);
  news.addEventListener("away", isLost);
  for (const event of ["ready", "back"]) {
    news.addEventListener(event, () => {
      if (event === "back") isLive();
      refresh();
    });
  }
  news.addEventListener("parts", (event) => {
    if (asking) held.push(event.data);
    else replace(event.data);
  });
  news.addEventListener("error", () => {
    isLost();
    if (news.readyState === EventSource.CLOSED) {
      refresh(); // says whether the login is over
      setTimeout(listen, AGAIN_MS);
    }
  });
}

say(liveness.dataset.waitWord);
listen();
setInterval(() => {
  if (!document.hidden) refresh();
}, ALL_MS);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) refresh();
});
