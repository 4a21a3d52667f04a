// The text of a message: its length while somebody types.

import { measure, named, plain } from "/static/sms_text.js";

const MOST_NAMED = 20;
const numbers = new Intl.NumberFormat(document.documentElement.lang);

const box = document.querySelector("[data-alphabet]");
const [text, count, foreign, characters, parts, button] = ["", "-count", "-foreign", "-characters", "-parts", "-plain"].map(
  (end) => document.getElementById(`text${end}`),
);

/** Fill the gaps of a translated text. */
function filled(sentence, values) {
  return sentence.replace(/\{(\w+)\}/g, (gap, name) => {
    const value = values[name];
    return typeof value === "number" ? numbers.format(value) : (value ?? gap);
  });
}

function show() {
  const table = JSON.parse(box.dataset.alphabet);
  const length = measure(text.value, table);
  const values = { ...length, without: length.partsWithout };
  count.textContent = filled(box.dataset.count, values);
  foreign.hidden = !length.foreign.length;
  const shown = length.foreign.slice(0, MOST_NAMED).map(named).join(" ");
  // Set only when it changes: screen readers read it out.
  if (characters.textContent !== shown) characters.textContent = shown;
  const cost = filled(length.parts > length.partsWithout ? box.dataset.dearer : box.dataset.shorter, values);
  if (parts.textContent !== cost) parts.textContent = cost;
  button.hidden = plain(text.value, table) === text.value;
}

if (box) {
  text.addEventListener("input", show);
  button.addEventListener("click", () => {
    text.value = plain(text.value, JSON.parse(box.dataset.alphabet));
    text.dispatchEvent(new Event("input", { bubbles: true }));
    text.focus();
  });
  show();
}
