// The page of a replay: its progress while one looks, and the maps of the changed studies as they come into view.

import { get } from "./http.js";
import { draw } from "./saliency.js";

const FIRST_MS = 1000;
const SLOWEST_MS = 10000;

const root = document.getElementById("progress");

async function look(pause) {
  await new Promise((resolve) => setTimeout(resolve, pause));
  const told = document.hidden ? null : await get(root.dataset.poll);
  if (told) {
    if (told.state !== root.dataset.state) {
      location.reload(); // figures, changed studies and what may be done now
      return;
    }
    for (const one of root.querySelectorAll("[data-count]")) one.textContent = String(told[one.dataset.count]);
    root.querySelector("progress").value = told.studies - told.waiting;
    const waits = root.querySelector("[data-waits]");
    if (waits.textContent !== told.waits) waits.textContent = told.waits;
  }
  look(Math.min(pause * 1.1, SLOWEST_MS));
}

async function show(canvas) {
  const map = await get(canvas.dataset.map);
  const film = canvas.parentElement.querySelector("img");
  if (!map) return;
  draw(canvas, map, film.getAttribute("height"), film.getAttribute("width"));
  canvas.dataset.drawn = "";
}

const seen = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    seen.unobserve(target);
    show(target);
  }
}, { rootMargin: "400px" });

for (const canvas of document.querySelectorAll("canvas[data-map]")) seen.observe(canvas);
if (root.dataset.state === "running") look(FIRST_MS);
