// The keyboard of the fault pages, and what picks several. Without it everything works with links
// and buttons. Questions are popovers: the browser opens and closes them by itself.
"use strict";

(() => {
  const OFF = "courtyard_keys_off"; // in the browser: somebody wants no single keys
  const GO_MS = 1500; // so long after g a second key may come
  const PLACES = { o: "/", f: "/faults", c: "/sheds", d: "/ingestion" };
  const help = document.getElementById("keys");
  const switched = document.getElementById("keys-on");
  const list = document.getElementById("fault-list");
  let cursor = null; // the id of the fault that the keys are at: rows come and go
  let went = -Infinity;

  document.documentElement.classList.add("scripted-page");

  function isOff() {
    try {
      return localStorage.getItem(OFF) !== null;
    } catch {
      return false; // no storage: the keys work
    }
  }

  function rows() {
    return [...document.querySelectorAll(".fault-row")];
  }

  function here() {
    return cursor === null ? null : rows().find((row) => row.dataset.fault === cursor) ?? null;
  }

  function move(step) {
    const every = rows();
    if (every.length === 0) return;
    const at = every.indexOf(here());
    const next = every[Math.min(every.length - 1, Math.max(0, at + step))];
    for (const row of every) row.removeAttribute("data-cursor");
    cursor = next.dataset.fault;
    next.setAttribute("data-cursor", "");
    next.querySelector(".fault-name").focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
  }

  function boxes() {
    return [...document.querySelectorAll('.pick input[name="fault"]')];
  }

  function count() {
    if (list === null) return;
    const every = boxes();
    const n = every.filter((box) => box.checked).length;
    const told = list.querySelector("[data-picked]");
    if (told !== null) told.textContent = list.dataset.pickedWord.replace("#", n);
    const all = document.getElementById("pick-all");
    if (all !== null) {
      all.checked = n > 0 && n === every.length;
      all.indeterminate = n > 0 && n < every.length;
    }
  }

  function pick() {
    const box = here()?.querySelector(".pick input");
    if (!box) return false;
    box.checked = !box.checked;
    count();
    return true;
  }

  function press(key) {
    const target = document.querySelector(`main [data-key="${CSS.escape(key)}"]`);
    if (target === null || target.disabled) return false;
    if (target.closest(".bulk-bar") && !boxes().some((box) => box.checked) && !pick()) return false;
    if (target.matches("textarea, input")) target.focus();
    else target.click();
    return true;
  }

  function leave() {
    if (press("Escape")) return true;
    for (const box of boxes()) box.checked = false;
    count();
    here()?.removeAttribute("data-cursor");
    cursor = null;
    document.activeElement?.blur();
    return true;
  }

  function act(event) {
    if (performance.now() - went < GO_MS && event.key in PLACES) {
      const place = PLACES[event.key];
      // only where they may go: the bar on top has it
      if (document.querySelector(`header a[href="${place}"]`) === null) return false;
      location.href = place;
      return true;
    }
    switch (event.key) {
      case "j":
        move(1);
        return true;
      case "k":
        move(-1);
        return true;
      case "x":
        return pick();
      case "g":
        went = performance.now();
        return true;
      case "?":
        help.hidden = !help.hidden;
        if (!help.hidden) help.scrollIntoView({ block: "center" });
        return true;
      case "/":
      case "a":
      case "s":
      case "c":
        return press(event.key);
      case "Escape":
        return leave();
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
    const asked = document.querySelector(".ask:popover-open");
    if (asked !== null) {
      // Enter in a field answers this question, and no other one of the same form.
      const isField = event.target.closest("input:not([type=checkbox]), select");
      if (event.key === "Enter" && isField && asked.contains(event.target)) {
        event.preventDefault();
        asked.querySelector(".button-main").click();
      }
      return; // its own keys, and the browser's: Escape closes it
    }
    if (event.target.closest("input:not([type=checkbox]), textarea, select")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (event.key !== "?" && event.key !== "Escape" && isOff()) return;
    if (act(event)) event.preventDefault();
  });
  document.addEventListener("change", (event) => {
    if (event.target.id === "pick-all") {
      for (const box of boxes()) box.checked = event.target.checked;
    }
    if (event.target.closest(".pick")) count();
  });
  // An address that is sent on says only what was asked for.
  document.querySelector(".fault-filter")?.addEventListener("submit", (event) => {
    for (const field of event.target.elements) {
      const isAtFirst = field.value === "" || (field.name === "show" && field.value === "open");
      if (field.name && isAtFirst) field.disabled = true;
    }
  });
  window.addEventListener("pageshow", () => {
    for (const field of document.querySelectorAll(".fault-filter [disabled]")) field.disabled = false;
    count();
  });
  document.addEventListener("htmx:after:swap", () => {
    const row = here();
    if (row === null) cursor = null;
    else row.setAttribute("data-cursor", "");
    count();
  });
})();
