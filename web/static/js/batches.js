// Batches: ledgers that count while one looks.

import { get, swap } from "./http.js";
import { follow } from "./live.js";

const FILES_MS = 3000; // the table of files is fetched anew at most so often

const ledger = document.getElementById("ledger");
const table = document.getElementById("batches");
let filesDue = 0;

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

if (table) {
  follow(table.dataset.events, table.dataset.poll, ({ batches }) => {
    for (const counts of batches) {
      const row = table.querySelector(`[data-batch="${counts.id}"]`);
      if (!row) {
        swap("batches"); // a batch that was not there when the page was made
        return;
      }
      show(row, { ...counts, failed: counts.failed + counts.quarantined }, counts);
      row.querySelector("[data-balance]").textContent = counts.balanced ? "balanced" : "NOT BALANCED";
    }
  });
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
  }, FILES_MS);
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
