"use strict";
// What every part of the page uses: elements, numbers, links. Texts only ever become text nodes.
const mitosis = {};

mitosis.h = (tag, attributes, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
  return element;
};

mitosis.fill = (place, ...children) => place.replaceChildren(...children.flat(Infinity).filter((one) => one !== null && one !== undefined && one !== false));

// A path in the store as a relative link: a name like "javascript:x" stays a name.
mitosis.href = (path) => "./" + path.split("/").map(encodeURIComponent).join("/");

mitosis.number = (value) => {
  if (typeof value !== "number") return value === undefined || value === null ? "–" : String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return String(value);
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  return size >= 1e5 || size < 1e-4 ? value.toExponential(3) : String(Number(value.toPrecision(4)));
};

mitosis.seconds = (value) => {
  if (typeof value !== "number") return "–";
  if (value < 60) return `${value < 10 ? Number(value.toPrecision(2)) : Math.round(value)} s`;
  const all = Math.round(value), two = (n) => String(n).padStart(2, "0");
  const [hours, minutes, rest] = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60];
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
};

mitosis.time = (text) => (text ? String(text).slice(0, 16).replace("T", " ") : "–");
mitosis.count = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;
mitosis.natural = new Intl.Collator("en", { numeric: true }).compare;
mitosis.badge = (status) => {
  const known = ["done", "crashed", "timeout", "lost", "running", "interrupted"];
  return mitosis.h("span", { class: `badge ${known.includes(status) ? status : ""}` }, status);
};
mitosis.say = (text) => { document.getElementById("status").textContent = text; };

mitosis.mean = (values) => values.reduce((sum, one) => sum + one, 0) / values.length;
mitosis.deviation = (values) => {
  if (values.length < 2) return 0;
  const mean = mitosis.mean(values);
  return Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (values.length - 1));
};

// Data files that are wanted later: a script element each, as a page on a disk may not fetch.
mitosis.loaded = new Map();
mitosis.load = (path) => {
  if (!mitosis.loaded.has(path)) {
    mitosis.loaded.set(path, new Promise((resolve) => {
      const script = mitosis.h("script", { src: mitosis.href(path) });
      script.addEventListener("load", () => resolve(true));
      script.addEventListener("error", () => resolve(false));
      document.head.append(script);
    }));
  }
  return mitosis.loaded.get(path);
};
