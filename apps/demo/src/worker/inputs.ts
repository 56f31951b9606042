import type { NdArray } from '@tenon-ml/core';
import type { Picture } from './protocol.js';

/**
 * Whatever picture a person gives as an example of [height, width, channels], with values from that of black to that of
 * white: as much of its middle as has the example's proportions, averaged over the area of each pixel. Transparent parts
 * count as white.
 */
export function exampleOf(
  picture: Picture,
  [height, width, channels]: readonly [number, number, number],
  [black, white]: readonly [number, number],
): NdArray<'float32'> {
  const scale = Math.min(picture.width / width, picture.height / height);
  const left = (picture.width - width * scale) / 2;
  const top = (picture.height - height * scale) / 2;
  const data = new Float32Array(height * width * channels);
  const raw = (value: number): number => black + (value / 255) * (white - black);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += channels) {
      const [red, green, blue] = average(picture, left + x * scale, top + y * scale, scale);
      if (channels === 1) data[at] = raw(0.299 * red + 0.587 * green + 0.114 * blue);
      else data.set([raw(red), raw(green), raw(blue)], at);
    }
  }
  return { dtype: 'float32', shape: [height, width, channels], data };
}

/** The mean colour of a square of a picture, pixels weighted by the area of them that lies in it. */
function average(picture: Picture, left: number, top: number, side: number): [number, number, number] {
  const sum = [0, 0, 0];
  let weight = 0;
  const [right, bottom] = [left + side, top + side];
  for (let y = Math.max(0, Math.floor(top)); y < Math.min(picture.height, Math.ceil(bottom)); y++) {
    const tall = Math.min(bottom, y + 1) - Math.max(top, y);
    for (let x = Math.max(0, Math.floor(left)); x < Math.min(picture.width, Math.ceil(right)); x++) {
      const area = tall * (Math.min(right, x + 1) - Math.max(left, x));
      const at = 4 * (y * picture.width + x);
      const opaque = picture.rgba[at + 3] / 255;
      for (let c = 0; c < 3; c++) sum[c] += area * (picture.rgba[at + c] * opaque + 255 * (1 - opaque));
      weight += area;
    }
  }
  return weight > 0 ? [sum[0] / weight, sum[1] / weight, sum[2] / weight] : [255, 255, 255];
}

/** How many pixels of a side the digits' writers had, and how many blocks they were counted in. */
const SCAN = 32;
const SIDE = 8;
const BLOCK = SCAN / SIDE;

/**
 * A drawn digit as the data set has them: dark ink on white, cut to its bounds, brought to 32 × 32 pixels of ink or paper,
 * and counted in blocks of 4 × 4: [8, 8, 1] of 0 to 16 (NIST's preprocessing, as E. Alpaydin and C. Kaynak describe it).
 * The height fills the square, the width keeps its proportion. Null where there is no ink.
 */
export function digitOf(picture: Picture): NdArray<'float32'> | null {
  const bounds = inkBounds(picture);
  if (!bounds) return null;
  const { left, top, width, height } = bounds;
  const side = Math.max(width, height);
  // In the middle of the square of its longer side.
  const [x0, y0] = [left - (side - width) / 2, top - (side - height) / 2];
  const data = new Float32Array(SIDE * SIDE);
  const step = side / SCAN;
  for (let y = 0; y < SCAN; y++) {
    for (let x = 0; x < SCAN; x++) {
      const [red, green, blue] = average(picture, x0 + x * step, y0 + y * step, step);
      if ((red + green + blue) / 3 < INK) data[Math.floor(y / BLOCK) * SIDE + Math.floor(x / BLOCK)]++;
    }
  }
  return { dtype: 'float32', shape: [SIDE, SIDE, 1], data };
}

/** Darker than this is ink. */
const INK = 140;

function inkBounds({ width, height, rgba }: Picture) {
  let [left, top, right, bottom] = [width, height, -1, -1];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = 4 * (y * width + x);
      const opaque = rgba[at + 3] / 255;
      const grey = ((rgba[at] + rgba[at + 1] + rgba[at + 2]) / 3) * opaque + 255 * (1 - opaque);
      if (grey >= INK) continue;
      left = Math.min(left, x);
      right = Math.max(right, x);
      top = Math.min(top, y);
      bottom = Math.max(bottom, y);
    }
  }
  return right < 0 ? null : { left, top, width: right - left + 1, height: bottom - top + 1 };
}
