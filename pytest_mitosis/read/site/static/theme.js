"use strict";
// Before the first paint, so that a page never flashes in the other theme.
(() => {
  try {
    const kept = localStorage.getItem("mitosis-theme");
    if (kept === "dark" || kept === "light") document.documentElement.dataset.theme = kept;
  } catch { /* storage may be forbidden */ }
})();
