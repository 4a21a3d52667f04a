// Who would send the message and for how much, while it is written.

import { post } from "/static/app.js";
import "/static/sms_box.js";

const PAUSE_MS = 500;
const FEWEST_DIGITS = 3;

const form = document.getElementById("send");
const [section, refused, lines] = ["route", "route-refused", "route-lines"].map((id) => document.getElementById(id));
let timer = 0;
let asked = 0;

async function ask() {
  const question = ++asked;
  const { number, text, modem } = form.elements;
  section.hidden = number.value.replace(/\D/g, "").length < FEWEST_DIGITS;
  if (section.hidden) return;
  const fields = { number: number.value, text: text.value, modem: modem.value };
  const answer = await post("/send/check", fields).catch(() => null);
  // Somebody typed on meanwhile, or nobody answers.
  if (question !== asked || !answer) return;
  refused.textContent = answer.refused;
  lines.replaceChildren(...answer.lines.map(line));
}

function line({ modem, text }) {
  const [item, name] = [document.createElement("li"), document.createElement("strong")];
  name.translate = false;
  name.append(modem);
  item.append(name, " ", text);
  return item;
}

form.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(ask, PAUSE_MS);
});
if (form.elements.number.value) ask();
