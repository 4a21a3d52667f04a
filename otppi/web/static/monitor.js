// Messages while they are on their way: lights on the picture, rows in the table.

const LIT_MS = 2000;
const SAID_EVERY_MS = 5000;
const MOST_HELD = 200;
const BADGES = { good: "success", warn: "warning", bad: "danger", off: "secondary" };

const table = document.getElementById("live");
const rows = document.getElementById("messages");
const summary = document.getElementById("summary");
const leftOut = document.getElementById("left-out");
const button = document.getElementById("pause");
const doors = JSON.parse(table.dataset.doors);
const outcomes = JSON.parse(table.dataset.outcomes);
const language = document.documentElement.lang;
const clock = new Intl.DateTimeFormat(language, { timeStyle: "medium", timeZone: table.dataset.zone });
const number = new Intl.NumberFormat(language);
const tenths = new Intl.NumberFormat(language, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const counts = { sent: 0, unknown: 0, failed: 0 };
const held = [];
let missing = 0;
let saying = 0;

function filled(text, values) {
  return text.replace(/\{(\w+)\}/g, (_, name) => number.format(values[name]));
}

function isPaused() {
  return button.getAttribute("aria-pressed") === "true";
}

// ---- the picture

const lights = new Map(); // by element: what puts it out

function light(selector, level) {
  for (const part of document.querySelectorAll(selector)) {
    clearTimeout(lights.get(part));
    part.dataset.lit = level;
    lights.set(part, setTimeout(() => delete part.dataset.lit, LIT_MS));
  }
}

function lightWay(event) {
  const level = event.topic === "taken" ? "off" : (outcomes[event.outcome]?.[0] ?? "off");
  const by = event.channel === "email" ? event.channel : event.modem_id; // all e-mail accounts are one box
  for (const place of [`door:${event.door}`, `modem:${by}`]) {
    light(`#map [data-way="${CSS.escape(place)}"], #map [data-node="${CSS.escape(place)}"]`, level);
  }
  light('#map [data-node="device"]', level);
}

// ---- the table

function rowOf(event) {
  let row = rows.querySelector(`[data-message="${CSS.escape(event.message)}"]`);
  if (row) return row;
  row = document.getElementById("row").content.firstElementChild.cloneNode(true);
  row.dataset.message = event.message;
  rows.prepend(row);
  while (rows.childElementCount > Number(table.dataset.most)) {
    rows.lastElementChild.remove();
    document.getElementById("more").hidden = false;
  }
  document.getElementById("nothing").hidden = true;
  return row;
}

function show(event) {
  // What was confirmed late may have left the table long ago.
  if (event.late && !rows.querySelector(`[data-message="${CSS.escape(event.message)}"]`)) return;
  const row = rowOf(event);
  const put = (name, text) => { row.querySelector(`[data-field="${name}"]`).textContent = text; };
  const isDone = event.topic === "traffic";
  const [level, title] = isDone ? (outcomes[event.outcome] ?? ["off", event.outcome]) : ["off", table.dataset.sending];
  put("at", clock.format(event.at * 1000));
  put("door", doors[event.door] ?? event.door);
  put("user", event.user);
  put("modem", event.modem);
  put("number", event.number);
  put("parts", isDone ? number.format(event.parts) : "");
  put("outcome", title);
  put("reason", isDone ? event.reason : "");
  put("seconds", isDone ? tenths.format(event.seconds) : "");
  row.querySelector("[data-field=outcome]").className = `badge text-bg-${BADGES[level]}`;
}

function take(event) {
  lightWay(event);
  show(event);
}

// ---- what is said of it

function say() {
  saying = 0;
  const text = isPaused() ? filled(summary.dataset.paused, { waiting: held.length }) : filled(summary.dataset.text, counts);
  if (summary.textContent !== text) summary.textContent = text;
  leftOut.hidden = missing === 0;
  leftOut.textContent = filled(leftOut.dataset.text, { count: missing });
}

function saySoon() {
  saying ||= setTimeout(say, SAID_EVERY_MS);
}

document.addEventListener("news", ({ detail: event }) => {
  if (event.topic !== "taken" && event.topic !== "traffic") return;
  if (event.topic === "traffic") {
    if (!event.late) counts[event.outcome] = (counts[event.outcome] ?? 0) + 1;
    missing += event.left_out;
  }
  if (isPaused()) {
    held.push(event);
    if (held.length > MOST_HELD) held.shift();
  } else take(event);
  saySoon();
});

button.hidden = false;
button.addEventListener("click", () => {
  const pressed = !isPaused();
  button.setAttribute("aria-pressed", String(pressed));
  const name = button.querySelector("[data-pressed]");
  name.textContent = pressed ? name.dataset.pressed : name.dataset.unpressed;
  if (!pressed) for (const event of held.splice(0)) show(event);
  say();
});
say();
