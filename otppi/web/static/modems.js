// Fresh signals, and what was plugged in: neither makes news by itself.
import { refreshSoon } from "/static/app.js";

const PERIOD_MS = 5000;

function isTouched(part) {
  return [...part.querySelectorAll("input, select")].some((one) =>
    one.type === "checkbox" ? one.checked !== one.defaultChecked : one.tagName === "INPUT" ? one.value !== one.defaultValue : one.selectedIndex > 0,
  );
}

setInterval(() => {
  if (document.hidden) return;
  refreshSoon("modems");
  if (!isTouched(document.getElementById("found"))) refreshSoon("devices");
}, PERIOD_MS);
