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
  if (!answer.ok) throw new Error(document_.error ?? answer.statusText);
  return document_;
}

/** Get JSON from the device. */
export async function get(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json" } });
  if (answer.status === 401) location.reload();
  if (!answer.ok) throw new Error(answer.statusText);
  return answer.json();
}

document.addEventListener("submit", (event) => {
  const question = event.submitter?.dataset.confirm ?? event.target.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
});

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

const first = document.querySelector("[aria-invalid=true], .is-invalid");
first?.focus();

// ---- live news -------------------------------------------------------------------------------------------------

const POLL_MS = 5000;
const REFRESH_PAUSE_MS = 1000;
const LEVELS = { good: "success", note: "info", warn: "warning", bad: "danger" };

function notice({ level, text }) {
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
  if (badge) badge.hidden = is;
}

async function poll() {
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
  } catch {
    connected(false);
  }
  setTimeout(poll, POLL_MS);
}

let stream = null;
let failures = 0;
let polls = !window.EventSource;

function listen() {
  stream = new EventSource(`/live/stream?after=${last}`);
  stream.onopen = () => { failures = 0; connected(true); };
  stream.onmessage = (message) => hear(JSON.parse(message.data));
  stream.onerror = () => {
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
    if (polls) return;
    if (document.hidden) stream?.close();
    else if (!stream || stream.readyState === EventSource.CLOSED) listen();
  });
  addEventListener("pagehide", () => stream?.close());
}
