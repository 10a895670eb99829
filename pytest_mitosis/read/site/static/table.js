"use strict";
// The table of trials: virtual, so ten thousand rows cost what thirty do.
mitosis.table = (() => {
  const { h, data, state } = mitosis;
  let table = null, mask = new Uint8Array(0), selected = new Set(), fields = [], built = "", ready = false, active = -1;
  const LEFT = new Set(["id", "status", "experiment"]);
  const field = (name) => `c${data.shown().indexOf(name)}`;

  const isNumber = (name) => data.numbers(name) !== undefined && !name.startsWith("param.");

  // What is worth a column: what differs between the trials that the choice of experiments leaves.
  const standard = (rows) => {
    const varies = (name) => data.distinct(name, rows).size > 1;
    const present = (name) => rows.some((row) => data.get(name, row) !== undefined);
    const parameters = data.of("param.").filter(present);
    const metrics = data.shown().filter((name) => name.startsWith("metric.") && present(name));
    const narrow = innerWidth < 720;
    return [
      "id", "status", ...(varies("experiment") ? ["experiment"] : []),
      ...(parameters.filter(varies).length || rows.length > 1 ? parameters.filter(varies) : parameters).slice(0, narrow ? 3 : 8),
      ...(data.has("seed") && (varies("seed") || rows.length === 1) ? ["seed"] : []),
      ...metrics.slice(0, narrow ? 1 : 4), ...(data.has("supported") ? ["supported"] : []), "duration_s", "started", ...(data.has("official") ? ["official"] : []),
    ];
  };
  const chosen = (rows) => {
    const wanted = state.all("col").filter((name) => data.has(name));
    return wanted.length ? wanted : standard(rows);
  };

  const cell = (name) => (component) => {
    const row = component.getData().i;
    if (name === "id") return h("a", { href: data.page(row), class: "id", tabindex: -1 }, data.get("id", row), data.get("draft", row) ? h("span", { class: "tag" }, "draft") : "");
    if (name === "status") return mitosis.badge(data.get("status", row));
    if (name.startsWith("param.") && String(data.get(`kind.${name.slice(6)}`, row)) === "variant") {
      return h("a", { class: "name", tabindex: -1, title: String(data.get(`value.${name.slice(6)}`, row) ?? ""), href: variant(name, row) }, data.show(name, row));
    }
    const value = data.get(name, row);
    return h("span", value === undefined ? { class: "muted" } : { title: typeof value === "number" ? String(value) : null }, data.show(name, row));
  };
  const variant = (name, row) => state.link("variant", {
    step: data.get(`step.${name.slice(6)}`, row) ?? "", parameter: name.slice(6).split(".").pop(), variant: data.get(name, row) ?? "",
  });

  const order = (a, b) => {
    const empty = (one) => one === undefined || one === null || Number.isNaN(one);
    if (empty(a) || empty(b)) return empty(a) - empty(b);
    return typeof a === "number" && typeof b === "number" ? a - b : mitosis.natural(String(a), String(b));
  };

  const column = (name) => ({
    field: field(name), title: name, headerSortStartingDir: isNumber(name) ? "asc" : "asc",
    titleFormatter: () => h("span", { title: name }, data.label(name)), formatter: cell(name),
    hozAlign: isNumber(name) ? "right" : "left", headerHozAlign: isNumber(name) ? "right" : "left",
    // Nothing sorts last in either direction.
    sorter: (a, b, _a, _b, _c, direction) => {
      const empty = (one) => one === undefined || one === null || one === ""; // Tabulator hands "" over for nothing
      return empty(a) || empty(b) ? (empty(a) - empty(b)) * (direction === "asc" ? 1 : -1) : order(a, b);
    },
    width: name === "id" ? 112 : name === "status" ? 116 : name === "started" ? 150 : undefined,
    minWidth: 64, maxInitialWidth: 230, frozen: name === "id" && innerWidth >= 720, resizable: "header",
  });

  const box = () => ({
    field: "pick", title: "select", width: 40, hozAlign: "center", headerSort: false, resizable: false, frozen: innerWidth >= 720,
    titleFormatter: () => h("input", { type: "checkbox", id: "pick-all", "aria-label": "Select none, or up to 12 of the trials shown", onclick: (event) => { event.stopPropagation(); pick_all(); } }),
    formatter: (component) => {
      const id = component.getData().id;
      return h("input", { type: "checkbox", tabindex: -1, "aria-label": `Select trial ${id}`, checked: selected.has(id), onclick: (event) => { event.stopPropagation(); toggle(id); } });
    },
  });
  const pick_all = () => {
    const ids = selected.size ? [] : table.getRows("active").slice(0, 12).map((row) => row.getData().id);
    state.set({ sel: ids });
  };
  const toggle = (id) => {
    const now = new Set(selected);
    now.has(id) ? now.delete(id) : now.add(id);
    state.set({ sel: [...now] });
  };

  const group = (value, count, rows) => {
    const name = state.get("group"), main = rows.map((row) => data.numbers("metric.main")?.[row.i]).filter(Number.isFinite);
    const told = main.length ? ` · main ${mitosis.number(mitosis.mean(main))} ± ${mitosis.number(mitosis.deviation(main))}` : "";
    return h("span", {}, h("strong", {}, `${data.label(name)} = ${value ?? "∅"}`), h("span", { class: "muted" }, ` ${mitosis.count(count, "trial")}${told}`));
  };

  const build = (place) => {
    ready = false;
    fields = data.shown();
    const rows = Array.from({ length: data.length }, (_, i) => {
      const one = { i, id: data.get("id", i) };
      fields.forEach((name, index) => { one[`c${index}`] = isNumber(name) || name.startsWith("param.") ? data.numbers(name)?.[i] ?? data.get(name, i) : data.get(name, i); });
      return one;
    });
    const shown = chosen(base());
    built = shown.join("\n");
    table = new Tabulator(place, {
      data: rows, index: "i", height: "100%", layout: "fitDataFill", nestedFieldSeparator: false, reactiveData: false, rowHeight: 34,
      columns: [box(), ...shown.map(column)], initialFilter: (row) => mask[row.i] === 1, initialSort: sort(), columnDefaults: { tooltip: false },
      groupBy: grouping() || false, groupHeader: group, groupStartOpen: true, placeholder: () => empty(),
      rowFormatter: (row) => { const e = row.getElement(); e.classList.toggle("picked", selected.has(row.getData().id)); e.classList.toggle("active", row.getData().i === active); },
    });
    table.on("tableBuilt", () => { ready = true; place.dataset.ready = "1"; });
    table.on("dataSorted", (sorters) => {
      if (!ready || !sorters.length) return;
      const { field: f, dir } = sorters[0];
      const name = fields[Number(f.slice(1))];
      if (name && state.get("sort") !== `${name}:${dir}`) state.set({ sort: `${name}:${dir}` });
    });
    place.addEventListener("keydown", keys);
  };
  const empty = () => h("div", { class: "empty" }, data.length ? "No trial matches. Clear a filter, or the search." : "No trials yet. Run one: pytest -p mitosis --exp NAME");
  const sort = () => {
    const [name, dir] = [state.get("sort").replace(/:(asc|desc)$/, ""), state.get("sort").endsWith(":desc") ? "desc" : "asc"];
    return data.has(name) && data.shown().includes(name) ? [{ column: field(name), dir }] : [{ column: field("started"), dir: "desc" }];
  };
  const grouping = () => (data.has(state.get("group")) ? field(state.get("group")) : "");
  const base = () => {
    const experiments = new Set(state.all("f.experiment"));
    const rows = [];
    for (let i = 0; i < data.length; i++) if (!experiments.size || experiments.has(String(data.get("experiment", i)))) rows.push(i);
    return rows;
  };

  let last = {};
  const render = (place, shown) => {
    mask = new Uint8Array(data.length);
    for (const row of shown) mask[row] = 1;
    const before = selected;
    selected = new Set(state.all("sel").filter((id) => data.row(id) !== undefined));
    const now = { shown: shown.join(), group: grouping(), sort: state.get("sort"), columns: state.all("col").join("\n") + state.all("f.experiment").join("\n") };
    if (!table) { build(place); last = now; return; }
    if (!ready) { table.on("tableBuilt", () => render(place, shown)); return; }
    if (now.columns !== last.columns) {
      const columns = chosen(base());
      if (columns.join("\n") !== built) { built = columns.join("\n"); table.setColumns([box(), ...columns.map(column)]); table.setSort(sort()); }
    }
    if (now.group !== last.group) table.setGroupBy(now.group || false);
    if (now.sort !== last.sort && now.columns === last.columns) {
      const [current] = table.getSorters(), [wanted] = sort();
      if (!current || current.field !== wanted.column || current.dir !== wanted.dir) table.setSort([wanted]);
    }
    if (now.shown !== last.shown) table.refreshFilter();
    last = now;
    if (before.size !== selected.size || [...selected].some((id) => !before.has(id))) {
      for (const row of table.getRows("visible")) {
        const is = selected.has(row.getData().id);
        row.getElement().classList.toggle("picked", is);
        const input = row.getElement().querySelector("input[type=checkbox]");
        if (input) input.checked = is;
      }
    }
    const all = document.getElementById("pick-all");
    if (all) { all.checked = selected.size > 0; all.indeterminate = selected.size > 0; }
  };

  const move = (by) => {
    const rows = table.getRows("active");
    if (!rows.length) return;
    const at = rows.findIndex((row) => row.getData().i === active);
    const next = rows[Math.min(rows.length - 1, Math.max(0, at < 0 ? 0 : at + by))];
    const old = at >= 0 ? rows[at] : null;
    active = next.getData().i;
    old?.getElement().classList.remove("active");
    table.scrollToRow(next, "nearest", false).catch(() => {}).then(() => {
      next.getElement().classList.add("active");
      mitosis.say(`${data.get("id", active)}, ${data.get("status", active)}, ${data.get("spec", active) || ""}, main ${mitosis.number(data.get("metric.main", active))}`);
    });
  };
  const keys = (event) => {
    if (event.target.matches("input, select, a, button") && event.key !== "Escape" && !["j", "k"].includes(event.key)) return;
    const steps = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: 15, PageUp: -15, Home: -1e9, End: 1e9 };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in steps) move(steps[event.key]);
    else if ((event.key === " " || event.key === "x") && active >= 0) toggle(data.get("id", active));
    else if (event.key === "Enter" && active >= 0) location.href = data.page(active);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return {
    render, toggle, move, standard: () => standard(base()),
    columns: () => chosen(base()),
    // Rows as the table has them now: filtered, sorted.
    rows: () => table.getRows("active").map((row) => row.getData().i),
    forget: () => { table?.destroy(); table = null; last = {}; },
    get selected() { return [...selected]; },
    get active() { return active; },
  };
})();
