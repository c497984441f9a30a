// A colour map from transparent blue over green to warm yellow, whose lightness rises with the value.

const STOPS = [
  [0.0, 48, 60, 160],
  [0.25, 38, 120, 190],
  [0.5, 40, 180, 140],
  [0.75, 190, 210, 60],
  [1.0, 255, 232, 70],
];

/** The colour of a value between 0 and 1, as [red, green, blue]. */
export function colour(value) {
  for (let i = 1; i < STOPS.length; i++) {
    const [to, ...high] = STOPS[i];
    if (value <= to) {
      const [from, ...low] = STOPS[i - 1];
      const part = (value - from) / (to - from);
      return low.map((channel, c) => Math.round(channel + part * (high[c] - channel)));
    }
  }
  return STOPS.at(-1).slice(1);
}

/** Fill an SVG gradient with the map. */
export function fillGradient(gradient) {
  for (const [place, red, green, blue] of STOPS) {
    const stop = document.createElementNS("http://www.w3.org/2000/svg", "stop");
    stop.setAttribute("offset", String(place));
    stop.setAttribute("stop-color", `rgb(${red} ${green} ${blue})`);
    gradient.append(stop);
  }
}
