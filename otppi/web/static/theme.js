// Before the first paint, so that nothing flashes: the colours that were chosen, or those of the system.
(() => {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const show = () => {
    const theme = localStorage.getItem("theme") || (system.matches ? "dark" : "light");
    document.documentElement.dataset.bsTheme = theme;
  };
  system.addEventListener("change", show);
  addEventListener("storage", show);
  addEventListener("themechange", show);
  show();
})();
