"use strict";
// Puts the views together: header, table with filters and plot, pages; keys; themes.
(() => {
  const { h, data, state, facets, table, plots, pages } = mitosis;
  const root = document.documentElement, bar = document.getElementById("bar"), main = document.getElementById("main");
  const VIEWS = { compare: mitosis.compare.render, experiments: pages.experiments, experiment: pages.experiment, names: pages.names, variant: pages.variant, official: pages.official };
  let kept = state.view === "trials" ? state.remember() : "#trials", parts = null, settled = 0;

  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);
  const turn = () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("mitosis-theme", root.dataset.theme); } catch { /* storage may be forbidden */ }
  };

  const dialog = (title, ...content) => {
    const box = h("dialog", { "aria-label": title }, h("div", { class: "title" }, h("h2", {}, title), h("button", { type: "button", "aria-label": "Close", onclick: () => box.close() }, "✕")), ...content);
    box.addEventListener("close", () => box.remove());
    box.addEventListener("click", (event) => { if (event.target === box) box.close(); });
    document.body.append(box);
    box.showModal();
  };
  const KEYS = [["/", "search"], ["j k ↓ ↑", "move in the table"], ["x or space", "select the trial"], ["Enter", "open the trial"], ["c", "compare the selected"], ["f", "filters"], ["o", "columns"], ["t", "dark or light"], ["Esc", "back to the table"], ["?", "this list"]];
  const help = () => dialog("Keys", h("table", {}, h("tbody", {}, KEYS.map(([key, what]) => h("tr", {}, h("th", { scope: "row" }, h("kbd", {}, key)), h("td", {}, what))))), h("p", { class: "muted" }, "The address holds filter, order, columns, plot and selection: a link shows the same."));
  const columns = () => {
    const chosen = table.columns();
    const change = () => state.set({ col: data.shown().filter((name) => box.querySelector(`[data-at="${data.shown().indexOf(name)}"]`).checked) });
    const box = h("div", { class: "choices" }, data.shown().map((name, index) => h("label", { class: "choice" }, h("input", { type: "checkbox", "data-at": index, "data-column": name, checked: chosen.includes(name), onchange: change }), h("span", { class: "value" }, data.label(name)))));
    dialog("Columns", box, h("button", { type: "button", onclick: (event) => { state.set({ col: [] }); event.target.closest("dialog").close(); } }, "those that differ"));
  };
  const compare = () => { if (state.all("sel").length > 1) { kept = state.remember(); state.go(state.link("compare", { sel: state.all("sel") })); } };

  const search = h("input", { type: "search", id: "search", placeholder: "Search id, name, value, commit, user, failure …", "aria-label": "Search trials", autocomplete: "off", spellcheck: "false", oninput: () => state.set({ q: search.value }) });
  const button = (id, text, action, extra) => h("button", { type: "button", id, onclick: action, ...extra }, text);
  const header = () => {
    const tabs = [["trials", kept, "Trials"], ["experiments", "#experiments", "Experiments"], ["names", "#names", "Names"], ...(data.has("official") ? [["official", "#official", "Official"]] : [])];
    const here = { experiment: "experiments", variant: "names", compare: "trials" }[state.view] || state.view;
    const inTable = state.view === "trials";
    mitosis.fill(bar, 
      h("div", { class: "brand" }, h("strong", {}, root.dataset.title), h("nav", { "aria-label": "Views" }, tabs.map(([name, link, text]) => h("a", { href: link, "aria-current": name === here ? "page" : null }, text)))),
      inTable ? h("div", { class: "find" }, search) : null,
      h("div", { class: "tools" },
        inTable ? [button("filters", "Filters", () => parts.aside.classList.toggle("open"), { class: "narrow" }), button("columns", "Columns", columns), grouping(), button("csv", "CSV", mitosis.exports.csv), button("latex", "LaTeX", mitosis.exports.latex)] : null,
        state.view === "compare" ? h("a", { href: kept, id: "back" }, "Back to the table") : null,
        button("theme", "◐", turn, { "aria-label": "Dark or light", title: "Dark or light" }), button("help", "?", help, { "aria-label": "Keys" })));
  };
  const grouping = () => h("label", { class: "chooser" }, h("span", { class: "hidden" }, "group by"), h("select", { id: "group", onchange: (event) => state.set({ group: event.target.value }) },
    h("option", { value: "" }, "no groups"), ["experiment", "status", ...data.of("param."), "seed", "commit", "user", "host"].filter(data.has).map((name) => h("option", { value: name, selected: state.get("group") === name }, `by ${data.label(name)}`))));

  const layout = () => {
    table.forget();
    plots.forget();
    parts = { aside: h("aside", { id: "facets", "aria-label": "Filters" }), count: h("p", { id: "count", role: "status" }), plot: h("section", { id: "plot", "aria-label": "Plot" }), table: h("div", { id: "table", tabindex: 0, "aria-label": "Trials; arrow keys move, x selects, Enter opens" }),
      compare: button("compare", "Compare", compare, { class: "primary" }) };
    mitosis.fill(main, h("div", { class: "split" }, parts.aside, h("div", { class: "body" }, parts.plot, h("div", { class: "count-bar" }, parts.count, parts.compare), parts.table)));
  };
  const showTrials = () => {
    const begun = performance.now();
    if (!parts) layout();
    const found = facets.filter();
    const selected = state.all("sel");
    mitosis.fill(parts.count, h("strong", {}, found.shown.length.toLocaleString("en")), ` of ${mitosis.count(data.length - found.hidden, "trial")}`, found.hidden ? h("span", { class: "muted" }, ` · ${mitosis.count(found.hidden, "draft")} hidden`) : "", selected.length ? h("span", { class: "muted" }, " · ", h("button", { type: "button", class: "more", onclick: () => state.set({ sel: [] }) }, `${selected.length} selected, clear`)) : "");
    parts.compare.disabled = selected.length < 2;
    parts.compare.textContent = selected.length > 1 ? `Compare ${selected.length}` : "Compare";
    if (search.value !== state.get("q") && document.activeElement !== search) search.value = state.get("q");
    facets.render(parts.aside, found);
    plots.render(parts.plot, found.shown);
    table.render(parts.table, found.shown);
    kept = state.remember();
    root.dataset.took = String(performance.now() - begun);
  };

  const render = (before) => {
    if (state.view === "trial") { const row = data.row(state.get("id")); if (row !== undefined) { location.replace(data.page(row)); return; } }
    const view = VIEWS[state.view];
    document.title = `${root.dataset.title} · ${view ? state.view : "trials"}`;
    if (before !== state.view || before === undefined) { if (view) { parts = null; table.forget(); } }
    if (view) view(main); else showTrials();
    if (before !== state.view || before === undefined) { header(); if (before !== undefined) { scrollTo(0, 0); main.focus({ preventScroll: true }); } } else if (!view) document.getElementById("group").value = state.get("group");
    root.dataset.settled = String(++settled);
  };

  addEventListener("keydown", (event) => {
    const typing = event.target.matches?.("input:not([type=checkbox]), select, textarea");
    if (event.key === "Escape" && !document.querySelector("dialog")) {
      if (event.target === search) { search.value = ""; state.set({ q: "" }); search.blur(); } else if (state.view !== "trials") state.go(kept);
      return;
    }
    if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog")) return;
    const inTable = state.view === "trials";
    const actions = { "?": help, t: turn, ...(inTable ? { "/": () => search.focus(), c: compare, o: columns, f: () => { parts.aside.classList.add("open"); parts.aside.querySelector("input, button")?.focus(); }, j: () => parts.table.focus(), k: () => parts.table.focus() } : {}) };
    if (!(event.key in actions)) return;
    event.preventDefault();
    actions[event.key]();
    if (inTable && (event.key === "j" || event.key === "k")) table.move(event.key === "j" ? 1 : -1);
  });
  let width = innerWidth, timer = 0;
  addEventListener("resize", () => { clearTimeout(timer); timer = setTimeout(() => { if (innerWidth !== width) { width = innerWidth; if (state.view === "trials") render(state.view); } }, 150); });
  data.backfill();
  facets.setup();
  state.listen(render);
  render();
  // What the search looks in is put together while nobody waits for it.
  const gather = (from) => { const end = Math.min(data.length, from + 400); for (let row = from; row < end; row++) data.haystack(row); if (end < data.length) setTimeout(gather, 4, end); };
  setTimeout(gather, 300, 0);
  document.body.append(h("footer", {}, `As of ${mitosis.time(root.dataset.built)} UTC. Trials that were running then may have ended since.`));
})();
