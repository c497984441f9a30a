// Maps on demand: asked for once, made by a worker, fetched when they are there.

import { get, post } from "./http.js";

const FIRST_MS = 300;
const SLOWEST_MS = 2000;

/** The map at an address, asked for where nobody has yet; says how it goes; null where it failed or is not wanted. */
export async function made(address, say, wanted) {
  const began = Date.now();
  let state = await get(address);
  if (!state || state.state === "none" || state.state === "failed") {
    if (!(await post(address))) {
      say("The map could not be asked for.");
      return null;
    }
    state = null;
  }
  for (let pause = FIRST_MS; wanted(); pause = Math.min(pause * 1.3, SLOWEST_MS)) {
    if (state?.state === "done") {
      say("");
      return get(state.map);
    }
    const seconds = Math.round((Date.now() - began) / 1000);
    if (state) say(state.state === "failed" ? state.words : `${state.words} (${seconds} s)`);
    if (state?.state === "failed") return null;
    await new Promise((resolve) => setTimeout(resolve, pause));
    state = await get(address);
  }
  return null;
}
