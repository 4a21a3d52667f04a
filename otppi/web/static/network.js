// A change of the network on trial: counts down, and shows the page anew when the trial has come further.
import { get } from "/static/app.js";

const ASK_EVERY_MS = 2000;
const trial = document.getElementById("trial");
const left = document.getElementById("left");
const away = document.getElementById("away");
const { stage, path } = trial.dataset;
const endsAt = performance.now() + Number(trial.dataset.remaining) * 1000;

function count() {
  const seconds = Math.max(0, Math.round((endsAt - performance.now()) / 1000));
  left.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

async function ask() {
  try {
    const now = await get(path);
    if (now.stage !== stage) {
      location.reload();
      return;
    }
    if (away) away.hidden = true;
  } catch {
    // Cut off: by the change itself, which is nothing to worry about.
    if (away) away.hidden = false;
  }
  setTimeout(ask, ASK_EVERY_MS);
}

if (left) setInterval(count, 1000);
if (stage !== "over") setTimeout(ask, ASK_EVERY_MS);
