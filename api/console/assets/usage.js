// Shows another range of usage in its place: the old figures stay until the new ones are there.
// Without this script its links are pages of their own.
"use strict";

const AGAIN_MS = 60_000; // the newest figures move on
const KEPT_MS = 600_000; // availability, of which a minute changes little

function section() {
  return document.getElementById("usage");
}

// The section is told by a page that need not be this one: of that it is asked, of this is told.
function source(address) {
  const there = new URL(address, location.href);
  there.pathname = section().dataset.source;
  return there.href;
}

function here(address) {
  const told = new URL(address, location.href);
  told.pathname = location.pathname;
  return told.href;
}

const show = shown("usage", (page, fresh) => {
  const range = fresh.querySelector("#availability[data-lazy]");
  const there = document.getElementById("availability");
  const isSame = range !== null && there?.dataset.from === range.dataset.lazy;
  if (isSame && performance.now() - there.dataset.atMs < KEPT_MS) range.replaceWith(there);
  const open = [...section().querySelectorAll("details")].map((one) => one.open);
  for (const [n, one] of [...fresh.querySelectorAll("details")].entries()) one.open = open[n];
  const stops = page.getElementById("stops")?.closest("section");
  const old = document.getElementById("stops")?.closest("section");
  if (stops && old) old.replaceWith(document.adoptNode(stops));
});

document.addEventListener("click", async (event) => {
  const link = event.target.closest("#usage .choice a, #usage .steps a");
  if (link === null || event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
  event.preventDefault();
  const focus = link.rel ? `.steps a[rel="${link.rel}"]` : ".choice [aria-current]";
  if (await show(link.href, focus)) history.pushState(null, "", here(link.href));
});
document.addEventListener("submit", async (event) => {
  const form = event.target.closest("#usage form.range");
  if (form === null) return;
  event.preventDefault();
  const address = `${section().dataset.source}?${new URLSearchParams(new FormData(form))}`;
  if (await show(address, ".pick > summary")) history.pushState(null, "", here(address));
});
window.addEventListener("popstate", () => section() && show(source(location.href), null));
setInterval(() => {
  if (!document.hidden && !asking.has("usage") && section()?.querySelector(".chart-row")) {
    const held = section().contains(document.activeElement) ? document.activeElement : null;
    if (held === null) show(source(location.href), null);
  }
}, AGAIN_MS);
