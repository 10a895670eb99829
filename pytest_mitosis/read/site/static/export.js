"use strict";
// The table as files: what is shown, in its order, with its columns.
mitosis.exports = (() => {
  const { h, data } = mitosis;
  const save = (name, type, text) => {
    const address = URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` }));
    const link = h("a", { href: address, download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
  };
  const quoted = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const plain = (value) => (value === undefined ? "" : Array.isArray(value) ? value.join("; ") : String(value));
  const csv = (rows, columns) => [columns, ...rows.map((row) => columns.map((name) => plain(data.get(name, row))))].map((line) => line.map(quoted).join(",")).join("\n") + "\n";

  const MARKS = { "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}" };
  const tex = (text) => text.replace(/[\\&%$#_{}~^]/g, (one) => MARKS[one] || `\\${one}`).replace(/[\r\n]+/g, " ");
  const latex = (rows, columns) => {
    const kept = columns.filter((name) => name !== "id" && name !== "started");
    const isNumber = (name) => data.numbers(name) !== undefined;
    const cell = (name, row) => { const text = data.show(name, row); return text === "–" ? "--" : tex(text).replace(/^-(?=\d)/, "$-$"); };
    const ids = rows.map((row) => data.get("id", row).replace(/[^0-9A-Za-z_-]/g, "?"));
    const comments = d3.range(0, ids.length, 8).map((at) => `% ${ids.slice(at, at + 8).join(" ")}`);
    return [`% ${mitosis.count(rows.length, "trial")}; needs \\usepackage{booktabs}`, ...comments, `\\begin{tabular}{${kept.map((name) => (isNumber(name) ? "r" : "l")).join("")}}`, "\\toprule",
      `${kept.map((name) => tex(data.label(name))).join(" & ")} \\\\`, "\\midrule", ...rows.map((row) => `${kept.map((name) => cell(name, row)).join(" & ")} \\\\`), "\\bottomrule", "\\end{tabular}", ""].join("\n");
  };
  return {
    csv: () => save("trials.csv", "text/csv", csv(mitosis.table.rows(), mitosis.table.columns())),
    latex: () => save("trials.tex", "text/x-tex", latex(mitosis.table.rows(), mitosis.table.columns())),
  };
})();
