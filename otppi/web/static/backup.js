// The download of a backup: the page says that it is done, and forgets the passphrase.

import { busy, idle } from "/static/app.js";

const FORM = "download";

function save(content, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(URL.revokeObjectURL, 60_000, link.href);
}

async function load(form) {
  const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
  const [, name] = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition")) ?? [];
  if (name) {
    save(await answer.blob(), name);
    form.reset();
    document.getElementById("downloaded").hidden = false;
  } else if (answer.redirected) {
    location.assign(answer.url);
  } else {
    // The same page, with what was wrong.
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.getElementById("content").replaceWith(page.getElementById("content"));
    document.querySelector(".is-invalid")?.focus();
  }
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (form.id !== FORM || event.defaultPrevented) return;
  event.preventDefault();
  document.getElementById("downloaded").hidden = true;
  document.getElementById("not-downloaded").hidden = true;
  busy(form, event.submitter);
  try {
    await load(form);
  } catch {
    document.getElementById("not-downloaded").hidden = false;
  } finally {
    idle();
  }
});
