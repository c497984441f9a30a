// The study page: the overlay's controls, other images of the study, and the answer when it comes.

import { fillGradient } from "./colours.js";
import { made } from "./explanations.js";
import { get, swap } from "./http.js";
import { draw, peak } from "./saliency.js";

const FIRST_MS = 1000;
const SLOWEST_MS = 10000;

async function overlay() {
  const controls = document.querySelector("[data-overlay]");
  if (!controls) return;
  const canvas = document.getElementById("overlay");
  const film = document.getElementById("film");
  const on = document.getElementById("overlay-on");
  const opacity = document.getElementById("overlay-opacity");
  const show = () => {
    canvas.hidden = !on.checked;
    canvas.style.opacity = String(opacity.value / 100);
    opacity.disabled = !on.checked;
  };
  on.addEventListener("change", show);
  opacity.addEventListener("input", show);
  show();
  fillGradient(document.getElementById("map"));
  const method = document.getElementById("overlay-method");
  const progress = document.getElementById("overlay-progress");
  const chosen = async () => {
    const option = method.selectedOptions[0];
    const here = () => option.selected && canvas.isConnected; // not: another was chosen, another image shown
    const say = (words) => {
      if (here()) progress.textContent = words;
    };
    delete canvas.dataset.drawn;
    canvas.width = 0; // the last map says nothing of this method
    say("");
    const map = "default" in option.dataset
      ? await get(controls.dataset.overlay)
      : await made(option.dataset.address, say, here);
    if (!map || !here()) return;
    draw(canvas, map, film.getAttribute("height"), film.getAttribute("width"));
    controls.querySelector("[data-said]").textContent = option.dataset.words;
    controls.querySelector("[data-peak]").textContent = `, ${peak(map.grid).toPrecision(2)}`;
    canvas.dataset.drawn = method.value;
  };
  method.addEventListener("change", () => {
    on.checked = true;
    show();
    chosen();
  });
  await chosen();
}

function images() {
  for (const link of document.querySelectorAll("a[data-image]")) {
    link.addEventListener("click", async (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      if (await swap("study", link.href)) {
        history.replaceState(null, "", link.href);
        begin();
        document.querySelector("a[data-image][aria-current]")?.focus();
      } else {
        location.assign(link.href);
      }
    });
  }
}

async function wait(pause) {
  const study = document.getElementById("study");
  if (!("inWork" in study.dataset)) return;
  await new Promise((resolve) => setTimeout(resolve, pause));
  const state = await get(study.dataset.state);
  if (state && state.version !== document.getElementById("study").dataset.version) {
    if (await swap("study")) begin();
    return;
  }
  wait(Math.min(pause * 1.1, SLOWEST_MS));
}

function begin() {
  overlay();
  images();
  wait(FIRST_MS);
}

begin();
