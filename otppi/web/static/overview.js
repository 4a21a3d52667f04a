// Figures change with every message: they are fetched anew now and then only.
import { refreshSoon } from "/static/app.js";

const AFTER_TRAFFIC_MS = 10_000;
const AT_LEAST_MS = 60_000;

let timer = 0;
let isSoon = false;

function refreshIn(wait_ms) {
  clearTimeout(timer);
  timer = setTimeout(() => {
    isSoon = false;
    refreshIn(AT_LEAST_MS);
    if (!document.hidden) refreshSoon("figures");
  }, wait_ms);
}

document.addEventListener("news", ({ detail }) => {
  if (detail.topic !== "traffic" || isSoon) return;
  isSoon = true;
  refreshIn(AFTER_TRAFFIC_MS);
});
refreshIn(AT_LEAST_MS);
