"use strict";
// The selected trials side by side: what differs between them, and against the first of them.
mitosis.compare = (() => {
  const { h, data, state } = mitosis;
  const LARGEST_DIFF = 6000;

  const same = (values) => values.every((one) => String(one) === String(values[0]) && (one === undefined) === (values[0] === undefined));
  const heading = (row, index, rows) => h("th", { scope: "col" }, h("a", { href: data.page(row) }, data.get("id", row)), " ", mitosis.badge(data.get("status", row)),
    h("div", { class: "muted small" }, data.get("experiment", row)),
    index === 0 ? h("div", { class: "small base" }, "compared with") : h("button", { type: "button", class: "more", onclick: () => state.set({ sel: [row, ...rows.filter((one) => one !== row)].map((one) => data.get("id", one)) }) }, "compare with this"));

  const grid = (rows, lines) => h("div", { class: "scroll", tabindex: 0 }, h("table", { class: "compare" },
    h("thead", {}, h("tr", {}, h("td", {}), rows.map(heading))),
    h("tbody", {}, lines.map(({ label, cells, differs }) => h("tr", { class: differs ? "differs" : "" }, h("th", { scope: "row" }, label), cells.map((one) => h("td", {}, one)))))));

  const section = (id, title, rows, lines, all, nothing) => {
    const shown = all ? lines : lines.filter((one) => one.differs);
    return h("section", { id: `compare-${id}` }, h("h2", {}, title), shown.length ? grid(rows, shown) : h("p", { class: "muted" }, lines.length ? nothing : "Nothing recorded."));
  };

  // What a name stands for in full: the parts of the value its lock has, those that differ first.
  const leaves = (digest) => data.names.find((one) => digest && one.digest.startsWith(digest))?.leaves.filter(([, facet]) => facet !== "note") || [];
  const full = (short, row, rows, all) => {
    const digest = data.get(`digest.${short}`, row), own = leaves(digest);
    if (own.length < 2) return null;
    const others = rows.filter((one) => one !== row).map((one) => new Map(leaves(data.get(`digest.${short}`, one)).map(([path, , text]) => [path, text])));
    const shown = all ? own : own.filter(([path, , text]) => others.some((one) => one.size && one.get(path) !== text));
    return h("ul", { class: "leaves" }, shown.slice(0, 40).map(([path, , text]) => h("li", {}, h("code", {}, `${path} = ${text}`))), shown.length > 40 ? h("li", { class: "muted" }, `and ${shown.length - 40} more`) : null);
  };

  const parameters = (rows, all) => {
    const names = data.of("param.").filter((name) => rows.some((row) => data.get(name, row) !== undefined));
    const lines = names.map((name) => {
      const short = name.slice(6);
      return {
        label: short,
        differs: !same(rows.map((row) => data.get(`digest.${short}`, row) || data.get(`value.${short}`, row))) || !same(rows.map((row) => data.get(name, row))),
        cells: rows.map((row) => [h("div", {}, data.show(name, row)), data.get(`value.${short}`, row) === data.get(name, row) ? null : h("code", { class: "value" }, data.get(`value.${short}`, row) ?? ""), full(short, row, rows, all)]),
      };
    });
    if (rows.some((row) => data.get("seed", row) !== undefined)) lines.push({ label: "seed", differs: !same(rows.map((row) => data.get("seed", row))), cells: rows.map((row) => data.show("seed", row)) });
    return lines;
  };

  const delta = (value, base) => {
    if (typeof value !== "number" || typeof base !== "number" || !Number.isFinite(value - base) || value === base) return null;
    const text = base === 0 ? `${value > 0 ? "+" : "−"}${mitosis.number(Math.abs(value - base))}` : `${value > base ? "+" : "−"}${Number(Math.abs((100 * (value - base)) / base).toPrecision(3))} %`;
    return h("span", { class: "delta" }, ` ${text}`);
  };
  const metrics = (rows) => data.shown().filter((name) => name.startsWith("metric.") && rows.some((row) => data.get(name, row) !== undefined)).map((name) => ({
    label: data.label(name), differs: !same(rows.map((row) => data.get(name, row))),
    cells: rows.map((row, index) => h("span", { class: "number", title: String(data.get(name, row) ?? "") }, typeof data.get(name, row) === "number" ? mitosis.number(data.get(name, row)) : data.show(name, row), index ? delta(data.get(name, row), data.get(name, rows[0])) : null)),
  }));

  const facts = (rows, names) => names.filter((name) => rows.some((row) => data.get(name, row) !== undefined)).map((name) => ({
    label: data.label(name), differs: !same(rows.map((row) => data.get(name, row))), cells: rows.map((row) => data.show(name, row)),
  }));
  const commit = (rows) => ({
    label: "commit", differs: !same(rows.map((row) => data.get("commit", row))),
    cells: rows.map((row) => {
      const known = data.history.get(data.get("commit", row));
      return [h("code", {}, (data.get("commit", row) || "none").slice(0, 12)), known ? h("div", {}, known.subject) : null, known ? h("div", { class: "muted small" }, `${known.author}, ${mitosis.time(known.time)}`) : null,
        data.get("snapshot", row) ? h("div", { class: "small" }, "uncommitted changes: ", h("code", {}, data.get("snapshot", row).slice(0, 12))) : null];
    }),
  });

  const patch = (name, before, after) => {
    if (before === undefined || after === undefined) return h("p", { class: "muted" }, "The sources are not at hand: this site was built without the project's repository, or it does not have them.");
    if (before.length + after.length > LARGEST_DIFF * 60) return h("p", { class: "muted" }, "Too long to compare here.");
    const { hunks } = Diff.structuredPatch(name, name, before, after, "", "", { context: 3 });
    return h("pre", { class: "patch", tabindex: 0 }, hunks.flatMap((hunk) => [
      h("span", { class: "hunk" }, `@@ -${hunk.oldStart},${hunk.oldLines} +${hunk.newStart},${hunk.newLines} @@\n`),
      ...hunk.lines.map((line) => h("span", { class: line[0] === "+" ? "add" : line[0] === "-" ? "cut" : "" }, `${line}\n`)),
    ]));
  };

  // The project's files that differ between two trials, of those they imported.
  const changes = (before, after) => {
    const files = new Map();
    (data.codes.get(before) || []).forEach(([place, blob]) => files.set(place, [blob, ""]));
    (data.codes.get(after) || []).forEach(([place, blob]) => files.set(place, [files.get(place)?.[0] || "", blob]));
    return [...files].filter(([, [a, b]]) => a !== b).sort(([a], [b]) => mitosis.natural(a, b));
  };
  const fillCode = async (place, rows) => {
    const codes = [...new Set(rows.map((row) => data.get("code", row)).filter(Boolean))];
    await Promise.all(codes.map((digest) => mitosis.load(`_site/code/${digest}.js`)));
    const parts = [];
    for (const row of rows.slice(1)) {
      const [before, after] = [data.get("code", rows[0]), data.get("code", row)];
      const pair = `${data.get("id", rows[0])} → ${data.get("id", row)}`;
      if (!before || !after) { parts.push(h("p", { class: "muted" }, `${pair}: which files were imported is not recorded.`)); continue; }
      const found = changes(before, after);
      if (!found.length) { parts.push(h("p", { class: "muted" }, `${pair}: all imported project files are the same.`)); continue; }
      const blobs = found.flatMap(([, pairOf]) => pairOf).filter(Boolean);
      await Promise.all(blobs.map((blob) => mitosis.load(`_site/blobs/${blob}.js`)));
      parts.push(h("h3", {}, pair, " ", h("span", { class: "muted" }, mitosis.count(found.length, "file"))), found.map(([name, [a, b]]) => h("details", { open: found.length <= 3 },
        h("summary", {}, h("code", {}, name), h("span", { class: "muted" }, a && b ? "" : a ? " only in the first" : " only in the second")),
        patch(name, a ? data.texts.get(a) : "", b ? data.texts.get(b) : ""))));
    }
    mitosis.fill(place, ...parts.flat(Infinity));
  };

  const fillEnvironment = async (place, rows, all) => {
    const digests = rows.map((row) => data.get("environment", row));
    await Promise.all(digests.filter((one) => /^[0-9a-f]+$/.test(one || "")).map((digest) => mitosis.load(`_site/environments/${digest}.js`)));
    const records = digests.map((digest) => new Map(data.environments.get(digest) || []));
    const names = [...new Set(records.flatMap((one) => [...one.keys()]))];
    const lines = [...facts(rows, ["host", "user"]), ...names.map((name) => ({ label: name.replace(/^packages\./, ""), differs: !same(records.map((one) => one.get(name))), cells: records.map((one) => one.get(name) ?? "–") }))];
    place.replaceWith(section("environment", "Environment", rows, lines, all, "The same Python, packages and machine."));
  };

  const figures = (rows) => {
    const names = [...new Set(rows.flatMap((row) => data.get("figures", row) || []))];
    if (!names.length) return null;
    return h("section", { id: "compare-figures" }, h("h2", {}, "Figures"), names.map((name) => h("div", { class: "side" }, rows.map((row) => h("figure", {},
      (data.get("figures", row) || []).includes(name) ? h("img", { src: data.file(row, name), alt: `${name} of ${data.get("id", row)}`, loading: "lazy" }) : h("div", { class: "missing muted" }, "none"),
      h("figcaption", {}, `${data.get("id", row)} · ${name}`))))));
  };
  const logs = (rows) => {
    const names = ["log.txt", "output.txt"].filter((name) => rows.some((row) => (data.get("logs", row) || []).includes(name)));
    return names.length ? h("section", { id: "compare-log" }, h("h2", {}, "Log"), names.map((name) => h("details", { ontoggle: (event) => { if (event.target.open) event.target.querySelectorAll("iframe:not([src])").forEach((one) => { one.src = one.dataset.src; }); } },
      h("summary", {}, name), h("div", { class: "side" }, rows.map((row) => h("figure", {}, h("figcaption", {}, data.get("id", row)), (data.get("logs", row) || []).includes(name) ? h("iframe", { sandbox: "", "data-src": data.file(row, name), title: `${name} of ${data.get("id", row)}` }) : h("div", { class: "missing muted" }, "none"))))))) : null;
  };

  const render = (place) => {
    const rows = state.all("sel").map((id) => data.row(id)).filter((row) => row !== undefined), all = state.get("all") === "1";
    const lost = state.all("sel").filter((id) => data.row(id) === undefined);
    if (rows.length < 2) { mitosis.fill(place, h("div", { class: "page" }, h("p", { class: "empty" }, lost.length ? `This store has no trial ${lost.join(", ")}.` : "Select two or more trials in the table, then compare them."))); return; }
    const code = h("div", {}, h("p", { class: "muted" }, "Reading …")), environment = h("div", {});
    const head = [commit(rows), ...facts(rows, ["branch", "tainted"])], run = facts(rows, ["started", "duration_s", "cpu_s", "peak_memory_bytes", "failure", "notes", "iteration"]);
    mitosis.fill(place, h("div", { class: "page wide" },
      h("div", { class: "title" }, h("h1", {}, `Compare ${mitosis.count(rows.length, "trial")}`),
        h("label", { class: "tick" }, h("input", { type: "checkbox", id: "differences", checked: !all, onchange: (event) => state.set({ all: !event.target.checked }) }), "only differences")),
      lost.length ? h("p", { class: "note" }, `This store has no trial ${lost.join(", ")}.`) : null,
      section("parameters", "Parameters", rows, parameters(rows, all), all, "The same values under the same names."),
      section("metrics", "Metrics", rows, metrics(rows), all, "The same to the last digit."),
      section("commits", "Code", rows, head, all, "The same commit."), code,
      section("run", "Run", rows, run, all, "No difference."), environment, figures(rows), logs(rows)));
    fillCode(code, rows);
    fillEnvironment(environment, rows, all);
  };
  return { render };
})();
