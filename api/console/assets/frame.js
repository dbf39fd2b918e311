// The menu and the tour of every page. Without it both work: a menu that stays open, a list to read.
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
