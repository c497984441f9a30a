// Batches: ledgers that count while one looks.

import { get, load, replace, swap } from "./http.js";
import { follow } from "./live.js";

const RENEW_MS = 3000; // a piece of the page is fetched anew at most so often
const QUEUE_MS = 15000;

const ledger = document.getElementById("ledger");
const list = document.getElementById("batches");
const wanted = new Set(); // the pieces of the list that are to be fetched anew
let filesDue = 0;
let queueDue = 0;

if (ledger) {
  follow(ledger.dataset.events, ledger.dataset.poll, (counts) => {
    if (show(ledger, counts)) renewFiles();
    ledger.querySelector("[data-through]").textContent = String(counts.received - counts.waiting);
    ledger.querySelector("[data-balance]").hidden = !counts.balanced;
    ledger.querySelector("[data-alarm]").hidden = counts.balanced;
    const cancel = document.getElementById("cancel");
    cancel.hidden = !("mine" in cancel.dataset && counts.waiting);
    const retry = document.getElementById("retry");
    retry.hidden = !counts.given_up;
    retry.querySelector("[data-given-up]").textContent = String(counts.given_up);
  });
}

if (list) {
  follow(list.dataset.events, list.dataset.poll, ({ batches }) => {
    let unknown = false; // a batch that was not there when the page was made
    for (const counts of batches) {
      const row = document.querySelector(`#batches [data-batch="${counts.id}"]`);
      if (row) {
        show(row, { ...counts, failed: counts.failed + counts.quarantined }, counts);
        row.querySelector("[data-balance]").textContent = counts.balanced ? "balanced" : "NOT BALANCED";
      }
      unknown ||= !row;
    }
    renewQueue(unknown && "newest" in list.dataset ? ["batches"] : []);
  });
  setInterval(renewQueue, QUEUE_MS); // ages grow, windows open and deadlines are missed without an event
}

/** Write the counts and the bar of one ledger; true where something changed. */
function show(root, counts, bar = counts) {
  let changed = false;
  for (const one of root.querySelectorAll("[data-count]")) {
    const text = String(counts[one.dataset.count]);
    changed ||= one.textContent !== text;
    one.textContent = text;
  }
  let x = 0;
  for (const part of root.querySelectorAll("[data-bar]")) {
    const width = (1000 * bar[part.dataset.bar]) / Math.max(1, bar.received);
    part.setAttribute("x", x.toFixed(2));
    part.setAttribute("width", width.toFixed(2));
    x += width;
  }
  return changed;
}

function renewFiles() {
  if (filesDue) return;
  filesDue = setTimeout(async () => {
    filesDue = 0;
    await swap("files");
  }, RENEW_MS);
}

/** Fetch the queue and the banners anew, and other pieces with them; where somebody is at work they stay for now. */
function renewQueue(others = []) {
  for (const id of ["pauses", "alarms", "queue", ...others]) wanted.add(id);
  if (queueDue || document.hidden) return;
  queueDue = setTimeout(async () => {
    const page = await load();
    queueDue = 0;
    if (page === null) return;
    for (const id of wanted) {
      const inUse = document.querySelector(`#${id} :is(details[open], :focus)`);
      if (!inUse && replace(page, id)) wanted.delete(id);
    }
  }, RENEW_MS);
}

const outlook = document.getElementById("outlook");
const OUTLOOK_MS = 5000;

/** Tell when it will be done, as it is foreseen now. */
async function look() {
  const told = document.hidden ? null : await get(outlook.dataset.poll);
  if (told) {
    const late = outlook.querySelector("[data-late]");
    const words = outlook.querySelector("[data-words]");
    if (late.textContent !== told.words) late.textContent = words.textContent = told.words;
    late.hidden = !told.late;
    words.hidden = told.late;
    outlook.querySelector("[data-pace]").textContent = told.per_minute === null ? ""
      : `All workers together: ${told.per_minute.toFixed(1)} studies a minute lately.`;
  }
  setTimeout(look, OUTLOOK_MS);
}

if (outlook) setTimeout(look, OUTLOOK_MS);
