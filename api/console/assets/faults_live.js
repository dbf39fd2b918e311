// Keeps the list of faults up to date: listens for news, then asks the server for what changes.
// Nothing moves under a hand: while somebody points, types or has picked something, rows change in
// their place, what has gone is marked, and what is new is told. Without it the page is reloaded.
"use strict";

(() => {
  const GATHER_MS = 350; // news come in bursts: one refresh for all of them
  const APART_MS = 900; // between two refreshes
  const LEAST_MS = 15_000; // ages and limits move on without news
  const HAND_MS = 5_000; // so long after the last movement nobody is about to click
  const panel = document.getElementById("fault-list");
  const note = document.getElementById("live-note");
  const liveness = document.getElementById("liveness");
  let waiting = null;
  let asking = false;
  let again = false;
  let asked = -Infinity;
  let moved = -Infinity;
  let isOver = false;
  let isDown = false;
  let held = null; // what the server said last, and is not shown yet

  function isBusy() {
    if (document.querySelector(".ask:popover-open, .pick input[name=fault]:checked") !== null) {
      return true;
    }
    const focused = document.activeElement;
    const isAt = isOver || (focused !== null && panel.contains(focused));
    return isDown || (isAt && performance.now() - moved < HAND_MS);
  }

  async function refresh() {
    waiting = null;
    if (asking) {
      again = true;
      return;
    }
    asking = true;
    asked = performance.now();
    try {
      const address = new URL(location.href);
      for (const name of ["did", "done"]) address.searchParams.delete(name);
      address.searchParams.set("part", "list");
      const answer = await fetch(address, {
        credentials: "same-origin",
        redirect: "manual",
        signal: AbortSignal.timeout(10_000),
      });
      if (answer.type === "opaqueredirect" || answer.status === 401) {
        location.reload(); // the login is over
        return;
      }
      if (answer.ok) show(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch {
      // The old rows stay until new ones are there; the stream says that it is interrupted.
    } finally {
      asking = false;
      if (again) {
        again = false;
        soon();
      }
    }
  }

  function soon() {
    if (waiting !== null || document.hidden) return;
    const since = performance.now() - asked;
    waiting = setTimeout(refresh, Math.max(GATHER_MS, APART_MS - since));
  }

  function part(root, name) {
    return root.querySelector(`[data-live="${name}"]`);
  }

  function groups(root) {
    const found = new Map();
    for (const body of root.querySelectorAll("#fault-table > tbody[data-fault]")) {
      if (body.dataset.fault !== "") found.set(body.dataset.fault, body);
    }
    return found;
  }

  function show(fresh) {
    for (const one of fresh.querySelectorAll("[data-live]")) {
      const name = one.dataset.live;
      if (["list", "pager", "suspected"].includes(name)) continue;
      const old = part(document, name);
      if (old !== null && old.innerHTML !== one.innerHTML) old.innerHTML = one.innerHTML;
    }
    if (isBusy()) {
      held = fresh;
      inPlace(fresh);
    } else {
      whole(fresh);
    }
  }

  // Everything as it is now, in the order in which it is now.
  function whole(fresh) {
    held = null;
    note.hidden = true;
    const folded = new Set();
    const picked = new Set();
    for (const [id, body] of groups(document)) {
      if (body.querySelector(".fold input")?.checked) folded.add(id);
      if (body.querySelector(".pick input")?.checked) picked.add(id);
    }
    const focused = document.activeElement;
    const href = panel.contains(focused) ? focused.getAttribute("href") : null;
    for (const name of ["list", "pager", "suspected"]) {
      const one = part(fresh, name);
      const old = part(document, name);
      if (one === null || old === null) continue;
      if (name === "list" || old.innerHTML !== one.innerHTML) old.innerHTML = one.innerHTML;
    }
    for (const [id, body] of groups(document)) {
      const fold = body.querySelector(".fold input");
      if (fold !== null) fold.checked = folded.has(id);
      const pick = body.querySelector(".pick input");
      if (pick !== null) pick.checked = picked.has(id);
    }
    if (href !== null && !document.contains(focused)) {
      panel.querySelector(`a[href="${CSS.escape(href)}"]`)?.focus({ preventScroll: true });
    }
    document.dispatchEvent(new Event("faults-changed"));
  }

  // The same rows in the same places: cells are written anew, nothing comes and nothing goes.
  function inPlace(fresh) {
    const now = groups(fresh);
    const old = groups(document);
    for (const [id, body] of old) {
      const row = body.querySelector(".fault-row");
      const one = now.get(id)?.querySelector(".fault-row");
      gone(row, one === undefined);
      if (one === undefined || one.cells.length !== row.cells.length) continue;
      row.dataset.severity = one.dataset.severity;
      for (let n = 0; n < row.cells.length; n += 1) {
        const cell = row.cells[n];
        const is = cell.matches(".pick") || cell.contains(document.activeElement);
        const fold = cell.querySelector(".fold input")?.checked ?? false;
        if (is || cell.innerHTML === one.cells[n].innerHTML) continue;
        cell.innerHTML = one.cells[n].innerHTML;
        const again = cell.querySelector(".fold input");
        if (again !== null) again.checked = fold;
      }
    }
    const added = [...now.keys()].filter((id) => !old.has(id)).length;
    const order = [...now.keys()].filter((id) => old.has(id)).join();
    const isSame = added === 0 && order === [...old.keys()].filter((id) => now.has(id)).join();
    const isGone = [...old.keys()].some((id) => !now.has(id));
    note.hidden = isSame && !isGone;
    const words = panel.dataset;
    note.firstElementChild.textContent = added
      ? words.newWord.replace("#", added)
      : words.movedWord;
  }

  function gone(row, is) {
    if (is === row.hasAttribute("data-gone")) return;
    row.toggleAttribute("data-gone", is);
    row.querySelector(".gone-word")?.remove();
    if (!is) return;
    const word = document.createElement("span");
    word.className = "gone-word";
    word.textContent = panel.dataset.goneWord;
    row.querySelector(".cell-fault").append(word);
  }

  function say(word) {
    if (liveness.textContent !== word) liveness.textContent = word;
  }

  function hand() {
    moved = performance.now();
  }

  for (const name of ["pointermove", "pointerdown", "keydown", "wheel", "touchstart"]) {
    document.addEventListener(name, hand, { passive: true });
  }
  panel.addEventListener("pointerenter", () => {
    isOver = true;
  });
  panel.addEventListener("pointerleave", () => {
    isOver = false;
  });
  document.addEventListener("pointerdown", () => {
    isDown = true;
  });
  for (const name of ["pointerup", "pointercancel"]) {
    document.addEventListener(name, () => {
      isDown = false;
    });
  }
  note.querySelector("button").addEventListener("click", () => {
    if (held !== null) whole(held);
  });
  setInterval(() => {
    if (held !== null && !isBusy()) whole(held);
  }, 1_000);

  say(liveness.dataset.waitWord);
  const news = new EventSource("/v1/stream");
  news.addEventListener("ready", () => say(liveness.dataset.liveWord));
  for (const event of ["fault", "platform", "reset"]) news.addEventListener(event, soon);
  news.addEventListener("open", () => {
    say(liveness.dataset.liveWord);
    soon();
  });
  news.addEventListener("error", () => say(liveness.dataset.lostWord));
  setInterval(soon, LEAST_MS);
  document.addEventListener("visibilitychange", soon);
})();
