// Restart and switch off: waits until the device answers again, and goes on then.

import { post } from "/static/app.js";

const LOOK_EVERY_MS = 1000;
const LOOK_LIMIT_MS = 5000;
const STILL_THERE_MS = 90_000;

const waiting = document.getElementById("waiting");

function show(id, is) {
  document.getElementById(id).hidden = !is;
}

async function answers() {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), LOOK_LIMIT_MS);
  try {
    return (await fetch("/healthz", { cache: "no-store", signal: limit.signal })).ok;
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}

async function wait() {
  const began = Date.now();
  let wasAway = false;
  for (;;) {
    await new Promise((done) => setTimeout(done, LOOK_EVERY_MS));
    const isThere = await answers();
    if (isThere && wasAway) break;
    wasAway ||= !isThere;
    show("away", wasAway);
    show("still", !wasAway && Date.now() - began > STILL_THERE_MS);
  }
  location.assign("/");
}

// With scripts the page stays where it is: its styles could not be fetched from a device that is just going.
document.addEventListener("submit", async (event) => {
  const [, what] = /^\/power\/(service|reboot|off)$/.exec(event.target.getAttribute("action")) ?? [];
  if (!what || event.defaultPrevented) return;
  event.preventDefault();
  show("refused", false);
  try {
    await post(`/power/${what}`);
  } catch (error) {
    document.getElementById("refused").textContent = error.message;
    show("refused", true);
    return;
  }
  document.getElementById("choices").remove();
  waiting.querySelector(`[data-while="${what}"]`).hidden = false;
  waiting.hidden = false;
  wait();
});

if (waiting.dataset.doing) wait();
