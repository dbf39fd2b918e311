// Shows another range or quantity in its place, and zooms into what was dragged over a curve.
// Without this script the links and the form of the section are pages of their own.
"use strict";

const LEAST_PX = 8; // a shorter drag is a click
const SPACE = "http://www.w3.org/2000/svg";

document.documentElement.classList.add("scripted-page");

function section() {
  return document.getElementById("readings");
}

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

// Zoom: from where the pointer went down to where it is let go.
let drag = null;

function place(plot, event) {
  const box = plot.getBoundingClientRect();
  const { left, right, width } = plot.dataset;
  const x = ((event.clientX - box.left) / box.width) * width;
  return Math.min(Number(right), Math.max(Number(left), x));
}

document.addEventListener("pointerdown", (event) => {
  const plot = event.target.closest("#readings svg.curve");
  if (plot === null || event.button || event.pointerType === "touch") return; // touch scrolls
  event.preventDefault();
  const mark = document.createElementNS(SPACE, "rect");
  mark.setAttribute("class", "zoom");
  mark.setAttribute("y", "0");
  mark.setAttribute("height", String(plot.viewBox.baseVal.height));
  plot.append(mark);
  plot.setPointerCapture(event.pointerId);
  drag = { plot, mark, from: place(plot, event) };
});

document.addEventListener("pointermove", (event) => {
  if (drag === null) return;
  const to = place(drag.plot, event);
  drag.mark.setAttribute("x", String(Math.min(drag.from, to)));
  drag.mark.setAttribute("width", String(Math.abs(to - drag.from)));
});

function at(plot, x) {
  const { from, to, left, right } = plot.dataset;
  const share = (x - left) / (right - left);
  return new Date(Number(from) + share * (to - from)).toISOString();
}

document.addEventListener("pointerup", (event) => {
  if (drag === null) return;
  const { plot, mark, from } = drag;
  drag = null;
  mark.remove();
  const to = place(plot, event);
  if (Math.abs(to - from) < LEAST_PX) return;
  const address = new URL(section().dataset.zoom, location.href);
  address.searchParams.set("from", at(plot, Math.min(from, to)));
  address.searchParams.set("to", at(plot, Math.max(from, to)));
  address.hash = "readings";
  go(address.href, null);
});

document.addEventListener("pointercancel", () => {
  drag?.mark.remove();
  drag = null;
});

window.addEventListener("popstate", () => show(location.href, null));
