// The dial pad: the conversation stays on this page and nowhere else.
import { logInLink, post } from "/static/app.js";

const texts = document.getElementById("ussd")?.dataset;
const form = document.getElementById("dial");
const [modem, code] = [form?.elements.modem, form?.elements.code];
const [go, cancel, erase] = ["ussd-go", "ussd-cancel", "ussd-erase"].map((id) => document.getElementById(id));
const talk = document.getElementById("talk");

function say(who, text, shade = "") {
  const [name, words] = [document.createElement("p"), document.createElement("pre")];
  name.className = "mb-1 fw-bold";
  name.append(who);
  words.className = `border rounded p-2 ${shade}`;
  words.translate = false;
  words.append(text);
  talk.append(name, words);
  talk.scrollTop = talk.scrollHeight;
}

function remark(text) {
  const line = document.createElement("p");
  line.append(text);
  talk.append(line);
  talk.scrollTop = talk.scrollHeight;
  return line;
}

function setOpen(isOpen) {
  cancel.hidden = !isOpen;
  go.querySelector("span").textContent = isOpen ? texts.reply : texts.dial;
  form.querySelector("label[for=ussd-code]").textContent = isOpen ? texts.replyTitle : texts.codeTitle;
  modem.disabled = isOpen;
}

async function asked(path, fields) {
  const wait = remark(texts.dialling);
  go.disabled = cancel.disabled = true;
  try {
    return await post(path, fields);
  } catch (error) {
    say(texts.problem, error.message, "border-danger");
    if (error.isLoggedOut) remark(logInLink());
    return null;
  } finally {
    wait.remove();
    go.disabled = cancel.disabled = false;
    // On a phone this would call up a keyboard in front of the answer.
    if (matchMedia("(pointer: fine)").matches) code.focus();
  }
}

async function dial() {
  const said = code.value.trim();
  say(texts.you, said);
  code.value = "";
  const answer = await asked("/ussd", { modem: modem.value, code: said });
  if (answer) say(texts.network, answer.text, "bg-body-tertiary");
  setOpen(Boolean(answer?.replyable));
  if (answer?.replyable) remark(texts.menu);
}

async function end() {
  const answer = await asked("/ussd/cancel", { modem: modem.value });
  if (answer) remark(answer.text);
  setOpen(false);
}

if (form) {
  document.getElementById("pad").hidden = erase.hidden = false;
  for (const key of form.querySelectorAll("[data-key]")) {
    key.addEventListener("click", () => { code.value += key.dataset.key; });
  }
  erase.addEventListener("click", () => { code.value = code.value.slice(0, -1); });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (event.submitter === cancel) end();
    else dial();
  });
}
