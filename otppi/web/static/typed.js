// What people type: a look at a password, and what was typed into a form that a session ended under.

import { notice } from "/static/app.js";

document.addEventListener("click", (event) => {
  const eye = event.target.closest("[data-eye]");
  if (!eye) return;
  const field = document.getElementById(eye.dataset.eye);
  show(eye, field.type === "password");
  field.focus();
});

function show(eye, is) {
  const field = document.getElementById(eye.dataset.eye);
  field.dataset.secret = "";
  field.type = is ? "text" : "password";
  eye.setAttribute("aria-pressed", is);
  eye.classList.toggle("active", is);
}

// ---- a form that comes back ------------------------------------------------------------------------------------

const KEY = "typed";
const PUT_BACK = "#put-back"; // the device adds it where a form was not taken because the session or its page was over
const NEVER = /new-password|current-password|one-time-code/;
const KINDS = ["hidden", "password", "file", "submit", "button", "reset", "image", "fieldset"];

const here = location.pathname + location.search;
const { putBack: putBackText, user } = document.body.dataset; // only where somebody is logged in

const isKept = (field) =>
  field.name && !KINDS.includes(field.type) && field.dataset.secret === undefined && !NEVER.test(field.autocomplete);
const fieldsOf = (form) => [...form.elements].filter(isKept);
const isTicked = (field) => field.type === "checkbox" || field.type === "radio";
const formsLike = (action) =>
  [...document.querySelectorAll("main form[method=post]")].filter((one) => one.getAttribute("action") === action);

function valueOf(field) {
  if (isTicked(field)) return field.checked;
  return field.options ? [...field.selectedOptions].map((one) => one.value) : field.value;
}

function put(field, value) {
  if (JSON.stringify(valueOf(field)) === JSON.stringify(value)) return false;
  if (isTicked(field)) field.checked = value;
  else if (field.options) for (const one of field.options) one.selected = value.includes(one.value);
  else field.value = value;
  field.closest("details")?.setAttribute("open", "");
  for (const name of ["input", "change"]) field.dispatchEvent(new Event(name, { bubbles: true }));
  return true;
}

function keep(form) {
  const action = form.getAttribute("action");
  const values = fieldsOf(form).map((field) => [field.name, valueOf(field)]);
  const typed = { user, path: here, action, which: formsLike(action).indexOf(form), values };
  try {
    sessionStorage.setItem(KEY, JSON.stringify(typed));
  } catch {
    sessionStorage.removeItem(KEY); // there is no room for it
  }
}

function putBack(typed) {
  const form = formsLike(typed.action)[typed.which];
  const fields = form ? fieldsOf(form) : [];
  let isOther = false;
  for (const [name, value] of typed.values) {
    const at = fields.findIndex((one) => one.name === name);
    if (at >= 0) isOther = put(fields.splice(at, 1)[0], value) || isOther;
  }
  if (isOther) notice({ level: "note", text: putBackText });
}

// After all others, which may refuse it or send it by themselves.
addEventListener("submit", (event) => {
  const { target: form, submitter } = event;
  if (event.defaultPrevented || (submitter?.formMethod || form.method) !== "post") return;
  // No browser remembers a password as a text.
  for (const eye of form.querySelectorAll("[data-eye][aria-pressed=true]")) show(eye, false);
  if (putBackText === undefined) return;
  if (form.getAttribute("action") === "/logout") sessionStorage.removeItem(KEY);
  else keep(form);
});

// Whatever page is shown now: what was typed was saved or given up, or it comes back.
if (putBackText !== undefined) {
  const typed = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
  sessionStorage.removeItem(KEY);
  if (location.hash === PUT_BACK) {
    history.replaceState(history.state, "", here);
    // The scripts of the page hear of it as if somebody typed.
    if (typed?.path === here && typed.user === user) addEventListener("load", () => putBack(typed));
  }
}
