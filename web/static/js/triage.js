// The triage list: marking as read without leaving the place where one reads, with an undo; and news without a jump.

import { get, post } from "./http.js";

const toast = document.getElementById("toast");
const news = document.getElementById("news");
const SHOWN_MS = 8000;
const LOOK_MS = 5000;
let undo = null;
let timer = 0;

for (const form of document.querySelectorAll("form[data-read], form[data-unread]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const row = form.closest("tr");
    const button = form.querySelector("button");
    button.disabled = true;
    if (!(await post(form.action))) {
      button.disabled = false;
      say("That could not be stored. Try again.", null);
      return;
    }
    const unreadList = new URLSearchParams(location.search).get("show") !== "all";
    if (!unreadList) {
      location.reload();
      return;
    }
    const next = neighbour(row);
    row.classList.add("gone");
    count(row.dataset.bucket, -1);
    say("Marked as read.", form.dataset.back ? () => takeBack(form, row, button) : null);
    next?.focus();
  });
}

async function takeBack(form, row, button) {
  if (!(await post(form.dataset.back))) return;
  row.classList.remove("gone");
  button.disabled = false;
  count(row.dataset.bucket, 1);
  hide();
  button.focus();
}

function neighbour(row) {
  const rows = [...document.querySelectorAll("tr.row:not(.gone)")];
  const place = rows.indexOf(row);
  return (rows[place + 1] ?? rows[place - 1])?.querySelector("button");
}

function count(bucket, change) {
  for (const one of document.querySelectorAll(`[data-count="${bucket}"], [data-total]`)) {
    one.textContent = String(Number(one.textContent) + change);
  }
}

function say(words, how) {
  toast.querySelector("[data-words]").textContent = words;
  undo = how;
  toast.querySelector("[data-undo]").hidden = !how;
  toast.hidden = false;
  clearTimeout(timer);
  timer = setTimeout(hide, SHOWN_MS);
}

function hide() {
  toast.hidden = true;
  undo = null;
}

toast.querySelector("[data-undo]").addEventListener("click", () => undo?.());

// The rows stay where they are; a button says that there is something new.
async function look() {
  const counts = document.hidden ? null : await get(news.dataset.counts);
  if (counts) {
    const shown = (bucket) => document.querySelector(`[data-count="${bucket}"]`).textContent;
    news.hidden = Object.entries(counts).every(([bucket, number]) => shown(bucket) === String(number));
  }
  setTimeout(look, LOOK_MS);
}

news.addEventListener("click", () => location.reload());
setTimeout(look, LOOK_MS);
