// Shows another range of usage in its place: the old figures stay until the new ones are there.
// Without this script its links are pages of their own.
"use strict";

const SLOW_MS = 300; // only what takes longer is told
const AGAIN_MS = 60_000; // the newest figures move on
let asking = null;

function section() {
  return document.getElementById("usage");
}

function tell(word) {
  const told = section().querySelector('[role="status"]');
  if (told === null) return;
  told.textContent = word;
  told.hidden = word === "";
}

async function show(address, focus) {
  asking?.abort();
  const mine = (asking = new AbortController());
  const slow = setTimeout(() => {
    section().setAttribute("aria-busy", "true");
    tell(section().dataset.loading);
  }, SLOW_MS);
  try {
    const answer = await fetch(address, {
      credentials: "same-origin",
      redirect: "manual",
      headers: { Accept: "text/html" },
      signal: AbortSignal.any([mine.signal, AbortSignal.timeout(15_000)]),
    });
    if (answer.type === "opaqueredirect" || answer.status === 401) {
      location.reload(); // the login is over
      return false;
    }
    if (!answer.ok) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("usage");
    const open = [...section().querySelectorAll("details")].map((one) => one.open);
    section().replaceWith(document.adoptNode(fresh));
    for (const [n, one] of [...fresh.querySelectorAll("details")].entries()) one.open = open[n];
    const stops = page.getElementById("stops")?.closest("section");
    const old = document.getElementById("stops")?.closest("section");
    if (stops && old) old.replaceWith(document.adoptNode(stops));
    if (focus !== null) fresh.querySelector(focus)?.focus({ preventScroll: true });
    return true;
  } catch {
    if (!mine.signal.aborted) {
      section().removeAttribute("aria-busy");
      tell(section().dataset.failed);
    }
    return false;
  } finally {
    clearTimeout(slow);
  }
}

document.addEventListener("click", async (event) => {
  const link = event.target.closest("#usage .choice a, #usage .steps a");
  if (link === null || event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
  event.preventDefault();
  const focus = link.rel ? `.steps a[rel="${link.rel}"]` : ".choice [aria-current]";
  if (await show(link.href, focus)) history.pushState(null, "", link.href);
});
document.addEventListener("submit", async (event) => {
  const form = event.target.closest("#usage form.range");
  if (form === null) return;
  event.preventDefault();
  const address = `${location.pathname}?${new URLSearchParams(new FormData(form))}`;
  if (await show(address, ".pick > summary")) history.pushState(null, "", address);
});
window.addEventListener("popstate", () => show(location.href, null));
setInterval(() => {
  if (!document.hidden && section().querySelector(".chart-row")) {
    const held = section().contains(document.activeElement) ? document.activeElement : null;
    if (held === null) show(location.href, null);
  }
}, AGAIN_MS);
