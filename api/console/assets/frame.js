// The menu, the keys and the tour of every page. Without it all is there: a menu that stays open, a
// list to read.
const menu = document.querySelector(".menu");

document.addEventListener("click", (event) => {
  if (menu?.open && !menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !menu?.open) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});
menu?.addEventListener("focusout", (event) => {
  if (event.relatedTarget !== null && !menu.contains(event.relatedTarget)) menu.open = false;
});

// Single keys, where the page has none of its own: / searches, g and a letter goes somewhere.
const GO_MS = 1_500;
const PLACES = { o: "/", f: "/faults", c: "/sheds", d: "/ingestion" };
const search = document.querySelector(".top-search input");
let went = -Infinity;

function isFree(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return false;
  if (event.target.closest("input:not([type=checkbox]), textarea, select")) return false;
  if (document.getElementById("keys-on") !== null) return false;
  return search !== null && localStorage.getItem("courtyard_keys_off") === null;
}

document.addEventListener("keydown", (event) => {
  if (!isFree(event)) return;
  const place = performance.now() - went < GO_MS ? PLACES[event.key] : undefined;
  if (place !== undefined) {
    if (document.querySelector(`header a[href="${place}"]`) !== null) location.href = place;
  } else if (event.key === "g") {
    went = performance.now();
  } else if (event.key === "?") {
    location.href = "/help#keys";
  } else if (event.key === "/") {
    if (search.checkVisibility()) search.focus();
    else location.href = "/search";
  } else {
    return;
  }
  event.preventDefault();
});
document.querySelector("#search-field")?.focus();

const tour = document.querySelector(".tour");
if (tour !== null) {
  const steps = [...tour.querySelectorAll("li")];
  const told = tour.querySelector("[data-tour=step]");
  const back = tour.querySelector("[data-tour=back]");
  const next = tour.querySelector("[data-tour=next]");
  let shown = 0;

  const show = () => {
    for (const [n, step] of steps.entries()) step.hidden = n !== shown;
    told.textContent = tour.dataset.stepWord.replace("{n}", shown + 1);
    back.hidden = shown === 0;
    next.hidden = shown === steps.length - 1;
  };
  const move = (by) => {
    shown += by;
    show();
    const stays = [back, next].find((one) => !one.hidden && one === document.activeElement);
    if (stays === undefined) (by > 0 ? back : next).focus();
  };
  back.addEventListener("click", () => move(-1));
  next.addEventListener("click", () => move(1));
  tour.classList.add("one-by-one");
  show();
}
