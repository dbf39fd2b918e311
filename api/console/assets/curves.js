// Curves of readings that can be read, zoomed and moved: uPlot draws what the server drew, in its
// place and from the same figures. Another range is another address of the same section, which the
// server draws, so that back and forward work, and an address can be sent to somebody.
"use strict";

document.documentElement.classList.add("scripted-page");

(() => {
  const MARGIN = { left: 44, right: 8, top: 12, foot: 22 }; // of `Size` in curves.py
  const LEAST_PX = 8; // a shorter drag is a click
  const LEAST_MS = 60_000; // of a range
  const hidden = new Map(); // by section, what of it is switched off
  const shows = new Map(); // by section, how another address of it is shown

  // What is on screen

  function token(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  function fontOf(px, weight = 400) {
    return `${weight} ${px}px ${getComputedStyle(document.body).fontFamily}`;
  }

  function isHidden(host, name) {
    return hidden.get(host.closest("section")?.id)?.has(name) ?? false;
  }

  function drawnFor(host) {
    return [...host.querySelectorAll("svg.curve")].findIndex((svg) => svg.clientWidth > 0);
  }

  // What is told

  function wordsOf(host) {
    return JSON.parse(host.closest("section").querySelector(".chart-words").textContent);
  }

  function filled(text, values) {
    return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  }

  // As `value_text` of the server writes a figure.
  function figure(value, unit) {
    const text =
      Math.abs(value) >= 1000
        ? value.toFixed(0).replace(/\B(?=(\d{3})+$)/g, ",")
        : String(Number(value.toPrecision(4)));
    return `${text} ${unit}`.trim();
  }

  // As `share` of the server does: never rounded up to a whole that it is not.
  function shareText(share) {
    const percent = Math.min(100, 100 * share);
    return `${percent < 100 ? Math.min(99.9, Number(percent.toFixed(1))).toFixed(1) : "100.0"} %`;
  }

  function localTime(data, ms) {
    const ahead = data.clock.findLast(([from]) => from <= ms) ?? data.clock[0];
    return new Date(ms + ahead[1]).toISOString();
  }

  function span(data, begins, ends) {
    const [from, to] = [localTime(data, begins), localTime(data, ends)];
    const hasSeconds = begins % 60_000 !== 0 || ends % 60_000 !== 0;
    const clock = (text) => text.slice(11, hasSeconds ? 19 : 16);
    const day = (text) => text.slice(5, 10);
    const end = day(from) === day(to) ? clock(to) : `${day(to)} ${clock(to)}`;
    return `${day(from)} ${clock(from)} – ${end}`;
  }

  // The stretches that a cursor can stand in, in order: buckets with readings, and gaps.
  function stopsOf(data) {
    const stops = data.at.map((place, bucket) => {
      const from = data.from + place * data.every;
      const at = Math.min(from + data.every / 2, Math.max(data.known, from));
      return { from, to: from + data.every, at, bucket };
    });
    for (const [from, to] of data.gaps) stops.push({ from, to, at: (from + to) / 2, bucket: null });
    return stops.sort((one, other) => one.from - other.from);
  }

  // Where a reading stands alone between two gaps, no line shows it.
  function aloneOf(stops) {
    return stops.flatMap((stop, n) => {
      const isEdge = (other) => other === undefined || other.bucket === null;
      const isAlone = isEdge(stops[n - 1]) && isEdge(stops[n + 1]);
      return stop.bucket !== null && isAlone ? [n] : [];
    });
  }

  function curve(host) {
    const data = JSON.parse(host.querySelector("script").textContent);
    const stops = stopsOf(data);
    if (stops.length === 0) return null;
    const words = wordsOf(host);
    const svg = host.querySelector("svg.curve");
    const view = { from: data.from, to: data.to };
    const column = (values) => stops.map(({ bucket }) => (bucket === null ? null : values[bucket]));
    const isWords = data.lanes !== undefined;
    const columns = [stops.map(({ at }) => at)];
    if (isWords) columns.push(stops.map(() => null));
    else columns.push(column(data.mean), column(data.most), column(data.least));
    const alone = aloneOf(stops);
    let plot = null;
    let k = 1; // how much larger than its units the drawing is shown
    let ticks = data.ticks[0];
    let reader = null;

    function nearest(ms) {
      const gap = stops.findIndex(({ bucket, from, to }) => bucket === null && from <= ms && ms < to);
      if (gap >= 0) return gap;
      let best = null;
      for (const [n, stop] of stops.entries()) {
        if (stop.bucket === null) continue;
        if (best === null || Math.abs(stop.at - ms) < Math.abs(stops[best].at - ms)) best = n;
      }
      return best ?? 0;
    }

    // Drawing, in the pixels of the canvas

    function hatch(context, x, y, width, height) {
      const ratio = uPlot.pxRatio;
      context.save();
      context.globalAlpha = 0.5;
      context.strokeStyle = token("--hatch");
      context.lineWidth = 0.75 * ratio;
      context.strokeRect(x, y, width, height);
      context.beginPath();
      context.rect(x, y, width, height);
      context.clip();
      context.beginPath();
      for (let at = x - height; at < x + width; at += 7 * k * ratio) {
        context.moveTo(at, y + height);
        context.lineTo(at + height, y);
      }
      context.lineWidth = 1.6 * k * ratio;
      context.stroke();
      context.restore();
    }

    function write(context, text, x, y, colour, align = "left", weight = 400) {
      context.save();
      context.font = fontOf(12 * k * uPlot.pxRatio, weight);
      context.textAlign = align;
      context.textBaseline = "alphabetic";
      context.lineJoin = "round";
      context.lineWidth = 3 * uPlot.pxRatio;
      context.strokeStyle = token("--surface");
      context.strokeText(text, x, y);
      context.fillStyle = colour;
      context.fillText(text, x, y);
      context.restore();
    }

    function rule(context, from, to, colour, dash, width) {
      const ratio = uPlot.pxRatio;
      context.save();
      context.strokeStyle = colour;
      context.lineWidth = width * ratio;
      context.setLineDash(dash.map((part) => part * ratio));
      context.beginPath();
      context.moveTo(...from);
      context.lineTo(...to);
      context.stroke();
      context.restore();
    }

    function within({ ctx, bbox }, draw) {
      ctx.save();
      ctx.beginPath();
      ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
      ctx.clip();
      draw(ctx, bbox);
      ctx.restore();
    }

    function below(u) {
      within(u, (context, area) => {
        const x = (ms) => u.valToPos(Math.min(ms, data.known), "x", true);
        for (const [from, to] of data.gaps) {
          hatch(context, x(from), area.top, x(to) - x(from), area.height);
        }
        if (!isWords || isHidden(host, "mean")) return;
        const height = area.height / Math.max(1, data.lanes.length);
        context.fillStyle = token("--chart-1");
        context.globalAlpha = 0.35;
        for (const [n, [, spans]] of data.lanes.entries()) {
          for (const [from, to] of spans) {
            const left = x(Math.max(from, data.from));
            context.fillRect(left, area.top + n * height, Math.max(1, x(to) - left), height);
          }
        }
      });
    }

    function above(u) {
      const { ctx, bbox: area } = u;
      const ratio = uPlot.pxRatio;
      const [right, foot] = [area.left + area.width, area.top + area.height];
      rule(ctx, [area.left, foot], [right, foot], token("--line-strong"), [], 1);
      for (const [n, [text]] of (data.lanes ?? []).entries()) {
        const height = area.height / data.lanes.length;
        write(ctx, text, area.left, area.top + n * height + 12 * k * ratio, token("--ink"));
      }
      for (const [level, text, look] of isHidden(host, "limit") ? [] : data.limits) {
        const y = u.valToPos(level, "y", true);
        const colour = token(`--${look}-ink`) || token("--line-strong");
        rule(ctx, [area.left, y], [right, y], colour, [5, 3], 1.25);
        write(ctx, text, area.left + 6 * k * ratio, y - 4 * k * ratio, colour, "left", 600);
      }
      for (const [ms, text] of data.marks) {
        if (ms < view.from || ms > view.to) continue;
        const x = u.valToPos(ms, "x", true);
        const isLeft = x < area.left + area.width / 2;
        rule(ctx, [x, area.top], [x, foot], token("--ink"), [1, 3], 1);
        const aside = (isLeft ? 4 : -4) * k * ratio;
        const y = area.top + 10 * k * ratio;
        write(ctx, text, x + aside, y, token("--ink"), isLeft ? "left" : "right");
      }
    }

    function options(width, height) {
      const axis = {
        font: fontOf(12 * k),
        stroke: () => token("--ink-3"),
        gap: 6,
        labelSize: 0,
      };
      const line = { show: true, stroke: () => token("--line-strong"), width: 1 };
      const edge = { width: 0, points: { show: false } };
      const chart1 = () => token("--chart-1");
      return {
        width,
        height,
        legend: { show: false },
        padding: [
          () => MARGIN.top * k,
          () => MARGIN.right * k,
          0,
          () => (isWords ? MARGIN.left * k : 0),
        ],
        scales: {
          x: { time: false, range: () => [view.from, view.to] },
          y: { range: () => (isWords ? [0, 1] : (data.scale ?? [0, 1])) },
        },
        series: [
          {},
          {
            stroke: chart1,
            width: 1.6,
            show: !isHidden(host, "mean"),
            points: { show: true, filter: () => alone, size: 4, width: 0, fill: chart1 },
          },
          ...(isWords
            ? []
            : [
                { ...edge, show: !isHidden(host, "band") },
                { ...edge, show: !isHidden(host, "band") },
              ]),
        ],
        bands: isWords ? [] : [{ series: [2, 3], fill: () => `${chart1()}38` }],
        axes: [
          {
            ...axis,
            size: () => MARGIN.foot * k,
            gap: 2,
            splits: () => ticks.map(([ms]) => ms),
            values: () => ticks.map(([, text]) => text),
            grid: { show: false },
            ticks: { ...line, size: 4 },
          },
          {
            ...axis,
            show: !isWords,
            size: () => MARGIN.left * k,
            splits: () => levels(),
            values: () => data.grid,
            grid: { stroke: () => token("--chart-grid"), width: 1 },
            ticks: { show: false },
          },
        ],
        cursor: {
          y: !isWords,
          points: { size: 7, width: 2, stroke: chart1, fill: () => token("--surface") },
          dataIdx: (u, series, index, ms) => nearest(ms),
          drag: { x: host.closest("[data-zoom]") !== null, y: false, setScale: false, dist: LEAST_PX },
          bind: {
            mousedown: (u, target, begin) => (event) => (event.shiftKey ? null : begin(event)),
            dblclick: () => (event) => {
              zoom(2, timeAt(event));
              return null;
            },
          },
        },
        hooks: {
          drawClear: [below],
          draw: [above],
          setSelect: [
            (u) => {
              const { left, width: wide } = u.select;
              if (wide < LEAST_PX) return;
              const [from, to] = [u.posToVal(left, "x"), u.posToVal(left + wide, "x")];
              u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
              ask(from, to);
            },
          ],
        },
      };
    }

    function levels() {
      const [low, high] = data.scale ?? [0, 1];
      return data.grid.map((_, n) => low + ((high - low) * n) / Math.max(1, data.grid.length - 1));
    }

    function timeAt(event) {
      return plot.posToVal(event.clientX - plot.over.getBoundingClientRect().left, "x");
    }

    // In the box of the server's drawing, whatever that is shown at.
    function fit() {
      const n = drawnFor(host);
      const shown = host.querySelectorAll("svg.curve")[n];
      if (shown === undefined) return;
      const { width, height } = shown.getBoundingClientRect();
      const larger = width / shown.viewBox.baseVal.width;
      if (plot !== null && larger === k && ticks === data.ticks[n]) return;
      k = larger;
      ticks = data.ticks[n];
      plot?.destroy(); // its texts have a size of their own
      plot = new uPlot(options(width, height), columns, reader.box);
      if (reader.n !== null) reader.show(reader.n);
    }

    // Another range

    // Asks the server for it, or says that it is the same.
    function ask(from, to, focus = null) {
      const section = host.closest("[data-zoom]");
      if (section === null) return false; // it shows what it shows
      const middle = (from + to) / 2;
      const length = Math.min(Math.max(to - from, LEAST_MS), Number(section.dataset.most));
      const end = Math.min(Math.ceil(middle + length / 2), data.now);
      const begin = Math.floor(end - length);
      if (begin === data.from && end === data.to) return false;
      const address = new URL(section.dataset.zoom, location.href);
      address.searchParams.set("from", new Date(begin).toISOString());
      address.searchParams.set("to", new Date(end).toISOString());
      address.hash = section.id;
      go(section.id, address.href, focus);
      return true;
    }

    function zoom(times, around = (view.from + view.to) / 2, focus = null) {
      const share = (around - view.from) / (view.to - view.from);
      const length = (view.to - view.from) * times;
      return ask(around - share * length, around + (1 - share) * length, focus);
    }

    function move(share, focus = null) {
      const by = (view.to - view.from) * share;
      if (by > 0 && view.to >= data.now) return false; // nothing is known of what comes
      return ask(view.from + by, view.to + by, focus);
    }

    function key(event, n) {
      const around = n === null ? undefined : stops[n].at;
      if (event.shiftKey && event.key === "ArrowLeft") move(-0.25);
      else if (event.shiftKey && event.key === "ArrowRight") move(0.25);
      else if (event.key === "+" || event.key === "=") zoom(0.5, around);
      else if (event.key === "-" || event.key === "_") zoom(2, around);
      else if (event.key === "Escape") return reset(host.closest("[data-zoom]"));
      else return false;
      return true;
    }

    const sizes = new ResizeObserver(fit);
    return {
      label: svg.getAttribute("aria-label"),
      count: stops.length,
      zoom,
      move,
      // Switches what is shown of it, and takes over colours.
      redraw() {
        if (plot === null) return;
        plot.batch(() => {
          plot.setSeries(1, { show: !isHidden(host, "mean") });
          for (const n of isWords ? [] : [2, 3]) {
            plot.setSeries(n, { show: !isHidden(host, "band") });
          }
        });
        plot.redraw(false);
      },
      begin(of) {
        reader = of;
        sizes.observe(host);
        fit();
        drag(reader.box);
      },
      end() {
        sizes.disconnect();
        plot?.destroy();
      },
      at: (n) => stops[n].at,
      of: nearest,
      find(x) {
        if (plot === null) return null;
        const left = x * host.clientWidth - plot.over.offsetLeft;
        if (left < -MARGIN.left * k || left > plot.over.clientWidth + MARGIN.right * k) return null;
        const ms = plot.posToVal(Math.min(Math.max(left, 0), plot.over.clientWidth), "x");
        return ms > data.known + data.every ? null : nearest(ms);
      },
      x: (n) =>
        plot === null
          ? 0
          : (plot.over.offsetLeft + plot.valToPos(stops[n].at, "x")) / host.clientWidth,
      tell(n) {
        const { from, to, bucket } = stops[n];
        const lines = [span(data, from, to)];
        if (bucket === null) return [...lines, words.gap];
        if (isWords) {
          lines.push(data.last[bucket]);
        } else {
          const [mean, least, most] = [data.mean, data.least, data.most].map((of) => of[bucket]);
          const told = figure(mean, data.unit);
          lines.push(data.count === undefined ? told : `${words.mean} ${told}`);
          if (least !== most) {
            const ends = { least: figure(least, data.unit), most: figure(most, data.unit) };
            lines.push(filled(words.between, ends));
          }
        }
        if (data.count === undefined) return lines;
        const read = data.count[bucket];
        const sure = [read === 1 ? words.one : filled(words.count, { n: figure(read, "") })];
        const due = (data.reports * (Math.min(to, data.known) - from)) / data.every;
        if (data.reports !== null && due >= 1) {
          sure.push(filled(words.complete, { share: shareText(read / due) }));
        }
        return [...lines, sure.join(words.sep)];
      },
      // The cursor of this chart, and those of the others beside it, at the same time.
      point(n, event) {
        set(n, event);
        for (const other of besides(host)) {
          other.chart.set(n === null ? null : stops[n].at);
        }
      },
      // at: ms, or null for nowhere.
      set(at) {
        if (plot === null) return;
        if (at === null) plot.setCursor({ left: -10, top: -10 }, false);
        else plot.setCursor({ left: plot.valToPos(at, "x"), top: -10 }, false);
      },
      key,
    };

    function set(n, event) {
      if (plot === null) return;
      if (n === null) {
        plot.setCursor({ left: -10, top: -10 }, false);
      } else if (event === null || event.pointerType !== "mouse") {
        const { at, bucket } = stops[n];
        const value = bucket === null || isWords ? null : data.mean[bucket];
        const top = value === null ? -10 : plot.valToPos(value, "y");
        plot.setCursor({ left: plot.valToPos(at, "x"), top }, false);
      } // under a mouse it goes by itself
    }

    // With Shift the range is moved as it is dragged.
    function drag(box) {
      let began = null;
      box.addEventListener("pointerdown", (event) => {
        if (!event.shiftKey || event.button !== 0 || event.pointerType !== "mouse") return;
        if (box.closest("[data-zoom]") === null) return;
        event.preventDefault();
        box.setPointerCapture(event.pointerId);
        began = { x: event.clientX, from: view.from, to: view.to };
      });
      box.addEventListener("pointermove", (event) => {
        if (began === null) return;
        const scale = (began.to - began.from) / plot.over.clientWidth;
        const by = Math.min((began.x - event.clientX) * scale, Math.max(0, data.now - began.to));
        view.from = began.from + by;
        view.to = began.to + by;
        plot.setScale("x", { min: view.from, max: view.to });
      });
      for (const name of ["pointerup", "pointercancel"]) {
        box.addEventListener(name, () => {
          if (began === null) return;
          const { from } = began;
          began = null;
          if (view.from !== from) ask(view.from, view.to);
        });
      }
    }
  }

  function besides(host) {
    const section = host.closest("section");
    return [...chartReaders.living].flatMap(([other, reader]) =>
      other !== host && section.contains(other) && reader.chart.set ? [reader] : [],
    );
  }

  function curvesOf(section) {
    return [...chartReaders.living].flatMap(([host, { chart }]) =>
      section.contains(host) && chart.redraw ? [chart] : [],
    );
  }

  // Other addresses of a section

  function showOf(id) {
    if (!shows.has(id)) shows.set(id, shown(id, (page, fresh) => switchOff(fresh)));
    return shows.get(id);
  }

  async function go(id, address, focus) {
    if (await showOf(id)(address, focus)) history.pushState(null, "", address);
  }

  // Back to what the page shows by itself; whether it showed something else.
  function reset(section, focus = null) {
    const asked = new URLSearchParams(location.search);
    if (section === null) return false;
    if (!asked.has("from") && !asked.has("to")) return false;
    const address = new URL(section.dataset.zoom, location.href);
    address.hash = section.id;
    go(section.id, address.href, focus);
    return true;
  }

  // What is switched off stays so in what takes the section's place.
  function switchOff(section) {
    for (const box of section.querySelectorAll("[data-series]")) {
      box.checked = !(hidden.get(section.id)?.has(box.dataset.series) ?? false);
    }
  }

  document.addEventListener("change", (event) => {
    const box = event.target.closest("[data-series]");
    if (box === null) return;
    const section = box.closest("section");
    const off = [...section.querySelectorAll("[data-series]:not(:checked)")];
    hidden.set(section.id, new Set(off.map((one) => one.dataset.series)));
    for (const chart of curvesOf(section)) chart.redraw();
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-tool]");
    const section = button?.closest("[data-zoom]") ?? null;
    if (section === null) return;
    const { tool } = button.dataset;
    const focus = `[data-tool="${tool}"]`;
    const [chart] = curvesOf(section);
    if (tool === "reset") reset(section, focus);
    else if (tool === "in") chart?.zoom(0.5, undefined, focus);
    else if (tool === "out") chart?.zoom(2, undefined, focus);
    else chart?.move(tool === "earlier" ? -0.5 : 0.5, focus);
  });

  window.addEventListener("popstate", () => {
    for (const section of document.querySelectorAll("[data-zoom]")) {
      showOf(section.id)(location.href, null);
    }
  });

  function recolour() {
    for (const { chart } of chartReaders.living.values()) chart.redraw?.();
  }

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
  new MutationObserver(recolour).observe(document.documentElement, {
    attributeFilter: ["data-theme"],
  });

  chartReaders.kinds.set("", (host) => {
    const section = host.closest("section");
    if (section.querySelector(".chart-words") === null) return null;
    switchOff(section);
    return curve(host);
  });
})();
