"use strict";
// Plots of the trials shown: any metric against any parameter, literal, seed or commit.
mitosis.plots = (() => {
  const { h, data, state } = mitosis;
  const MOST_POINTS = 1500, MOST_SERIES = 10;
  const KINDS = [["auto", "automatic"], ["points", "points"], ["box", "boxes"], ["line", "line"], ["commits", "over commits"], ["parallel", "parallel"], ["none", "no plot"]];

  const metrics = () => data.shown().filter((name) => /^(metric\.|duration_s|cpu_s|peak_memory)/.test(name) && data.numbers(name));
  const inputs = () => ["", ...data.of("param."), "seed", "experiment", "commit", "branch", "user", "host", "environment", "status", ...metrics()].filter((name) => !name || data.has(name));
  // That trials of other experiments lack a parameter makes no difference to look at.
  const values = (name, rows) => { const found = data.distinct(name, rows); found.delete(undefined); return found; };
  const varying = (rows) => data.of("param.").filter((name) => values(name, rows).size > 1);

  // What is plotted if nobody says: main against the parameter with most values, coloured by another.
  const settings = (rows) => {
    const names = varying(rows).sort((a, b) => Boolean(data.numbers(b)) - Boolean(data.numbers(a)) || data.distinct(b, rows).size - data.distinct(a, rows).size);
    const few = names.filter((name) => data.distinct(name, rows).size <= 40);
    const y = state.get("y") || (data.has("metric.main") ? "metric.main" : metrics()[0]) || "";
    const x = state.get("x") || few[0] || (data.distinct("experiment", rows).size > 1 ? "experiment" : data.has("seed") ? "seed" : "experiment");
    const on = rows.filter((row) => data.get(x, row) !== undefined);
    const c = state.get("color") === "-" ? "" : state.get("color") || few.find((name) => { const n = name === x ? 0 : data.distinct(name, on).size; return n > 1 && n <= MOST_SERIES; }) || "";
    let kind = state.get("plot") || "auto";
    if (kind === "auto") {
      const numbers = data.numbers(x);
      if (rows.length < 2 && !state.get("x")) kind = "none"; // one trial is no plot
      else if (x === "commit") kind = "commits";
      else if (numbers && x !== "seed" && new Set(rows.map((row) => numbers[row])).size > 2) kind = x.startsWith("metric.") ? "points" : "line";
      else kind = rows.length > MOST_POINTS ? "box" : "points";
    }
    // A grid over decades reads best on a logarithmic axis, unless somebody said otherwise.
    const steps = kind === "line" ? on.map((row) => data.numbers(x)?.[row]).filter(Number.isFinite) : [];
    const [low, high] = d3.extent(steps);
    const logx = state.get("logx") ? state.get("logx") === "1" : low > 0 && high / low >= 100;
    return { x, y, c, kind, logx, logy: state.get("logy") === "1" };
  };

  const points = (rows, s) => {
    const ys = data.numbers(s.y) || [], xs = data.numbers(s.x);
    return rows.filter((row) => Number.isFinite(ys[row]) && (!s.logy || ys[row] > 0)).map((row) => ({
      row, y: ys[row], n: xs?.[row], x: data.get(s.x, row) === undefined ? "∅" : data.show(s.x, row), c: s.c ? data.show(s.c, row) : undefined,
    }));
  };
  const tip = (d) => [`${data.get("id", d.row)} · ${data.get("experiment", d.row)}`, ...data.of("param.").filter((n) => data.get(n, d.row) !== undefined).slice(0, 8).map((n) => `${data.label(n)} ${data.get(n, d.row)}`),
    ...(data.get("seed", d.row) === undefined ? [] : [`seed ${data.get("seed", d.row)}`]), `${data.label(state.get("y") || "metric.main")} ${mitosis.number(d.y)}`].join("\n");

  const palette = (dots, s, options) => {
    if (!s.c) return;
    const domain = [...new Set(dots.map((d) => d.c))].sort(data.order(s.c));
    if (domain.length <= MOST_SERIES) options.color = { type: "categorical", domain, scheme: "observable10" };
    else {
      const numbers = data.numbers(s.c);
      if (numbers) { dots.forEach((d) => { d.c = numbers[d.row]; }); options.color = { type: "linear", scheme: "viridis" }; } else options.color = { type: "ordinal", domain, scheme: "turbo" };
    }
    options.color.legend = true;
    options.color.label = data.label(s.c);
  };

  // One group of trials per series and place: seeds become a mean with its spread.
  const spread = (dots, key) => {
    const groups = d3.groups(dots, (d) => d.c ?? "", (d) => d[key]);
    return groups.flatMap(([c, places]) => places.map(([x, members]) => {
      const values = members.map((d) => d.y), mean = mitosis.mean(values), sd = mitosis.deviation(values);
      return { c: c === "" ? undefined : c, x, mean, low: mean - sd, high: mean + sd, n: values.length };
    }));
  };

  const frame = (s, width) => ({
    width, height: width < 560 ? 240 : 290, marginLeft: 62, marginBottom: 44, grid: true, style: { background: "transparent", color: "inherit", fontSize: "12px", fontFamily: "inherit", overflow: "visible" },
    y: { label: data.label(s.y), type: s.logy ? "log" : "linear", nice: true, labelAnchor: "top" },
  });
  const stroke = (s) => (s.c ? { stroke: "c" } : { stroke: "var(--accent)" });
  const fill = (s) => (s.c ? { fill: "c" } : { fill: "var(--accent)" });

  const categorical = (dots, s, width) => {
    const options = frame(s, width);
    const domain = [...new Set(dots.map((d) => d.x))].sort(data.order(s.x));
    const longest = Math.max(0, ...domain.map((one) => one.length));
    const tight = longest * 7 > (width - 80) / Math.max(1, domain.length);
    options.x = { domain, label: data.label(s.x), type: "band", padding: 0.15, tickRotate: tight ? -35 : 0, tickFormat: (one) => (one.length > 24 ? `${one.slice(0, 23)}…` : one) };
    if (tight) options.marginBottom = Math.min(130, 44 + Math.min(longest, 24) * 4);
    palette(dots, s, options);
    if (s.kind === "box") {
      const split = s.c && options.color?.type === "categorical";
      if (split) {
        options.fx = { ...options.x, padding: 0.1 };
        options.x = { domain: options.color.domain, axis: null, type: "band" };
        options.marks = [Plot.boxY(dots, { fx: "x", x: "c", y: "y", fill: "c", stroke: "currentColor", r: 1.4, strokeOpacity: 0.75 })];
      } else options.marks = [Plot.boxY(dots, { x: "x", y: "y", fill: "var(--accent-soft)", stroke: "currentColor", r: 1.4 })];
      return options;
    }
    const step = (width - 80) / Math.max(1, domain.length), series = options.color?.type === "categorical" ? options.color.domain : [];
    const lane = Math.min(26, (step * 0.7) / Math.max(1, series.length));
    const place = new Map();
    // Side by side within the series' own lane, spread by a fixed hash, so a plot is drawn alike twice.
    dots.forEach((d, i) => {
      const at = series.length > 1 ? (series.indexOf(d.c) - (series.length - 1) / 2) * lane : 0;
      place.set(d, at + ((((i * 2654435761) % 997) / 997) - 0.5) * lane * 0.7);
    });
    const moved = d3.groups(dots, (d) => Math.round(place.get(d)));
    options.marks = [
      ...moved.map(([dx, members]) => Plot.dot(members, { x: "x", y: "y", dx, r: dots.length > 300 ? 2.2 : 3.4, fillOpacity: 0.8, ...fill(s) })),
      Plot.tickY(dots, Plot.groupX({ y: "mean" }, { x: "x", y: "y", stroke: "currentColor", strokeWidth: 1.6, insetLeft: 8, insetRight: 8 })),
      Plot.tip(dots, Plot.pointer({ x: "x", y: "y", title: tip, fill: "var(--raised)", stroke: "var(--line)" })),
    ];
    return options;
  };

  const line = (dots, s, width) => {
    const options = frame(s, width), known = dots.filter((d) => Number.isFinite(d.n) && (!s.logx || d.n > 0));
    palette(known, s, options);
    const means = spread(known, "n").sort((a, b) => a.x - b.x);
    if (s.logy) means.forEach((d) => { d.low = Math.max(d.low, d.mean / 10); });
    options.x = { label: data.label(s.x), type: s.logx ? "log" : "linear", nice: true };
    options.marks = [
      Plot.areaY(means, { x: "x", y1: "low", y2: "high", fillOpacity: 0.16, z: "c", ...fill(s) }),
      known.length <= MOST_POINTS ? Plot.dot(known, { x: "n", y: "y", r: 1.8, fillOpacity: 0.45, ...fill(s) }) : null,
      Plot.lineY(means, { x: "x", y: "mean", strokeWidth: 2, z: "c", ...stroke(s) }),
      Plot.dot(means, { x: "x", y: "mean", r: 3, ...fill(s) }),
      Plot.tip(known.length <= MOST_POINTS ? known : [], Plot.pointer({ x: "n", y: "y", title: tip, fill: "var(--raised)", stroke: "var(--line)" })),
    ];
    return options;
  };

  const scatter = (dots, s, width) => {
    const options = line(dots, s, width);
    options.marks = [Plot.dot(dots.filter((d) => Number.isFinite(d.n)), { x: "n", y: "y", r: 2.6, fillOpacity: 0.75, ...fill(s) }), options.marks[4]];
    return options;
  };

  const overCommits = (dots, s, width) => {
    const first = new Map();
    dots.forEach((d) => {
      const commit = data.get("commit", d.row), started = String(data.get("started", d.row) || "");
      d.x = commit ? commit.slice(0, 10) : "∅";
      const time = data.history.get(commit)?.time || started;
      if (!first.has(d.x) || Date.parse(time) < Date.parse(first.get(d.x))) first.set(d.x, time);
    });
    const domain = [...first.keys()].sort((a, b) => Date.parse(first.get(a)) - Date.parse(first.get(b)));
    const options = frame(s, width);
    palette(dots, s, options);
    const at = new Map(domain.map((one, index) => [one, index]));
    const means = spread(dots, "x").sort((a, b) => at.get(a.x) - at.get(b.x));
    options.marginBottom = 84;
    options.x = { domain, type: "point", label: "commit, oldest first", tickRotate: -40, ticks: domain.filter((_, index) => index % Math.ceil(domain.length / Math.max(4, width / 46)) === 0) };
    options.marks = [
      Plot.areaY(means, { x: "x", y1: "low", y2: "high", z: "c", fillOpacity: 0.13, ...fill(s) }),
      Plot.lineY(means, { x: "x", y: "mean", z: "c", strokeWidth: 1.8, ...stroke(s) }),
      Plot.dot(means, { x: "x", y: "mean", r: 3.2, ...fill(s), channels: { n: "n", subject: (d) => [...data.history].find(([hash]) => hash.startsWith(d.x))?.[1].subject || "" }, tip: { fill: "var(--raised)", stroke: "var(--line)" } }),
    ];
    return options;
  };

  const parallel = (dots, s, width) => {
    const rows = dots.map((d) => d.row);
    const names = [...varying(rows).slice(0, 6), ...(data.has("seed") && data.distinct("seed", rows).size > 1 ? ["seed"] : []), ...metrics().filter((name) => name.startsWith("metric.") && name !== s.y && rows.some((row) => data.get(name, row) !== undefined)).slice(0, 3), s.y].slice(-9);
    const step = Math.ceil(dots.length / MOST_POINTS), drawn = dots.filter((_, index) => index % step === 0);
    const marks = [], options = frame(s, width), lines = [], labels = [];
    palette(drawn, s, options);
    for (const name of names) {
      const numbers = data.numbers(name);
      if (numbers) {
        const values = drawn.map((d) => numbers[d.row]).filter(Number.isFinite), [low, high] = d3.extent(values);
        const scale = low > 0 && ((s.logy && name.startsWith("metric.")) || (name.startsWith("param.") && high / low >= 100)) ? d3.scaleLog([low, high], [0, 1]) : d3.scaleLinear(low === high ? [low - 1, high + 1] : [low, high], [0, 1]);
        drawn.forEach((d) => { if (Number.isFinite(numbers[d.row])) lines.push({ ...d, name, v: scale(numbers[d.row]) }); });
        labels.push({ name, v: 0, text: mitosis.number(low) }, { name, v: 1, text: mitosis.number(high) });
      } else {
        const domain = [...new Set(drawn.map((d) => data.show(name, d.row)))].sort(data.order(name)), scale = d3.scalePoint(domain, [0, 1]);
        if (domain.length === 1) scale.range([0.5, 0.5]);
        drawn.forEach((d) => lines.push({ ...d, name, v: scale(data.show(name, d.row)) }));
        domain.slice(0, 12).forEach((one) => labels.push({ name, v: scale(one), text: one.length > 16 ? `${one.slice(0, 15)}…` : one }));
      }
    }
    options.y = { axis: null, domain: [-0.06, 1.06] };
    options.x = { domain: names, type: "point", label: null, axis: "top", tickFormat: data.label, tickSize: 0 };
    options.grid = false;
    options.marginTop = 36; options.marginBottom = 14; options.marginLeft = 30; options.marginRight = 90;
    marks.push(Plot.ruleX(names, { strokeOpacity: 0.35 }), Plot.line(lines, { x: "name", y: "v", z: "row", strokeOpacity: Math.max(0.14, Math.min(0.7, 60 / drawn.length)), strokeWidth: 1.3, ...stroke(s) }),
      Plot.text(labels, { x: "name", y: "v", text: "text", textAnchor: "start", dx: 6, fill: "currentColor", stroke: "var(--paper)", strokeWidth: 4, fontSize: 11 }));
    options.marks = marks;
    options.note = step > 1 ? `every ${step}th of ${dots.length.toLocaleString("en")} trials drawn` : "";
    return options;
  };

  const chooser = (label, name, values, current) => h("label", { class: "chooser" }, h("span", {}, label),
    h("select", { id: `plot-${name}`, onchange: (event) => state.set({ [name]: event.target.value }) },
      values.map(([value, text]) => h("option", { value, selected: value === current }, text))));
  const tick = (label, name, on, off = "") => h("label", { class: "tick" }, h("input", { type: "checkbox", id: `plot-${name}`, checked: on, onchange: (event) => state.set({ [name]: event.target.checked ? "1" : off }) }), label);

  const draw = (rows, s, width) => {
    const dots = points(rows, s);
    if (!dots.length) return h("p", { class: "empty" }, rows.length ? `None of these trials has a number for ${data.label(s.y) || "a metric"}.` : "Nothing to plot.");
    const kinds = { points: data.numbers(s.x) && s.x.startsWith("metric.") ? scatter : categorical, box: categorical, line: data.numbers(s.x) ? line : categorical, commits: overCommits, parallel };
    const many = s.kind === "points" && dots.length > MOST_POINTS && kinds.points === categorical;
    const options = kinds[s.kind](dots, many ? { ...s, kind: "box" } : s, width);
    const drawn = s.kind === "line" && kinds.line === line ? dots.filter((d) => Number.isFinite(d.n) && (!s.logx || d.n > 0)).length : dots.length;
    const figure = Plot.plot({ ...options, marks: options.marks.filter(Boolean) });
    figure.setAttribute("role", "img");
    figure.setAttribute("aria-label", `${data.label(s.y)} against ${data.label(s.x)}, ${mitosis.count(dots.length, "trial")}`);
    figure.addEventListener("click", () => { if (figure.value?.row !== undefined) location.href = data.page(figure.value.row); });
    const notes = [options.note, many ? `boxes, as there are more than ${MOST_POINTS.toLocaleString("en")} points` : "", drawn < rows.length ? `${mitosis.count(rows.length - drawn, "trial")} without these values not shown` : ""].filter(Boolean);
    return [figure, notes.length ? h("p", { class: "muted small" }, notes.join(" · ")) : null];
  };

  let last = "";
  const render = (place, rows) => {
    const s = settings(rows);
    const width = Math.max(280, Math.min(1500, place.clientWidth - 32));
    const key = JSON.stringify([s, width, state.get("plot"), rows]);
    if (key === last && place.firstChild) return;
    last = key;
    const focus = document.activeElement?.id;
    const names = inputs().filter(Boolean).map((name) => [name, data.label(name)]);
    mitosis.fill(place, h("details", { class: "plot-options", open: innerWidth >= 720 || place.querySelector("details")?.open === true }, h("summary", {}, "Plot"), h("div", { class: "plot-bar" },
      chooser("plot", "plot", KINDS, state.get("plot") || "auto"),
      s.kind !== "none" && [
        chooser("y", "y", metrics().map((name) => [name, data.label(name)]), s.y),
        s.kind !== "parallel" && s.kind !== "commits" && chooser("x", "x", names, s.x),
        chooser("colour", "color", [["-", "none"], ...names], s.c || "-"),
        tick("log y", "logy", s.logy), s.kind === "line" && tick("log x", "logx", s.logx, "0")])),
    h("div", { class: "plot", "data-kind": s.kind }, s.kind === "none" ? null : draw(rows, s, width)));
    if (focus?.startsWith("plot-")) document.getElementById(focus)?.focus();
  };
  return { render, forget: () => { last = ""; }, draw, MOST_POINTS };
})();
