// Keeps a page up to date: listens for news, then asks for this page again. What is done (data-done)
// is not asked for any more.
// Without this script the page shows the same; it just has to be reloaded.
"use strict";

const GATHER_MS = 1_000; // news come in bursts: one refresh for all of them
const liveness = document.getElementById("liveness");
const LEAST_MS = Number(liveness.dataset.everyMs || 20_000); // power and times move on without news
let waiting = null;
let asking = false;
let again = false;

async function refresh() {
  waiting = null;
  if (asking) {
    again = true;
    return;
  }
  asking = true;
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
    if (old && old.outerHTML !== part.outerHTML) old.replaceWith(document.adoptNode(part));
  }
  if (href !== null && !document.contains(focused)) {
    document.querySelector(`main a[href="${CSS.escape(href)}"]`)?.focus({ preventScroll: true });
  }
}

function soon() {
  if (document.querySelector("[data-done]") !== null) return;
  if (waiting === null && !document.hidden) waiting = setTimeout(refresh, GATHER_MS);
}

function say(word) {
  if (liveness.textContent !== word) liveness.textContent = word;
}

say(liveness.dataset.waitWord);
const news = new EventSource("/v1/stream");
news.addEventListener("ready", () => say(liveness.dataset.liveWord));
for (const event of ["fault", "device", "platform", "reset"]) news.addEventListener(event, soon);
news.addEventListener("open", () => {
  say(liveness.dataset.liveWord);
  soon();
});
news.addEventListener("error", () => say(liveness.dataset.lostWord));
setInterval(soon, LEAST_MS);
document.addEventListener("visibilitychange", soon);
