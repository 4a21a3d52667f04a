// The time of this browser, taken in the moment in which the button is pressed.
const form = document.getElementById("from-browser");
if (form) {
  form.hidden = false;
  form.addEventListener("submit", () => {
    form.elements.epoch_ms.value = Date.now();
  });
}
