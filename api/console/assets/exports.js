// Follows what is being made, and stops when all is. Without this script the page is reloaded.
"use strict";

const EVERY_MS = 1000;
const liveness = document.getElementById("liveness");
let waiting = null;

function list() {
  return document.querySelector('[data-live="exports"]');
}

function isUnfinished() {
  return list().querySelector('[data-state="waiting"], [data-state="running"]') !== null;
}

function say(word) {
  if (liveness.textContent !== word) liveness.textContent = word;
}

async function refresh() {
  waiting = null;
  try {
    const answer = await fetch("/parts/exports", {
      credentials: "same-origin",
      redirect: "manual",
      signal: AbortSignal.timeout(10_000),
    });
    if (answer.type === "opaqueredirect" || answer.status === 401) {
      location.reload(); // the login is over
      return;
    }
    if (!answer.ok) throw new Error(String(answer.status));
    replace(await answer.text());
    say("");
  } catch {
    say(liveness.dataset.lostWord); // the old figures stay
  }
  soon();
}

function replace(html) {
  const page = new DOMParser().parseFromString(html, "text/html");
  const fresh = page.querySelector('[data-live="exports"]');
  const old = list();
  if (old.outerHTML === fresh.outerHTML) return;
  const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
  old.replaceWith(document.adoptNode(fresh));
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

function soon() {
  if (waiting === null && isUnfinished()) {
    waiting = setTimeout(refresh, document.hidden ? 10 * EVERY_MS : EVERY_MS);
  }
}

soon();
