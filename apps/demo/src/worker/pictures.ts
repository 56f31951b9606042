import type { NdArray } from '@tenon-ml/core';
import type { Picture } from './protocol.js';

/** A picture of `width` × `height` by a function of the place: red, green and blue from 0 to 255. */
export function paint(
  width: number,
  height: number,
  colour: (x: number, y: number) => readonly [number, number, number],
): Picture {
  const rgba = new Uint8ClampedArray(width * height * 4);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 4) {
      const [red, green, blue] = colour(x, y);
      rgba[at] = red;
      rgba[at + 1] = green;
      rgba[at + 2] = blue;
      rgba[at + 3] = 255;
    }
  }
  return { width, height, rgba };
}

/**
 * An example [height, width, 1 or 3] as a picture. `range` is its values' least and greatest. `ink` says that high values
 * are ink on paper, as of the digits, and not light.
 */
export function pictureOf(
  { shape, data }: NdArray,
  range: readonly [number, number],
  { ink = false }: { readonly ink?: boolean } = {},
): Picture {
  const [height, width, channels] = shape;
  const [low, high] = range;
  const scale = 255 / (high - low || 1);
  const light = (at: number): number => {
    const value = (Number(data[at]) - low) * scale;
    return ink ? 255 - value : value;
  };
  return paint(width, height, (x, y) => {
    const at = (y * width + x) * channels;
    return channels >= 3 ? [light(at), light(at + 1), light(at + 2)] : [light(at), light(at), light(at)];
  });
}

/** A plane of numbers in greys, from its least (black) to its greatest (white). */
export function planePicture(values: ArrayLike<number>, width: number, height: number): Picture {
  const [low, high] = extent(values);
  const scale = high > low ? 255 / (high - low) : 0;
  return paint(width, height, (x, y) => {
    const grey = (values[y * width + x] - low) * scale;
    return [grey, grey, grey];
  });
}

/** A plane of signed numbers: blue below 0, white at 0, orange above, by the largest magnitude. */
export function signedPicture(values: ArrayLike<number>, width: number, height: number): Picture {
  const [low, high] = extent(values);
  const scale = 1 / (Math.max(Math.abs(low), Math.abs(high)) || 1);
  return paint(width, height, (x, y) => {
    const strength = values[y * width + x] * scale;
    const rest = 1 - Math.abs(strength);
    const tint = strength < 0 ? [24, 88, 181] : [214, 94, 20];
    return [mix(tint[0], rest), mix(tint[1], rest), mix(tint[2], rest)];
  });
}

/** Heat from 0 (transparent) to the greatest (red), to lie over a picture. */
export function heatPicture(values: ArrayLike<number>, width: number, height: number): Picture {
  const [, high] = extent(values);
  const rgba = new Uint8ClampedArray(width * height * 4);
  for (let i = 0; i < width * height; i++) {
    const heat = high > 0 ? Math.max(0, values[i]) / high : 0;
    rgba[4 * i] = 230;
    rgba[4 * i + 1] = 160 * (1 - heat);
    rgba[4 * i + 2] = 0;
    rgba[4 * i + 3] = 215 * heat;
  }
  return { width, height, rgba };
}

function mix(tint: number, white: number): number {
  return tint + (255 - tint) * white;
}

function extent(values: ArrayLike<number>): [number, number] {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < values.length; i++) {
    low = Math.min(low, values[i]);
    high = Math.max(high, values[i]);
  }
  return low <= high ? [low, high] : [0, 0];
}
