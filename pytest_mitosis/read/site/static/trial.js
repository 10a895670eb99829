"use strict";
(() => {
  const root = document.documentElement;
  let kept = null;
  try { kept = localStorage.getItem("mitosis-theme"); } catch { /* storage may be forbidden */ }
  if (kept === "dark" || kept === "light") root.dataset.theme = kept;
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if ("themeToggle" in button.dataset) {
      const dark = root.dataset.theme
        ? root.dataset.theme === "dark"
        : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = dark ? "light" : "dark";
      try { localStorage.setItem("mitosis-theme", root.dataset.theme); } catch { /* as above */ }
    } else if (button.dataset.copy) {
      const text = document.getElementById(button.dataset.copy);
      getSelection().selectAllChildren(text);
      document.execCommand("copy"); // the clipboard API is not there on file:
      button.textContent = "Copied";
    }
  });
})();
