import type { NdArray } from '@tenon-ml/core';

/** Pixels as a canvas has them: red, green, blue and alpha, a byte each, row by row. An ImageData is one. */
export interface RgbaImage {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray | Uint8Array;
}

/** Colours, or the luma of them. */
export type Channels = 1 | 3;

/**
 * A square of a picture, uint8 [side, side, channels]: the largest one in its middle, each pixel the mean of the area
 * that it covers. Transparency is laid on white. One channel is the luma of ITU-R BT.601,
 * 0.299 red + 0.587 green + 0.114 blue.
 */
export function coverSquare(
  image: RgbaImage,
  side: number,
  channels: Channels,
): NdArray<'uint8'> & { readonly data: Uint8Array<ArrayBuffer> } {
  const { width, height, data } = image;
  const size = Math.min(width, height);
  const across = shares((width - size) / 2, size, side);
  const down = shares((height - size) / 2, size, side);
  const pixels = new Uint8Array(side * side * channels);
  const scale = (side / size) ** 2;
  let to = 0;
  for (const rows of down) {
    for (const columns of across) {
      let red = 0;
      let green = 0;
      let blue = 0;
      for (let r = 0; r < rows.weights.length; r++) {
        let at = ((rows.first + r) * width + columns.first) * 4;
        for (let c = 0; c < columns.weights.length; c++, at += 4) {
          const weight = rows.weights[r] * columns.weights[c];
          const alpha = data[at + 3] / 255;
          const white = 255 * (1 - alpha);
          red += weight * (alpha * data[at] + white);
          green += weight * (alpha * data[at + 1] + white);
          blue += weight * (alpha * data[at + 2] + white);
        }
      }
      if (channels === 1) pixels[to++] = Math.round(scale * (0.299 * red + 0.587 * green + 0.114 * blue));
      else {
        pixels[to++] = Math.round(scale * red);
        pixels[to++] = Math.round(scale * green);
        pixels[to++] = Math.round(scale * blue);
      }
    }
  }
  return { dtype: 'uint8', shape: [side, side, channels], data: pixels };
}

/** For each of `count` cells of a length: the first pixel that it touches, and how much of that and the next ones it covers. */
function shares(begin: number, length: number, count: number): { first: number; weights: number[] }[] {
  return Array.from({ length: count }, (_, i) => {
    const from = begin + (i * length) / count;
    const to = begin + ((i + 1) * length) / count;
    const first = Math.floor(from);
    const weights: number[] = [];
    for (let pixel = first; pixel < to - 1e-9; pixel++) {
      weights.push(Math.min(to, pixel + 1) - Math.max(from, pixel));
    }
    return { first, weights };
  });
}
