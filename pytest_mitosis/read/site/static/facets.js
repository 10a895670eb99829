"use strict";
// Filters: values with counts, ranges of numbers, search. Decides which trials are shown.
mitosis.facets = (() => {
  const { h, data, state } = mitosis;
  const MANY = 8, MOST = 60;
  const NONE = "∅";
  const open = new Set();
  let facets = [], ranges = [], shown = [];

  const setup = () => {
    const candidates = ["experiment", "status", "official", "supported", ...data.of("param."), "seed", "branch", "commit", "user", "host", "environment", "code"];
    facets = [];
    ranges = [];
    for (const name of candidates.filter((one) => data.has(one))) {
      const codes = new Int32Array(data.length), values = [], known = new Map();
      for (let row = 0; row < data.length; row++) {
        const value = data.get(name, row);
        const key = value === undefined ? NONE : String(value);
        if (!known.has(key)) { known.set(key, values.length); values.push(key); }
        codes[row] = known.get(key);
      }
      if (values.length > MOST && data.numbers(name)) ranges.push(name);
      else if (values.length > 1 || name === "experiment" || name === "status") facets.push({ name, codes, values });
    }
    if (data.numbers("metric.main")) ranges.unshift("metric.main");
  };

  const isRange = (name) => { const [low, high] = state.get(`r.${name}`).split("..").map((t) => (t === "" || t === undefined ? NaN : Number(t))); return { low, high }; };

  const filter = () => {
    const words = state.get("q").toLowerCase().split(/\s+/).filter(Boolean);
    const drafts = state.get("drafts") === "1";
    const limits = state.keys("r.").map((key) => ({ numbers: data.numbers(key.slice(2)) || [], ...isRange(key.slice(2)) }));
    const wanted = facets.map((facet) => {
      const chosen = state.all(`f.${facet.name}`);
      return chosen.length ? new Set(chosen.map((one) => facet.values.indexOf(one))) : null;
    });
    const counts = facets.map((facet) => new Int32Array(facet.values.length));
    const active = wanted.map((one, index) => [one, index]).filter(([one]) => one);
    shown = [];
    let hidden = 0;
    const isDraft = data.column("draft");
    for (let row = 0; row < data.length; row++) {
      if (isDraft[row] && !drafts) { hidden += 1; continue; }
      if (words.length) { const hay = data.haystack(row); if (!words.every((word) => hay.includes(word))) continue; }
      if (limits.some(({ numbers, low, high }) => !(row in numbers) || numbers[row] < low || numbers[row] > high)) continue;
      let missed = -1, misses = 0;
      for (const [chosen, index] of active) if (!chosen.has(facets[index].codes[row])) { misses += 1; missed = index; if (misses > 1) break; }
      if (misses > 1) continue;
      // A facet's own choice does not change its own counts: they say what choosing would give.
      if (misses === 1) { counts[missed][facets[missed].codes[row]] += 1; continue; }
      shown.push(row);
      for (let index = 0; index < facets.length; index++) counts[index][facets[index].codes[row]] += 1;
    }
    return { shown, counts, hidden };
  };

  const choice = (facet, value, count) => {
    const chosen = state.all(`f.${facet.name}`);
    const box = h("input", {
      type: "checkbox", checked: chosen.includes(value), "data-facet": facet.name, "data-value": value,
      onchange: (event) => {
        const others = state.all(`f.${facet.name}`).filter((one) => one !== value);
        state.set({ [`f.${facet.name}`]: event.target.checked ? [...others, value] : others });
      },
    });
    const label = facet.name === "commit" && value !== NONE ? value.slice(0, 10) : value;
    return h("label", { class: count ? "choice" : "choice none", title: value }, box, h("span", { class: "value" }, label), h("span", { class: "n" }, count.toLocaleString("en")));
  };

  // A parameter that none of the trials left has is not worth the room.
  const applies = (facet, counts) => state.all(`f.${facet.name}`).length > 0 || facet.values.some((value, index) => value !== NONE && counts[index] > 0);

  const section = (facet, counts) => {
    const chosen = state.all(`f.${facet.name}`);
    if (!applies(facet, counts)) return null;
    let order = facet.values.map((value, index) => ({ value, count: counts[index] }));
    const compare = data.order(facet.name);
    order.sort((a, b) => (a.value === NONE) - (b.value === NONE) || compare(a.value, b.value));
    const long = order.length > MANY;
    const all = order.length;
    if (long && !open.has(facet.name)) {
      const most = new Set([...order].sort((a, b) => chosen.includes(b.value) - chosen.includes(a.value) || b.count - a.count).slice(0, Math.max(MANY - 1, chosen.length)).map((one) => one.value));
      order = order.filter((one) => most.has(one.value));
    }
    const more = long && h("button", { type: "button", class: "more", "data-more": facet.name, onclick: () => { open.has(facet.name) ? open.delete(facet.name) : open.add(facet.name); state.set({}); } },
      open.has(facet.name) ? "fewer" : `${all - order.length} more`);
    const clear = chosen.length > 0 && h("button", { type: "button", class: "more", onclick: () => state.set({ [`f.${facet.name}`]: [] }) }, "clear");
    return h("fieldset", { class: "facet" }, h("legend", {}, data.label(facet.name), " ", clear), order.map((one) => choice(facet, one.value, one.count)), more);
  };

  const range = (name) => {
    const { low, high } = isRange(name);
    const input = (value, which, side) => h("input", {
      type: "number", step: "any", value: Number.isNaN(value) ? "" : value, placeholder: which, "aria-label": `${data.label(name)}, ${which}`, "data-range": `${name} ${which}`,
      onchange: (event) => {
        const now = isRange(name), text = (n) => (Number.isNaN(n) ? "" : String(n));
        const sides = [text(now.low), text(now.high)];
        sides[side] = event.target.value;
        state.set({ [`r.${name}`]: sides.join("") ? sides.join("..") : "" });
      },
    });
    return h("fieldset", { class: "facet" }, h("legend", {}, data.label(name)), h("div", { class: "range" }, input(low, "at least", 0), input(high, "at most", 1)));
  };

  const render = (aside, { counts, hidden }) => {
    const focus = document.activeElement?.dataset || {};
    const scroll = aside.scrollTop;
    const drafts = data.column("draft").filter(Boolean).length;
    mitosis.fill(aside, 
      h("div", { class: "facet-head" }, h("h2", {}, "Filter"),
        h("button", { type: "button", class: "more", id: "clear", onclick: () => state.set(Object.fromEntries([...state.keys("f."), ...state.keys("r."), "q"].map((key) => [key, []]))) }, "clear all")),
      drafts > 0 && h("label", { class: "choice" }, h("input", { type: "checkbox", id: "drafts", checked: state.get("drafts") === "1", onchange: (event) => state.set({ drafts: event.target.checked }) }),
        h("span", { class: "value" }, "show drafts"), h("span", { class: "n" }, drafts.toLocaleString("en"))),
      facets.slice(0, 2).map((facet, index) => section(facet, counts[index])),
      ranges.map(range),
      facets.slice(2).map((facet, index) => section(facet, counts[index + 2])));
    aside.scrollTop = scroll;
    if (focus.facet) [...aside.querySelectorAll("[data-facet]")].find((one) => one.dataset.facet === focus.facet && one.dataset.value === focus.value)?.focus();
    if (focus.more) [...aside.querySelectorAll("[data-more]")].find((one) => one.dataset.more === focus.more)?.focus();
  };
  return { setup, filter, render, get shown() { return shown; } };
})();
