// The keyboard of the fault pages. Without this script everything works with links and buttons.
"use strict";

const OFF = "courtyard_keys_off"; // in the browser: somebody wants no single keys
const GO_MS = 1500; // so long after g a second key may come
const PLACES = { o: "/", f: "/faults", d: "/ingestion" };
const rows = [...document.querySelectorAll(".fault-row")];
const help = document.getElementById("keys");
const switched = document.getElementById("keys-on");
let cursor = -1;
let went = -Infinity;

document.documentElement.classList.add("scripted-page");

function isOff() {
  try {
    return localStorage.getItem(OFF) !== null;
  } catch {
    return false; // no storage: the keys work
  }
}

function move(step) {
  if (rows.length === 0) return;
  rows[cursor]?.removeAttribute("data-cursor");
  cursor = Math.min(rows.length - 1, Math.max(0, cursor + step));
  rows[cursor].setAttribute("data-cursor", "");
  rows[cursor].querySelector(".fault-name").focus({ preventScroll: true });
  rows[cursor].scrollIntoView({ block: "nearest" });
}

function picked() {
  return document.querySelector(".pick input:checked") !== null;
}

function press(key) {
  const target = document.querySelector(`main [data-key="${key}"]`);
  if (target === null || target.disabled) return false;
  if (target.closest(".bulk-bar") && !picked()) {
    const box = rows[cursor]?.querySelector(".pick input");
    if (!box) return false;
    box.checked = true;
  }
  if (target.matches("textarea")) target.focus();
  else target.click();
  return true;
}

function act(event) {
  if (performance.now() - went < GO_MS && event.key in PLACES) {
    location.href = PLACES[event.key];
    return true;
  }
  switch (event.key) {
    case "j":
      move(1);
      return true;
    case "k":
      move(-1);
      return true;
    case "x": {
      const box = rows[cursor]?.querySelector(".pick input");
      if (box) box.checked = !box.checked;
      return Boolean(box);
    }
    case "g":
      went = performance.now();
      return true;
    case "?":
      help.hidden = !help.hidden;
      if (!help.hidden) help.scrollIntoView({ block: "center" });
      return true;
    case "a":
    case "s":
    case "c":
    case "Escape":
      return press(event.key);
    default:
      return false;
  }
}

switched.checked = !isOff();
switched.addEventListener("change", () => {
  if (switched.checked) localStorage.removeItem(OFF);
  else localStorage.setItem(OFF, "1");
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.target.closest("input:not([type=checkbox]), textarea, select")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (event.key !== "?" && event.key !== "Escape" && isOff()) return;
  if (act(event)) event.preventDefault();
});
