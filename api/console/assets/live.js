// Keeps a page up to date, with htmx: the parts that the server sends (`data-live`), or finds on the
// page when it is asked for it anew, are morphed into those that are there. What is focused, unfolded,
// picked or scrolled to stays. Without this script the page shows the same; it is reloaded.
"use strict";

(() => {
  const HAND_MS = 5_000; // so long after the last movement nobody is about to click
  const TICK_MS = 500;
  const liveness = document.getElementById("liveness");
  const anew = document.getElementById("anew"); // asks for all parts
  const words = liveness.dataset;
  const missed = new Set(); // parts that were not put in place: somebody is at them
  let asking = null; // while all parts are asked for, what is sent waits: it is newer
  let asked = () => {};
  let stands = false; // the stream
  let failed = false; // the last time that all parts were asked for

  function say(word) {
    if (liveness.textContent !== word) liveness.textContent = word;
  }

  function askAnew() {
    htmx.trigger(liveness, "anew", {}, false);
  }

  // What is put where

  htmx.registerExtension("live", {
    htmx_before_swap: (source, { tasks }) => {
      if (source !== liveness && source !== anew) return;
      if (source === anew) missed.clear(); // all of them are here
      tasks.splice(0, tasks.length, ...placed(source, tasks));
    },
    // In a frame this stands for a part that is as it was.
    htmx_before_morph_node: (_, { newNode }) => !newNode.matches?.("[data-same]"),
  });

  function placed(source, tasks) {
    const found = [];
    for (const { fragment } of tasks) {
      for (const part of fragment.querySelectorAll("[data-live]")) {
        if (part.parentElement?.closest("[data-live]")) continue; // it comes with that one
        const old = document.querySelector(`[data-live="${CSS.escape(part.dataset.live)}"]`);
        if (old === null || old.isEqualNode(part)) continue;
        if (list.holds(part, source)) found.push(...list.inPlace(part).map(([to, row]) => task(source, to, row)));
        else if (isHeld(old)) missed.add(part.dataset.live);
        else found.push(task(source, old, part));
      }
    }
    return found;
  }

  function task(sourceElement, target, part) {
    const fragment = document.createDocumentFragment();
    fragment.append(part);
    return { type: "partial", fragment, target, swapSpec: { style: "outerMorph" }, sourceElement };
  }

  // What somebody is answering, writing or marking is left to them until the next time.
  function isHeld(part) {
    if (part.querySelector(":popover-open") !== null) return true;
    const marked = getSelection();
    if (marked.type === "Range" && marked.containsNode(part, true)) return true;
    const fields = [...part.querySelectorAll("textarea, select, input:not([type=checkbox], [type=radio])")];
    return fields.some((one) => one === document.activeElement || one.value !== (one.defaultValue ?? one.value));
  }

  // The list of faults: nothing moves under a hand. While somebody points, types or has picked
  // something, rows change in their place, what has gone is marked, and what is new is told.

  const list = {
    panel: document.getElementById("fault-list"),
    note: document.getElementById("live-note"),
    moved: -Infinity,
    parts: ["list", "pager", "suspected"],
    isOver: false,
    isDown: false,
    isWanted: false, // shown now, whatever is picked

    isBusy() {
      if (document.querySelector(".ask:popover-open, .pick input[name=fault]:checked") !== null) return true;
      const isAt = this.isOver || this.panel.contains(document.activeElement);
      return this.isDown || (isAt && performance.now() - this.moved < HAND_MS);
    },

    holds(part, source) {
      if (this.panel === null || !this.parts.includes(part.dataset.live)) return false;
      if ((source === anew && this.isWanted) || !this.isBusy()) return false;
      missed.add(part.dataset.live);
      return true;
    },

    // The rows that are there, as they are now: [old, new] of each that has changed.
    inPlace(part) {
      if (part.dataset.live !== "list") return [];
      const rows = (root) => new Map([...root.querySelectorAll("tbody[id]")].map((one) => [one.id, one]));
      const old = rows(this.panel);
      const now = rows(part);
      for (const [id, body] of old) this.markGone(body.querySelector(".fault-row"), !now.has(id));
      const added = [...now.keys()].filter((id) => !old.has(id)).length;
      this.note.firstElementChild.textContent = added
        ? this.panel.dataset.newWord.replace("#", added)
        : this.panel.dataset.movedWord;
      const left = [...old.keys()].filter((id) => now.has(id));
      const isSame = left.length === old.size && left.join() === [...now.keys()].join();
      this.note.hidden = isSame;
      return left.map((id) => [old.get(id), now.get(id)]).filter(([, row]) => !row.matches("[data-same]"));
    },

    markGone(row, is) {
      if (is === row.hasAttribute("data-gone")) return;
      row.toggleAttribute("data-gone", is);
      row.querySelector(".gone-word")?.remove();
      if (!is) return;
      const word = document.createElement("span");
      word.className = "gone-word";
      word.textContent = this.panel.dataset.goneWord;
      row.querySelector(".cell-fault").append(word);
    },

    follow() {
      for (const name of ["pointermove", "pointerdown", "keydown", "wheel", "touchstart"]) {
        document.addEventListener(name, () => (this.moved = performance.now()), { passive: true });
      }
      this.panel.addEventListener("pointerenter", () => (this.isOver = true));
      this.panel.addEventListener("pointerleave", () => (this.isOver = false));
      document.addEventListener("pointerdown", () => (this.isDown = true));
      for (const name of ["pointerup", "pointercancel"]) {
        document.addEventListener(name, () => (this.isDown = false));
      }
      this.note.querySelector("button").addEventListener("click", () => {
        this.isWanted = true;
        askAnew();
      });
    },
  };
  if (list.panel !== null) list.follow();

  // When it is asked for

  anew.addEventListener("htmx:before:request", (event) => {
    if (document.hidden || document.querySelector("[data-done]") !== null) event.preventDefault();
    else asking = new Promise((done) => (asked = done));
    failed = false;
  });
  for (const name of ["htmx:error", "htmx:response:error"]) {
    anew.addEventListener(name, () => {
      failed = true; // what is shown grows old
      say(words.lostWord);
    });
  }
  anew.addEventListener("htmx:after:swap", () => {
    if (list.panel !== null && missed.size === 0) list.note.hidden = true;
    list.isWanted = false;
  });
  anew.addEventListener("htmx:finally:request", () => {
    asking = null;
    asked();
    if (stands && !failed) say(words.liveWord);
  });
  liveness.addEventListener("htmx:sse:before:message", ({ detail }) => {
    if (asking !== null) detail.waitUntil(asking);
  });
  liveness.addEventListener("htmx:after:swap", () => {
    if (document.querySelector("main [data-same]") !== null) askAnew(); // of a part that is not here
  });
  for (const name of ["ready", "back", "heard", "told", "platform", "reset"]) {
    liveness.addEventListener(name, askAnew);
  }
  for (const name of ["fault", "device"]) {
    liveness.addEventListener(name, ({ detail }) => {
      const news = JSON.parse(detail.data);
      const { fault, compound, within, kind } = words; // what the page is of
      const isOurs = fault
        ? news.fault === fault
        : compound || within
          ? news.compound === (compound || within)
          : kind && news.kind === kind;
      if (isOurs) askAnew();
    });
  }
  function isFree(name) {
    if (list.panel !== null && list.parts.includes(name)) return !list.isBusy();
    const part = document.querySelector(`[data-live="${CSS.escape(name)}"]`);
    return part === null || !isHeld(part);
  }

  setInterval(() => {
    if (missed.size > 0 && [...missed].every(isFree)) askAnew();
    count();
  }, TICK_MS);

  // How it stands

  say(words.waitWord);
  liveness.addEventListener("htmx:sse:after:connection", () => {
    stands = true;
    say(words.liveWord);
  });
  liveness.addEventListener("htmx:sse:before:connection", ({ detail }) => {
    if (detail.connection.attempt === 0) return;
    stands = false;
    say(words.lostWord);
  });
  for (const name of ["away", "htmx:sse:error", "htmx:error", "htmx:response:error"]) {
    liveness.addEventListener(name, () => {
      stands = false;
      say(words.lostWord);
    });
  }
  liveness.addEventListener("back", () => {
    stands = true;
    say(words.liveWord);
  });
  for (const one of [liveness, anew]) {
    one.addEventListener("htmx:before:response", (event) => {
      const { raw } = event.detail.ctx.response;
      if (raw.type !== "opaqueredirect" && raw.status !== 401) return;
      event.preventDefault();
      location.reload(); // the login is over
    });
  }
  liveness.addEventListener("htmx:sse:error", ({ detail }) => {
    if (detail.status === 0 || detail.status === 401) location.reload();
  });

  // A limit that comes nearer: by the server's clock

  let ahead = 0; // of this clock, ms
  let due = null;

  function count() {
    const now = document.querySelector("[data-due]");
    if (now === null) return;
    if (now.dataset.now !== due) {
      due = now.dataset.now;
      ahead = Date.now() - Number(due);
    }
    const left = Math.floor((Number(now.dataset.due) - (Date.now() - ahead)) / 1000);
    const figure = now.querySelector("b");
    if (left < 0) askAnew(); // it is late: the server says how that is told
    else if (figure) figure.textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
  }
})();
