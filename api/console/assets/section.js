// Shows another address of one section of the page in its place: the old one stays until the new
// one is there. For the scripts that are loaded behind this one.
"use strict";

const SLOW_MS = 300; // only what takes longer is told
const LAST_MS = 15_000;
const asking = new Map(); // by section: who asks anew calls off who asked before

// show(address, focus) of the section with this id; `focus` is what gets it afterwards, null: nothing.
// `along(page, fresh)` is called with the new page before the new section takes its place.
function shown(id, along = () => {}) {
  const section = () => document.getElementById(id);

  function tell(word) {
    const told = section().querySelector('[role="status"]');
    if (told === null) return;
    told.textContent = word;
    told.hidden = word === "";
  }

  return async function show(address, focus) {
    asking.get(id)?.abort();
    const mine = new AbortController();
    asking.set(id, mine);
    const late = setTimeout(() => mine.abort(), LAST_MS);
    const slow = setTimeout(() => {
      section().setAttribute("aria-busy", "true");
      tell(section().dataset.loading);
    }, SLOW_MS);
    try {
      const answer = await fetch(address, {
        credentials: "same-origin",
        redirect: "manual",
        headers: { Accept: "text/html" },
        signal: mine.signal,
      });
      if (answer.type === "opaqueredirect" || answer.status === 401) {
        location.reload(); // the login is over
        return false;
      }
      if (!answer.ok) throw new Error(String(answer.status));
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById(id);
      along(page, fresh);
      fresh.dataset.from = address;
      fresh.dataset.atMs = performance.now();
      section().replaceWith(document.adoptNode(fresh));
      fill(fresh);
      if (focus !== null) fresh.querySelector(focus)?.focus({ preventScroll: true });
      return true;
    } catch {
      if (asking.get(id) === mine) {
        section().removeAttribute("aria-busy");
        tell(section().dataset.failed);
      }
      return false;
    } finally {
      clearTimeout(slow);
      clearTimeout(late);
      if (asking.get(id) === mine) asking.delete(id);
    }
  };
}

// What has a page of its own (`data-lazy`) comes behind what stands around it: that is there sooner.
// Without this script there is a link to it.
function fill(root) {
  for (const one of root.querySelectorAll("[data-lazy]")) shown(one.id)(one.dataset.lazy, null);
}

fill(document);
