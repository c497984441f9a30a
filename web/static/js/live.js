// Live values: an event stream where the server gives one, asking now and then where it does not.

import { get } from "./http.js";

const POLL_MS = 5000;
const RETRY_MS = 30000;

/** Call `changed` with the server's data whenever they change. */
export function follow(events, poll, changed) {
  const source = new EventSource(events);
  source.addEventListener("message", (event) => changed(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) ask(events, poll, changed); // refused: no stream is free
  });
  addEventListener("pagehide", () => source.close());
}

async function ask(events, poll, changed) {
  const end = Date.now() + RETRY_MS;
  while (Date.now() < end) {
    const data = await get(poll);
    if (data) changed(data);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  follow(events, poll, changed);
}
