// The saliency overlay: the network's raw grid, drawn in the frame of the picture that it belongs to.
//
// The grid covers the network's square input; the picture lies inside that square, letterboxed, where the geometry says.

import { colour } from "./colours.js";

const LONGEST = 384; // pixels of the drawing; the browser smooths it further

/** Bilinear value of a grid at (row, column) in cells, where the centre of the first cell is (0, 0). */
export function sample(grid, row, column) {
  const last = grid.length - 1;
  const lastColumn = grid[0].length - 1;
  const y = Math.min(Math.max(row, 0), last);
  const x = Math.min(Math.max(column, 0), lastColumn);
  const top = Math.floor(y);
  const left = Math.floor(x);
  const below = Math.min(top + 1, last);
  const right = Math.min(left + 1, lastColumn);
  const down = y - top;
  const across = x - left;
  const upper = grid[top][left] * (1 - across) + grid[top][right] * across;
  const lower = grid[below][left] * (1 - across) + grid[below][right] * across;
  return upper * (1 - down) + lower * down;
}

/** The greatest value of a grid, or 0 where none is positive. */
export function peak(grid) {
  return grid.reduce((best, row) => row.reduce((most, value) => Math.max(most, value), best), 0);
}

/** Where a point of the picture (0..1 each way) lies in the grid, as [row, column] in cells. */
export function cell(map, down, across) {
  const { top, left, height, width } = map.geometry;
  const y = (top + down * height) / map.input_size;
  const x = (left + across * width) / map.input_size;
  return [y * map.grid.length - 0.5, x * map.grid[0].length - 0.5];
}

/** Draw a map over a picture of this shape; what is not positive stays transparent. */
export function draw(canvas, map, rows, columns) {
  const scale = LONGEST / Math.max(rows, columns);
  canvas.width = Math.max(1, Math.round(columns * scale));
  canvas.height = Math.max(1, Math.round(rows * scale));
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  const greatest = peak(map.grid) || 1;
  let i = 0;
  for (let y = 0; y < canvas.height; y++) {
    for (let x = 0; x < canvas.width; x++) {
      const place = cell(map, (y + 0.5) / canvas.height, (x + 0.5) / canvas.width);
      const value = Math.max(0, sample(map.grid, ...place) / greatest);
      image.data.set([...colour(value), Math.round(255 * Math.sqrt(value))], i);
      i += 4;
    }
  }
  context.putImageData(image, 0, 0);
}
