"use strict";
// The view is in the address: what is shown, filtered, sorted, selected. Nothing else remembers it.
mitosis.state = (() => {
  let view = "trials", values = new URLSearchParams();
  const listeners = [];
  const read = () => {
    const text = location.hash.slice(1);
    const cut = text.indexOf("?");
    view = (cut < 0 ? text : text.slice(0, cut)) || "trials";
    values = new URLSearchParams(cut < 0 ? "" : text.slice(cut + 1));
  };
  const text = (name, parameters) => {
    const query = parameters.toString();
    return `#${name}${query ? `?${query}` : ""}`;
  };
  const tell = (before) => listeners.forEach((one) => one(before));
  addEventListener("hashchange", () => {
    const before = view;
    const now = text(view, values);
    read();
    if (text(view, values) !== now) tell(before);
  });
  read();
  return {
    get view() { return view; },
    get: (name) => values.get(name) || "",
    all: (name) => values.getAll(name),
    keys: (prefix) => [...new Set([...values.keys()].filter((key) => key.startsWith(prefix)))],
    listen: (one) => listeners.push(one),
    // Change some values in place: no new entry in the history for every letter of a search.
    set: (changes) => {
      for (const [name, value] of Object.entries(changes)) {
        values.delete(name);
        for (const one of Array.isArray(value) ? value : [value]) {
          if (one !== "" && one !== null && one !== undefined && one !== false) values.append(name, one === true ? "1" : one);
        }
      }
      history.replaceState(null, "", text(view, values));
      tell(view);
    },
    link: (name, parameters) => text(name, new URLSearchParams(
      Object.entries(parameters || {}).flatMap(([key, value]) => (Array.isArray(value) ? value : [value]).map((one) => [key, one])))),
    // The table with filter and selection as they are, for the way back from another view.
    remember: () => text(view, values),
    go: (hash) => { location.hash = hash; },
  };
})();
