"use strict";
// The trials, column by column, as the data files bring them.
mitosis.data = (() => {
  const columns = new Map(), names = [], history = new Map();
  const environments = new Map(), codes = new Map(), texts = new Map();
  let length = 0;

  mitosis.chunk = (rows, parts) => {
    for (const [name, values, indices] of parts) {
      if (!columns.has(name)) columns.set(name, []);
      const column = columns.get(name);
      for (let row = 0; row < rows; row++) {
        const index = indices === null ? row : indices[row];
        if (index >= 0) column[length + row] = values[index];
      }
    }
    length += rows;
  };
  mitosis.names = (records) => {
    for (const [step, parameter, variant, value, digest, locked, user, commit, why, revision, leaves, all] of records) {
      names.push({ step, parameter, variant, value, digest, locked, user, commit, why, revision, leaves, all });
    }
  };
  mitosis.commits = (records) => {
    records.forEach(([hash, author, time, subject]) => history.set(hash, { author, time, subject }));
  };
  mitosis.environment = (digest, facts) => environments.set(digest, facts);
  mitosis.code = (digest, files) => codes.set(digest, files);
  mitosis.source = (blob, text) => texts.set(blob, text);

  // Trials older than a parameter of their experiment have its first default, as in data frames.
  const backfill = () => {
    const rows = [...Array(length).keys()];
    for (const [, own] of d3.group(rows, (row) => data.get("experiment", row))) {
      for (const name of data.of("param.").map((one) => one.slice(6))) {
        const [values, kinds] = [columns.get(`param.${name}`), columns.get(`kind.${name}`)];
        const first = own.find((row) => values[row] !== undefined);
        if (first === undefined || first === own[0]) continue;
        const value = kinds[first] === "default" ? values[first] : data.get(`default.${name}`, first);
        if (value === undefined) continue;
        for (const row of own) {
          if (row === first) break;
          [values[row], kinds[row]] = [value, "default"];
          if (columns.has(`value.${name}`)) columns.get(`value.${name}`)[row] = value;
        }
      }
    }
  };

  const numeric = new Map(), byId = new Map();
  const data = {
    names, history, environments, codes, texts, backfill,
    get length() { return length; },
    get: (name, row) => columns.get(name)?.[row],
    has: (name) => columns.has(name),
    column: (name) => columns.get(name) || [],
    of: (prefix) => [...columns.keys()].filter((name) => name.startsWith(prefix)),
    row: (id) => {
      if (!byId.size) data.column("id").forEach((one, row) => byId.set(one, row));
      return byId.get(id);
    },
    // Numbers of a column, texts of literals included; undefined if it is not one of numbers.
    numbers: (name) => {
      if (!numeric.has(name)) {
        const numbers = [];
        let good = 0, bad = 0;
        data.column(name).forEach((value, row) => {
          const one = typeof value === "number" ? value
            : typeof value === "string" && value.trim() !== "" && name.startsWith("param.") ? Number(value) : NaN;
          if (Number.isNaN(one)) bad += typeof value !== "number";
          else { numbers[row] = one; good += 1; }
        });
        numeric.set(name, good && (!bad || name.startsWith("metric.")) ? numbers : undefined);
      }
      return numeric.get(name);
    },
    label: (name) => data.labels.get(name) || name.replace(/^(param|metric)\./, ""),
    labels: new Map([["supported", "verdict"], ["duration_s", "time"], ["peak_memory_bytes", "memory"], ["cpu_s", "processor time"]]),
    show: (name, row) => {
      const value = data.get(name, row);
      if (name === "duration_s" || name === "cpu_s") return mitosis.seconds(value);
      if (name === "started") return mitosis.time(value);
      if (name === "commit") return value ? value.slice(0, 10) : "–";
      if (name === "peak_memory_bytes") return value ? `${Math.round(value / 2 ** 20)} MiB` : "–";
      if (Array.isArray(value)) return value.join(", ");
      return typeof value === "number" ? mitosis.number(value) : value === undefined ? "–" : String(value);
    },
    // The columns a person may look at, in the order they make sense.
    shown: () => [
      "id", "status", "experiment", ...data.of("param."), "seed", "iteration",
      ...data.of("metric.").sort((a, b) => (b === "metric.main") - (a === "metric.main")),
      "supported", "duration_s", "started", "official", "commit", "branch", "user", "host", "environment", "cpu_s", "peak_memory_bytes",
      "failure", "notes", "tainted", "hypothesis", "snapshot", "spec",
    ].filter((name) => columns.has(name)),
    // Compares values of a column: those of the lookup dictionary in its order, others as people count.
    order: (name) => {
      const listed = data.column(`order.${name.slice(6)}`).findLast(Boolean) || [];
      const rank = new Map(listed.map((one, index) => [one, index]));
      const place = (one) => rank.get(String(one)) ?? rank.size;
      return (a, b) => place(a) - place(b) || mitosis.natural(String(a), String(b));
    },
    distinct: (name, rows) => new Set((rows || [...Array(length).keys()]).map((row) => data.get(name, row))),
    // All of a trial as one lower-case text, for the search.
    haystack: (row) => {
      if (!data.hay) data.hay = [];
      data.hay[row] ??= [...["id", "experiment", "spec", "status", "commit", "branch", "user", "host", "failure", "notes", "tainted", "hypothesis", "environment"],
        ...data.of("value."), ...data.of("param.")]
        .map((name) => data.get(name, row)).filter((one) => one !== undefined)
        .concat(history.get(data.get("commit", row))?.subject || "").join("\n").toLowerCase();
      return data.hay[row];
    },
    title: (row) => `${data.get("experiment", row)} ${data.get("spec", row) || ""}`,
    page: (row) => mitosis.href(data.get("page", row)),
    file: (row, name) => mitosis.href(`${data.get("folder", row)}/${name}`),
  };
  return data;
})();
