// Choosing studies: how many are chosen, and all of a page at once. Without this script the form works as it is.

const form = document.getElementById("chosen");
const boxes = [...document.querySelectorAll('input[name="study"][form="chosen"]')];
const all = document.querySelector("[data-all]");

function count() {
  const chosen = boxes.filter((box) => box.checked).length;
  form.querySelector("[data-chosen]").textContent = chosen === 1 ? "1 study is selected" : `${chosen} studies are selected`;
  form.classList.toggle("none", chosen === 0);
  for (const button of form.querySelectorAll("button")) button.disabled = chosen === 0;
  if (all) {
    all.checked = chosen === boxes.length;
    all.indeterminate = chosen > 0 && chosen < boxes.length;
  }
}

if (form) {
  if (all) all.hidden = false;
  all?.addEventListener("change", () => {
    for (const box of boxes) box.checked = all.checked;
    count();
  });
  for (const box of boxes) box.addEventListener("change", count);
  addEventListener("pageshow", count); // a browser that goes back keeps the boxes as they were
  count();
}
