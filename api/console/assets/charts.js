// Tells the figures of a chart under the pointer, under a finger and by keyboard. A reader lies over
// what the server drew, in the same box; parts that are put in the page later get theirs, too, and
// what was read goes on being read. Without this script charts are pictures, with a table beside.
"use strict";

const chartReaders = (() => {
  const AWAY_PX = 14; // from the cursor to what is told
  const kinds = new Map(); // how a chart is read, by `data-chart`; "" for all others
  const living = new Map(); // of each .plots, its reader
  const kept = new Map(); // what was read in charts that were replaced

  // chart: { label, count, find(x), x(n), tell(n), point(n), key?(event, n), at?(n), of?(at), end?() }
  // x is a share of the width; tell gives lines, the first of which says when.
  class Reader {
    constructor(host, key, chart) {
      Object.assign(this, { host, key, chart, n: null, isFocused: false, isPressed: false });
      this.source = sourceOf(host);
      this.box = document.createElement("div");
      this.box.className = "reader";
      this.box.tabIndex = 0;
      this.box.setAttribute("role", "slider");
      this.box.setAttribute("aria-orientation", "horizontal");
      this.box.setAttribute("aria-label", chart.label);
      this.box.setAttribute("aria-valuemin", "0");
      this.told = document.createElement("div");
      this.told.className = "reading";
      this.told.setAttribute("aria-hidden", "true"); // the same is the value of the slider
      this.told.hidden = true;
      this.say(chart.count - 1);
      this.box.append(...(chart.marks ?? []));
      host.append(this.box, this.told);
      this.listen();
    }

    listen() {
      const { box } = this;
      box.addEventListener("pointerdown", (event) => {
        this.isPressed = event.pointerType !== "mouse";
        if (this.isPressed) this.point(event);
      });
      box.addEventListener("pointermove", (event) => {
        if (event.pointerType === "mouse" || this.isPressed) this.point(event);
      });
      for (const name of ["pointerup", "pointercancel"]) {
        box.addEventListener(name, () => (this.isPressed = false));
      }
      box.addEventListener("pointerleave", (event) => {
        if (event.pointerType === "mouse") this.hide();
      });
      box.addEventListener("focus", () => {
        this.isFocused = true;
        if (this.n === null && box.matches(":focus-visible")) this.show(this.chart.count - 1);
      });
      box.addEventListener("blur", () => {
        queueMicrotask(() => {
          if (!box.isConnected) return; // it was replaced: its successor gets the focus
          this.isFocused = false;
          this.hide();
        });
      });
      box.addEventListener("keydown", (event) => this.press(event));
    }

    point(event) {
      const area = this.box.getBoundingClientRect();
      const n = this.chart.find((event.clientX - area.left) / area.width);
      if (n === null) this.hide();
      else this.show(n, event);
    }

    press(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const last = this.chart.count - 1;
      const n = this.n ?? last + (event.key === "ArrowLeft" ? 1 : 0);
      const to = {
        ArrowLeft: n - 1, ArrowRight: n + 1, ArrowDown: n - 1, ArrowUp: n + 1,
        PageDown: n - 10, PageUp: n + 10, Home: 0, End: last,
      }[event.key];
      if (this.chart.key?.(event, this.n) ?? false) {
        // done
      } else if (to !== undefined && !event.shiftKey) {
        this.show(Math.min(last, Math.max(0, to)));
      } else if (event.key === "Escape" && this.n !== null) {
        this.hide();
      } else {
        return;
      }
      event.preventDefault();
      event.stopPropagation();
    }

    // event: of the pointer that points at it, where one does.
    show(n, event = null) {
      if (n < 0) return;
      this.n = n;
      this.say(n);
      const [when, ...lines] = this.chart.tell(n);
      const head = document.createElement("b");
      head.textContent = when;
      this.told.replaceChildren(head, ...lines.map(lineOf));
      this.told.hidden = false;
      const { width } = this.host.getBoundingClientRect();
      const x = this.chart.x(n) * width;
      const isRight = x > width / 2;
      this.told.style.left = isRight ? "auto" : `${x + AWAY_PX}px`;
      this.told.style.right = isRight ? `${width - x + AWAY_PX}px` : "auto";
      this.told.style.maxWidth = `${(isRight ? x : width - x) - AWAY_PX}px`;
      this.chart.point(n, event);
    }

    say(n) {
      this.box.setAttribute("aria-valuemax", String(Math.max(0, this.chart.count - 1)));
      this.box.setAttribute("aria-valuenow", String(Math.max(0, n)));
      const text = n < 0 ? this.chart.label : this.chart.tell(n).join("; ");
      this.box.setAttribute("aria-valuetext", text);
    }

    hide() {
      if (this.n === null) return;
      this.n = null;
      this.told.hidden = true;
      this.chart.point(null, null);
    }

    end() {
      if (this.n !== null || this.isFocused) {
        const at = this.n === null ? null : (this.chart.at?.(this.n) ?? this.n);
        kept.set(this.key, { at, isFocused: this.isFocused });
      }
      this.chart.end?.();
      this.box.remove();
      this.told.remove();
    }

    goOn() {
      const was = kept.get(this.key);
      if (was === undefined) return;
      kept.delete(this.key);
      const of = this.chart.of ?? ((n) => Math.min(n, this.chart.count - 1));
      if (was.at !== null) this.show(of(was.at));
      const focused = document.activeElement;
      if (was.isFocused && (focused === null || focused === document.body)) {
        this.box.focus({ preventScroll: true });
      }
    }
  }

  function lineOf(text) {
    const line = document.createElement("span");
    line.textContent = text;
    return line;
  }

  function sourceOf(host) {
    return host.querySelector("script")?.textContent ?? "";
  }

  function keyOf(host) {
    const part = host.closest("section") ?? document.body;
    const place = [...part.querySelectorAll(".plots")].indexOf(host);
    return `${part.getAttribute("aria-labelledby")}/${host.dataset.chart}/${place}`;
  }

  // Every chart under `root` has a reader afterwards; those that have one keep it.
  function enhance(root) {
    for (const [host, reader] of living) {
      const isSame = host.isConnected && reader.box.parentNode === host;
      if (isSame && reader.source === sourceOf(host)) continue;
      living.delete(host);
      reader.end();
    }
    const fresh = [];
    for (const host of root.querySelectorAll(".plots[data-chart]")) {
      if (living.has(host)) continue;
      const make = kinds.get(host.dataset.chart) ?? kinds.get("");
      const chart = make?.(host) ?? null;
      if (chart === null) continue;
      const reader = new Reader(host, keyOf(host), chart);
      chart.begin?.(reader);
      living.set(host, reader);
      fresh.push(reader);
    }
    for (const reader of fresh) reader.goOn();
  }

  // Bars: what is told of each place is its title, which the browser shows where there is no script.
  kinds.set("bars", (host) => {
    const svg = host.querySelector("svg");
    const places = () => svg.querySelectorAll(".place");
    if (places().length === 0) return null;
    const mark = document.createElement("div");
    mark.className = "reader-place";
    mark.hidden = true;
    const share = (place) => {
      const { width } = svg.viewBox.baseVal;
      const x = place.x.baseVal.value / width;
      return [x, x + place.width.baseVal.value / width];
    };
    return {
      label: svg.getAttribute("aria-label"),
      marks: [mark],
      get count() {
        return places().length;
      },
      find(x) {
        const n = [...places()].findIndex((place) => x < share(place)[1]);
        return n < 0 || x < share(places()[0])[0] ? null : n;
      },
      x(n) {
        const [begins, ends] = share(places()[n]);
        return (begins + ends) / 2;
      },
      tell: (n) => places()[n].textContent.split("\n"),
      point(n) {
        mark.hidden = n === null;
        if (n === null) return;
        const [begins, ends] = share(places()[n]);
        mark.style.left = `${100 * begins}%`;
        mark.style.width = `${100 * (ends - begins)}%`;
      },
    };
  });

  // Whoever puts a part in the page, and however: it is seen here.
  function watch() {
    enhance(document);
    const seen = (record) => record.target.closest?.(".reader, .reading") == null;
    new MutationObserver((records) => {
      if (records.some(seen)) enhance(document);
    }).observe(document.body, { childList: true, subtree: true });
  }

  document.addEventListener("DOMContentLoaded", watch); // after all deferred scripts
  return { kinds, living, enhance };
})();
