// Texts of the page whose contrast with what is behind them is below 4.5, each with its ratio.
() => {
  const channel = (v) => (v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
  const light = (colour) => {
    const [r, g, b] = colour.match(/[0-9.]+/g).map(Number).map(channel);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor;
      if (!/, 0\)|transparent/.test(colour)) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const ratio = (element) => {
    const both = [light(getComputedStyle(element).color), light(behind(element))];
    return (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
  };
  const texts = "#bar *, #facets *, #count, .tabulator-cell *, .tabulator-col-title *, footer, main p, main td, main th, main pre *";
  return [...document.querySelectorAll(texts)]
    .filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) && e.offsetParent)
    .filter((e) => !e.closest(":disabled, select"))
    .map((e) => [ratio(e), e.outerHTML.slice(0, 90)])
    .filter(([found]) => found < 4.5);
}
