// Shows another range or quantity of a device's readings in its place.
// Without this script the links and the form of the section are pages of their own.
"use strict";

(() => {
  const AGAIN_MS = 30_000;
  const show = shown("readings");

  async function go(address, focus) {
    if (await show(address, focus)) history.pushState(null, "", address);
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest("#readings a");
    if (link === null || event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
    event.preventDefault();
    const focus = link.rel
      ? `.steps a[rel="${link.rel}"]`
      : link.closest(".choice")
        ? ".choice [aria-current]"
        : "select[name=quantity]";
    go(link.href, focus);
  });

  document.addEventListener("submit", (event) => {
    const form = event.target.closest("#readings form");
    if (form === null) return;
    event.preventDefault();
    const query = new URLSearchParams(new FormData(form));
    go(`${location.pathname}?${query}#readings`, "select[name=quantity]");
  });

  document.addEventListener("change", (event) => {
    if (event.target.matches('#readings select[name="quantity"]')) {
      const query = new URLSearchParams(location.search);
      query.set("quantity", event.target.value);
      go(`${location.pathname}?${query}#readings`, "select[name=quantity]");
    }
  });

  // A range that ends now moves on with the time: not while somebody drags or fills in something,
  // and not where they have gone back to what was.
  setInterval(() => {
    const section = document.getElementById("readings");
    const isOver = section.querySelector('.steps [rel="next"]') !== null;
    if (document.hidden || isOver || asking.has("readings") || section.matches(":active")) return;
    const focused = section.contains(document.activeElement) ? document.activeElement : null;
    if (focused === null || focused.matches(".reader")) show(location.href, null); // keeps its place
    else if (focused.matches(".choice a")) show(location.href, ".choice [aria-current]");
  }, AGAIN_MS);
})();
