// Upload: files and folders by drag and drop, and a bar for the transfer. Without this script the form works as it is.

import { gather } from "./drop.js";

const form = document.getElementById("upload");
const input = document.getElementById("files");
const drop = document.getElementById("drop");
const fault = document.getElementById("fault");
const transfer = document.getElementById("transfer");
const progress = document.getElementById("progress");
const words = document.getElementById("transfer-words");
const send = document.getElementById("send");
const stop = document.getElementById("stop");

const MOST_BYTES = Number(form.dataset.maxBytes);
const MOST_FILES = Number(form.dataset.maxFiles);
const BROKEN = "The transfer broke off. What had arrived is kept; send the rest again.";

let chosen = []; // [file, name with its folders]

input.addEventListener("change", () => choose([...input.files].map((file) => [file, file.name])));

for (const name of ["dragenter", "dragover"]) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
drop.addEventListener("dragleave", (event) => {
  if (!drop.contains(event.relatedTarget)) drop.classList.remove("over");
});
drop.addEventListener("drop", async (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  choose(await gather(event.dataTransfer));
});

function choose(files) {
  chosen = files;
  input.required = chosen.length === 0;
  const bytes = total();
  const count = chosen.length === 1 ? chosen[0][1] : `${chosen.length} files`;
  document.getElementById("chosen").textContent = chosen.length ? `${count}, ${size(bytes)}` : "";
  complain(
    chosen.length > MOST_FILES ? `At most ${MOST_FILES} files at once: put them into a ZIP.`
    : bytes > MOST_BYTES ? `At most ${size(MOST_BYTES)} at once.`
    : "",
  );
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!chosen.length) return complain("Choose at least one file.");
  if (chosen.length > MOST_FILES || total() > MOST_BYTES) return;
  const data = new FormData(form);
  data.delete("files");
  for (const [file, name] of chosen) data.append("files", file, name);
  start(data);
});

function start(data) {
  const request = new XMLHttpRequest();
  request.open("POST", form.action);
  request.setRequestHeader("Accept", "application/json");
  request.responseType = "json";
  request.upload.addEventListener("progress", (event) => {
    const share = event.lengthComputable ? event.loaded / event.total : 0;
    progress.value = share;
    words.textContent = share < 1 ? `${size(event.loaded)} of ${size(event.total)}, ${Math.floor(100 * share)} %`
      : "All sent; the server is storing it.";
  });
  request.addEventListener("load", () => {
    if (request.response?.location) location.assign(request.response.location);
    else end(request.response?.error ?? `The server answered with error ${request.status}.`);
  });
  request.addEventListener("error", () => end(BROKEN));
  request.addEventListener("abort", () => end("Stopped. What had arrived is kept."));
  stop.onclick = () => request.abort();
  complain("");
  busy(true);
  request.send(data);
}

function end(text) {
  busy(false);
  complain(text);
}

function busy(yes) {
  transfer.hidden = !yes;
  stop.hidden = !yes;
  send.disabled = yes;
}

function complain(text) {
  fault.textContent = text;
  fault.hidden = !text;
}

function total() {
  return chosen.reduce((sum, [file]) => sum + file.size, 0);
}

function size(bytes) {
  const units = ["bytes", "KB", "MB", "GB"];
  let unit = 0;
  for (; bytes >= 1000 && unit < units.length - 1; unit++) bytes /= 1000;
  return `${unit ? bytes.toFixed(1) : bytes} ${units[unit]}`;
}
