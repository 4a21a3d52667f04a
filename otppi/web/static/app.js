// What every page does: colours, questions before what cannot be undone, live news.

const csrf = document.querySelector("meta[name=csrf]")?.content ?? "";

/** Post to the device and return its JSON; throws an Error with the device's own words. */
export async function post(path, fields = {}) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { Accept: "application/json", "X-CSRF-Token": csrf },
    body: new URLSearchParams(fields),
  });
  const document_ = await answer.json().catch(() => ({}));
  if (!answer.ok) throw refusal(answer, document_.error);
  return document_;
}

/** Get JSON from the device. */
export async function get(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw refusal(answer);
  return answer.json();
}

function refusal(answer, text) {
  if (answer.status === 401) end();
  return Object.assign(new Error(text ?? answer.statusText), { isLoggedOut: answer.status === 401 });
}

/** Return a link to the log-in, which opens beside the page: what was typed here is not lost. */
export function logInLink() {
  const link = document.createElement("a");
  link.href = `/login?next=${encodeURIComponent(location.pathname)}`;
  link.target = "_blank";
  link.rel = "noopener";
  link.append(document.body.dataset.logIn);
  return link;
}

let isOver = false;

// The session has ended. The page stays: somebody may want to copy what he typed.
function end() {
  if (isOver) return;
  isOver = true;
  connected(true);
  const box = document.createElement("div");
  box.className = "alert alert-warning sticky-top";
  box.id = "logged-out";
  box.setAttribute("role", "alert");
  box.append(document.body.dataset.loggedOut, " ", logInLink());
  document.getElementById("notices").append(box);
}

document.addEventListener("submit", (event) => {
  const question = event.submitter?.dataset.confirm ?? event.target.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
});

// ---- a form is sent once ---------------------------------------------------------------------------------------

const working = new Map();

/** Let the buttons of a form rest, and the one that was pressed say that it is at work. */
export function busy(form, pressed) {
  const spinner = document.createElement("span");
  spinner.className = "spinner-border spinner-border-sm";
  spinner.setAttribute("aria-hidden", "true");
  for (const button of form.elements) if (button.type === "submit") working.set(button, [...button.childNodes]);
  for (const button of working.keys()) button.disabled = true;
  if (!pressed) return;
  pressed.setAttribute("aria-busy", "true");
  if (form.dataset.once) pressed.replaceChildren(spinner, " ", form.dataset.once);
  else pressed.prepend(spinner, " ");
}

/** End what `busy` began. */
export function idle() {
  for (const [button, label] of working) {
    button.disabled = false;
    button.removeAttribute("aria-busy");
    button.replaceChildren(...label);
  }
  working.clear();
}

// After all others, which may refuse it or send it by themselves.
addEventListener("submit", (event) => {
  const { target: form, submitter } = event;
  if (event.defaultPrevented || (submitter?.formMethod || form.method) !== "post") return;
  // The browser still reads which button it was; one that is disabled would not be sent.
  setTimeout(busy, 0, form, submitter);
});

// The browser shows the old page again after "back".
addEventListener("pageshow", idle);

document.querySelector("[data-theme-switch]")?.addEventListener("click", () => {
  const dark = document.documentElement.dataset.bsTheme === "dark";
  localStorage.setItem("theme", dark ? "light" : "dark");
  dispatchEvent(new Event("themechange"));
});

// A device without a clock of its own takes the time of a browser that stands beside it.
if (document.body.dataset.offerTime !== undefined) {
  fetch("/time", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ epoch_ms: Date.now() }),
  }).catch(() => {});
}

// A remark that is made once and stays away when it was closed.
for (const button of document.querySelectorAll("[data-forget]")) {
  const remark = document.getElementById(button.dataset.forget);
  remark.hidden = localStorage.getItem(`forget-${remark.id}`) === "yes";
  button.addEventListener("click", () => {
    localStorage.setItem(`forget-${remark.id}`, "yes");
    remark.hidden = true;
  });
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    // The clipboard is only there on encrypted pages; marking the text works everywhere.
    if (navigator.clipboard) await navigator.clipboard.writeText(source.textContent);
    else getSelection().selectAllChildren(source);
    button.dataset.done = "yes";
  });
}

const [menu, here] = ["#menu", "#menu [aria-current=page]"].map((one) => document.querySelector(one));
if (here) menu.scrollTop = here.offsetTop - menu.clientHeight / 2;

const first = document.querySelector("[aria-invalid=true], .is-invalid");
first?.focus();

// ---- live news -------------------------------------------------------------------------------------------------

const POLL_MS = 5000;
const STREAM_AGAIN_MS = 60000;
const REFRESH_PAUSE_MS = 1000;
const LEVELS = { good: "success", note: "info", warn: "warning", bad: "danger" };

export function notice({ level, text }) {
  const box = document.createElement("div");
  box.className = `alert alert-${LEVELS[level] ?? "info"} alert-dismissible`;
  box.setAttribute("role", "status");
  box.append(text);
  const close = document.createElement("button");
  close.type = "button";
  close.className = "btn-close";
  close.setAttribute("aria-label", document.getElementById("menu")?.querySelector(".btn-close")?.ariaLabel ?? "×");
  close.addEventListener("click", () => box.remove());
  box.append(close);
  const notices = document.getElementById("notices");
  notices.append(box);
  while (notices.childElementCount > 4) notices.firstElementChild.remove();
}

// Parts of a page that name a topic are fetched anew when something of it changed.
const due = new Set();
let timer = 0;

export function refreshSoon(topic) {
  // Who was away for too long does not know what has changed.
  const wanted = topic === "missed" ? "[data-topic][id]" : `[data-topic~="${CSS.escape(topic)}"][id]`;
  for (const part of document.querySelectorAll(wanted)) due.add(part.id);
  if (due.size && !timer) timer = setTimeout(refresh, REFRESH_PAUSE_MS);
}

async function refresh() {
  timer = 0;
  const ids = [...due];
  due.clear();
  const answer = await fetch(location.href, { headers: { "X-Part": ids.join(" ") } }).catch(() => null);
  if (!answer?.ok || answer.redirected) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const id of ids) {
    const [old, new_] = [document.getElementById(id), fresh.getElementById(id)];
    // Not under somebody's hands.
    if (old && new_ && !old.contains(document.activeElement)) old.replaceChildren(...new_.childNodes);
  }
}

function hear(event) {
  last = Math.max(last, event.id ?? 0);
  if (event.topic === "notice") notice(event);
  refreshSoon(event.topic);
  document.dispatchEvent(new CustomEvent("news", { detail: event }));
}

let last = Number(document.body.dataset.live ?? 0);

function connected(is) {
  const badge = document.getElementById("connection");
  if (badge) badge.hidden = is || isOver;
}

async function poll() {
  if (!polls) return; // the stream is back
  stream?.close(); // it was tried again, and has not opened since
  clearTimeout(nextPoll);
  if (document.hidden) {
    document.addEventListener("visibilitychange", poll, { once: true });
    return;
  }
  try {
    const news = await get(`/live?after=${last}`);
    connected(true);
    for (const event of news.news) hear(event);
    if (news.missed) refreshSoon("missed");
    last = Math.max(last, news.newest);
  } catch (error) {
    if (error.isLoggedOut) return;
    connected(false);
  }
  if (performance.now() >= streamAgainMs) listen();
  nextPoll = setTimeout(poll, POLL_MS);
}

let stream = null;
let failures = 0;
let polls = !window.EventSource;
let nextPoll = 0;
let streamAgainMs = Infinity;

function listen() {
  streamAgainMs = performance.now() + STREAM_AGAIN_MS;
  stream = new EventSource(`/live/stream?after=${last}`);
  stream.onopen = () => { failures = 0; polls = false; connected(true); };
  stream.onmessage = (message) => hear(JSON.parse(message.data));
  stream.onerror = () => {
    if (polls) return stream.close();
    connected(false);
    // The browser tries again by itself, unless the device refused: too many pages are open.
    if (stream.readyState === EventSource.CLOSED || ++failures > 3) {
      stream.close();
      polls = true;
      poll();
    }
  };
}

if (document.body.dataset.live !== undefined) {
  if (polls) poll();
  else if (!document.hidden) listen();
  // A browser has six connections for all pages of a device; one that nobody looks at gives its own back.
  document.addEventListener("visibilitychange", () => {
    if (isOver) return;
    if (document.hidden) stream?.close();
    else if (!polls && (!stream || stream.readyState === EventSource.CLOSED)) listen();
  });
  addEventListener("pagehide", () => stream?.close());
}
