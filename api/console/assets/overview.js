// Finds compounds on the board as their names are written. Without it the browser's own search does.
"use strict";

(() => {
  const find = document.getElementById("find");

  document.documentElement.classList.add("scripted-page");

  function narrow() {
    const wanted = find.value.trim().toLowerCase();
    let shown = 0;
    for (const tile of document.querySelectorAll(".tile")) {
      tile.hidden = wanted !== "" && !tile.dataset.find.includes(wanted);
      if (!tile.hidden) shown += 1;
    }
    for (const firm of document.querySelectorAll(".board-firm")) {
      firm.hidden = wanted !== "" && firm.querySelector(".tile:not([hidden])") === null;
    }
    document.querySelector(".no-match").hidden = wanted === "" || shown > 0;
  }

  find.addEventListener("input", narrow);
  document.addEventListener("htmx:after:swap", narrow);
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.target !== find) return;
    find.value = "";
    narrow();
  });
})();
