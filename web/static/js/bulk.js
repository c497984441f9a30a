// A retry or a discard of several studies: what moves, as it moves; and one press of the button is one confirmation.

import { get, swap } from "./http.js";

const FIRST_MS = 700;
const SLOWEST_MS = 10000;

async function wait(pause) {
  const bulk = document.getElementById("bulk");
  if (!("moving" in bulk.dataset)) return;
  await new Promise((resolve) => setTimeout(resolve, pause));
  const state = await get(bulk.dataset.state);
  if (state && (state.version !== bulk.dataset.version || !state.moving)) {
    wait((await swap("bulk")) ? FIRST_MS : SLOWEST_MS);
    return;
  }
  wait(Math.min(pause * 1.2, SLOWEST_MS));
}

for (const form of document.querySelectorAll("form[data-once]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
}
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-once]")) delete form.dataset.sent;
});

wait(FIRST_MS);
