// Fresh signals, and what was plugged in: neither makes news by itself.
import { refreshSoon } from "/static/app.js";

const PERIOD_MS = 5000;

function isChanged(field) {
  if (field.type === "checkbox") return field.checked !== field.defaultChecked;
  if (field.tagName === "SELECT") return field.selectedIndex > 0;
  return field.value !== field.defaultValue;
}

setInterval(() => {
  if (document.hidden) return;
  refreshSoon("modems");
  // Not while somebody fills in how a new one is to be used.
  if (![...document.querySelectorAll("#found input, #found select")].some(isChanged)) refreshSoon("devices");
}, PERIOD_MS);
