"use strict";
// Pages of experiments, of locked names and their variants, of official trials.
mitosis.pages = (() => {
  const { h, data, state } = mitosis;
  const rowsWhere = (test) => [...Array(data.length).keys()].filter((row) => (!data.get("draft", row) || state.get("drafts") === "1") && test(row));
  const list = (head, lines, attributes) => h("div", { class: "scroll", tabindex: 0 }, h("table", attributes || {}, h("thead", {}, h("tr", {}, head.map((one) => h("th", { scope: "col" }, one)))), h("tbody", {}, lines)));
  const cells = (...values) => h("tr", {}, values.map((one) => h("td", {}, one)));
  const spreadOf = (rows, name = "metric.main") => {
    const values = rows.map((row) => data.numbers(name)?.[row]).filter(Number.isFinite);
    return values.length ? `${mitosis.number(mitosis.mean(values))}${values.length > 1 ? ` ± ${mitosis.number(mitosis.deviation(values))}` : ""}` : "–";
  };
  const trialLink = (row) => h("a", { href: data.page(row), class: "id" }, data.get("id", row));
  const latest = (rows) => [...rows].sort((a, b) => (String(data.get("started", a)) < String(data.get("started", b)) ? 1 : -1));
  const statuses = (rows) => [...d3.rollup(rows, (group) => group.length, (row) => data.get("status", row))].map(([status, n]) => h("span", { class: "count" }, mitosis.badge(status), ` ${n}`));
  const newest = (rows, most = 15) => list(["trial", "status", "parameters", "main", "started"], latest(rows).slice(0, most).map((row) => cells(trialLink(row), mitosis.badge(data.get("status", row)), data.get("spec", row) || "–", h("span", { class: "number" }, mitosis.number(data.get("metric.main", row))), mitosis.time(data.get("started", row)))));

  const experiments = (place) => {
    const groups = d3.groups(rowsWhere(() => true), (row) => data.get("experiment", row)).sort(([a], [b]) => mitosis.natural(a, b));
    mitosis.fill(place, h("div", { class: "page" }, h("h1", {}, "Experiments"), groups.length ? list(["experiment", "trials", "main", "last"], groups.map(([name, rows]) => cells(
      h("a", { href: state.link("experiment", { name }) }, name), statuses(rows), h("span", { class: "number" }, spreadOf(rows)), mitosis.time(data.get("started", latest(rows)[0]))))) : h("p", { class: "empty" }, "No trials yet.")));
  };

  // How many trials support what is supposed of them, where that was checked.
  const verdicts = (rows) => {
    const counts = [...d3.rollup(rows.filter((row) => data.get("supported", row)), (v) => v.length, (row) => data.get("supported", row))];
    return counts.length ? h("span", { class: "muted" }, ` ${counts.map(([word, n]) => `${word} by ${mitosis.count(n, "trial")}`).sort().reverse().join(", ")}`) : "";
  };

  const experiment = (place) => {
    const name = state.get("name"), rows = rowsWhere((row) => data.get("experiment", row) === name);
    if (!rows.length) { mitosis.fill(place, h("div", { class: "page" }, h("h1", {}, name), h("p", { class: "empty" }, "No trials of this experiment."))); return; }
    const parameters = data.of("param.").filter((one) => rows.some((row) => data.get(one, row) !== undefined));
    const hypothesis = data.get("hypothesis", latest(rows)[0]);
    const plot = h("div", { class: "plot" });
    const split = [...parameters].filter((one) => data.distinct(one, rows).size > 1).sort((a, b) => data.distinct(a, rows).size - data.distinct(b, rows).size);
    mitosis.fill(place, h("div", { class: "page" },
      h("h1", {}, name), h("p", {}, statuses(rows)), hypothesis ? h("p", {}, h("strong", {}, "Hypothesis. "), hypothesis, verdicts(rows)) : null,
      h("p", {}, h("a", { href: state.link("trials", { "f.experiment": name }) }, "in the table"), h("span", { class: "muted" }, ` · steps ${(data.get("steps", rows[0]) || []).join(", ")}`)),
      h("h2", {}, "Parameters"), parameters.length ? list(["parameter", "values"], parameters.map((one) => cells(one.slice(6), [...d3.rollup(rows, (v) => v, (row) => data.get(one, row))].sort(([a], [b]) => data.order(one)(a, b)).slice(0, 30).map(([value, members]) => h("span", { class: "count" },
        data.get(`kind.${one.slice(6)}`, members[0]) === "variant" ? h("a", { href: state.link("variant", { step: data.get(`step.${one.slice(6)}`, members[0]), parameter: one.slice(6).split(".").pop(), variant: value }) }, value) : String(value ?? "–"), h("span", { class: "muted" }, ` ${members.length}`)))))) : h("p", { class: "muted" }, "It takes none."),
      split.length >= 2 ? [h("h2", {}, `main by ${split[1].slice(6)} and ${split[0].slice(6)}`), pivot(rows, split[1], split[0])] : null,
      h("h2", {}, "Over commits"), plot, h("h2", {}, "Latest trials"), newest(rows)));
    if (data.numbers("metric.main")) plot.append(...[mitosis.plots.draw(rows, { x: "commit", y: "metric.main", c: split[0] && data.distinct(split[0], rows).size <= 8 ? split[0] : "", kind: "commits" }, Math.min(1000, Math.max(280, innerWidth - 64)))].flat().filter(Boolean));
  };
  const pivot = (rows, down, across) => {
    const values = (name) => [...data.distinct(name, rows)].filter((one) => one !== undefined).sort(data.order(name)).slice(0, 20);
    const cols = values(across), groups = d3.group(rows, (row) => data.get(down, row), (row) => data.get(across, row));
    return list([down.slice(6), ...cols], values(down).map((one) => h("tr", {}, h("th", { scope: "row" }, String(one)), cols.map((other) => { const members = groups.get(one)?.get(other) || []; return h("td", { class: "number" }, spreadOf(members), h("span", { class: "muted small" }, members.length ? ` n=${members.length}` : "")); }))));
  };

  const uses = (one) => data.of("param.").filter((name) => name.slice(6).split(".").pop() === one.parameter).flatMap((name) => rowsWhere((row) => String(data.get(name, row)) === one.variant && data.get(`kind.${name.slice(6)}`, row) === "variant" && (!one.step || data.get(`step.${name.slice(6)}`, row) === one.step)).map((row) => [row, name.slice(6)]));
  const key = (one) => JSON.stringify([one.step, one.parameter, one.variant]);

  const names = (place) => {
    const groups = d3.groups(data.names, key).map(([, revisions]) => revisions.sort((a, b) => b.revision - a.revision));
    groups.sort(([a], [b]) => mitosis.natural(`${a.step} ${a.parameter} ${a.variant}`, `${b.step} ${b.parameter} ${b.variant}`));
    const lines = groups.map(([one]) => cells(one.step, h("a", { href: state.link("variant", one && { step: one.step, parameter: one.parameter, variant: one.variant }) }, `${one.parameter}=${one.variant}${one.revision > 1 ? `@${one.revision}` : ""}`), h("code", {}, one.value), uses(one).length, mitosis.time(one.locked), one.user));
    mitosis.fill(place, h("div", { class: "page" }, h("h1", {}, "Locked names"), lines.length ? list(["step", "name", "value", "trials", "locked", "by"], lines) : h("p", { class: "empty" }, "No name is locked yet; the first trial of a variant locks its name.")));
  };

  const variant = (place) => {
    const one = { step: state.get("step"), parameter: state.get("parameter"), variant: state.get("variant") };
    const revisions = data.names.filter((other) => key(other) === key(one)).sort((a, b) => b.revision - a.revision), used = uses(one), rows = used.map(([row]) => row);
    const now = revisions[0], plot = h("div", { class: "plot" });
    const column = used.length ? `param.${used[0][1]}` : "";
    const drafts = rows.length ? "" : " (drafts are hidden)";
    mitosis.fill(place, h("div", { class: "page" },
      h("h1", {}, `${one.parameter}=${one.variant}`, now?.revision > 1 ? h("span", { class: "muted" }, `@${now.revision}`) : null), h("p", { class: "muted" }, `of step ${one.step}`),
      h("h2", {}, "Value"), now ? [h("pre", { tabindex: 0 }, now.value), list(["where", "what", "kind"], now.leaves.map(([path, facet, text]) => h("tr", {}, h("td", {}, h("code", {}, path)), h("td", {}, h("code", { class: "value" }, text)), h("td", { class: "muted" }, facet)))), now.all > now.leaves.length ? h("p", { class: "muted" }, `${now.all - now.leaves.length} more parts are in the lock's file.`) : null]
        : rows.length ? [h("pre", { tabindex: 0 }, data.get(`value.${used[0][1]}`, rows[0]) ?? ""), h("p", { class: "muted" }, "The name is not locked.")] : h("p", { class: "muted" }, "The name is not locked."),
      revisions.length ? [h("h2", {}, "Locked"), list(["revision", "when", "by", "commit", "value", "why", "trials"], revisions.map((r) => cells(`@${r.revision}`, mitosis.time(r.locked), r.user, h("code", {}, r.commit.slice(0, 10)), h("code", {}, r.value), r.why || "–", used.filter(([row, name]) => data.get(`digest.${name}`, row) === r.digest.slice(0, 16)).length)))] : null,
      h("h2", {}, mitosis.count(rows.length, "trial") + drafts), rows.length ? [h("p", {}, h("a", { href: state.link("trials", { [`f.${column}`]: one.variant }) }, "in the table")), h("p", {}, statuses(rows)), newest(rows)] : null,
      h("h2", {}, "Beside the other names"), plot));
    const others = column ? rowsWhere((row) => data.get(column, row) !== undefined) : [];
    if (others.length && data.numbers("metric.main")) plot.append(...[mitosis.plots.draw(others, { x: column, y: "metric.main", c: "", kind: "points" }, Math.min(1000, Math.max(280, innerWidth - 64)))].flat().filter(Boolean));
    else plot.previousSibling.remove();
  };

  // What the project vouches for, against the newest trial of the same spec.
  const official = (place) => {
    const groups = d3.groups([...Array(data.length).keys()].filter((row) => data.get("official", row)), (row) => (data.get("official", row) === true ? "official" : String(data.get("official", row))));
    const newestOf = (row) => latest(rowsWhere((other) => data.get("experiment", other) === data.get("experiment", row) && data.get("spec", other) === data.get("spec", row) && data.get("status", other) === "done" && !data.get("draft", other)))[0];
    const verdict = (before, after) => (before === after ? h("span", { class: "badge done" }, "identical") : typeof before === "number" && typeof after === "number" ? h("span", { class: "badge lost" }, `${after > before ? "+" : "−"}${Number(Math.abs((100 * (after - before)) / before).toPrecision(3))} %`) : h("span", { class: "badge lost" }, "changed"));
    mitosis.fill(place, h("div", { class: "page" }, h("h1", {}, "Official trials"), groups.map(([name, rows]) => [h("h2", {}, name), list(["experiment", "parameters", "recorded", "main", "latest", "main", ""], rows.map((row) => { const last = newestOf(row) ?? row; return cells(data.get("experiment", row), data.get("spec", row), trialLink(row), mitosis.number(data.get("metric.main", row)), trialLink(last), mitosis.number(data.get("metric.main", last)), verdict(data.get("metric.main", row), data.get("metric.main", last))); }))])));
  };
  return { experiments, experiment, names, variant, official };
})();
