// The list of received messages: ticks outlive what comes in meanwhile.

const list = document.getElementById("messages");
const all = document.getElementById("tick-all");
const ticked = new Set();
const boxes = () => [...list.querySelectorAll("input[name=message]")];

function remember() {
  for (const box of boxes()) ticked[box.checked ? "add" : "delete"](box.value);
}

list.addEventListener("change", remember);
new MutationObserver(() => {
  for (const box of boxes()) box.checked = ticked.has(box.value);
}).observe(list, { childList: true });

if (all) {
  all.hidden = false;
  all.addEventListener("click", () => {
    const wanted = !boxes().every((box) => box.checked);
    for (const box of boxes()) box.checked = wanted;
    remember();
  });
}
remember();
