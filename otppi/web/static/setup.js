// What the set-up is more comfortable with: the time of this browser, and a look for modems that needs no reload.

import { refreshSoon } from "/static/app.js";

const LOOK_MS = 3000;
const WRONG_S = 30;

const offer = document.getElementById("browser-time");
if (offer) {
  const [box, at] = [offer.querySelector("[name=take_time]"), offer.querySelector("[name=epoch_ms]")];
  const show = () => {
    document.getElementById("browser-clock").textContent = new Date().toLocaleString(document.documentElement.lang);
  };
  offer.hidden = false;
  box.checked = Math.abs(Date.now() / 1000 - Number(offer.dataset.deviceS)) > WRONG_S;
  show();
  setInterval(show, 1000);
  box.form.addEventListener("submit", () => { at.value = Date.now(); });
}

const takeZone = document.getElementById("browser-zone");
if (takeZone) {
  const zones = document.getElementById("zone");
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  takeZone.hidden = own === zones.value || ![...zones.options].some((one) => one.value === own);
  takeZone.querySelector("span").textContent = own;
  takeZone.addEventListener("click", () => {
    zones.value = own;
    takeZone.hidden = true;
  });
}

// A modem answers some seconds after it was plugged in, and nothing tells of that.
if (document.querySelector("[data-looking]")) {
  const timer = setInterval(() => {
    if (document.querySelector("[data-looking]")) refreshSoon("modems");
    else clearInterval(timer);
  }, LOOK_MS);
}
