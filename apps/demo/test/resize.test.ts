import { readSafetensors } from '@tenon-ml/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { examplesToArrays } from '../src/import/pictures.js';
import { coverSquare, type RgbaImage } from '../src/import/resize.js';
import { expectError } from './support.js';

function imageOf(
  width: number,
  height: number,
  pixel: (x: number, y: number) => readonly number[],
): RgbaImage {
  const data = new Uint8ClampedArray(width * height * 4);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) data.set(pixel(x, y), 4 * (y * width + x));
  }
  return { width, height, data };
}

describe('coverSquare', () => {
  it('keeps a square of the same side, bit for bit', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 }),
        fc.uint8Array({ minLength: 81 * 3, maxLength: 81 * 3 }),
        (side, values) => {
          const image = imageOf(side, side, (x, y) => [
            ...values.subarray(3 * (y * side + x), 3 * (y * side + x) + 3),
            255,
          ]);
          const { data, shape } = coverSquare(image, side, 3);
          expect(shape).toEqual([side, side, 3]);
          expect([...data]).toEqual([...values.subarray(0, side * side * 3)]);
        },
      ),
    );
  });

  it('takes the middle of a wide and of a tall picture', () => {
    const wide = imageOf(4, 2, (x, y) => [10 * x, y, 0, 255]);
    expect([...coverSquare(wide, 2, 3).data]).toEqual([10, 0, 0, 20, 0, 0, 10, 1, 0, 20, 1, 0]);
    const tall = imageOf(2, 4, (x, y) => [x, 10 * y, 0, 255]);
    expect([...coverSquare(tall, 2, 3).data]).toEqual([0, 10, 0, 1, 10, 0, 0, 20, 0, 1, 20, 0]);
  });

  it('is the mean over areas, of any sizes', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 1, max: 12 }),
        fc.uint8Array({ minLength: 144, maxLength: 144 }),
        (width, height, side, values) => {
          const image = imageOf(width, height, (x, y) => [values[12 * y + x], 0, 0, 255]);
          const { data } = coverSquare(image, side, 3);
          const size = Math.min(width, height);
          const share = (pixel: number, begin: number, cell: number): number =>
            Math.max(
              0,
              Math.min(pixel + 1, begin + ((cell + 1) * size) / side) -
                Math.max(pixel, begin + (cell * size) / side),
            );
          for (let row = 0; row < side; row++) {
            for (let column = 0; column < side; column++) {
              let sum = 0;
              for (let y = 0; y < height; y++) {
                for (let x = 0; x < width; x++) {
                  const weight = share(x, (width - size) / 2, column) * share(y, (height - size) / 2, row);
                  sum += weight * values[12 * y + x];
                }
              }
              expect(
                Math.abs(data[3 * (row * side + column)] - (sum * side * side) / (size * size)),
              ).toBeLessThan(0.5001);
            }
          }
        },
      ),
    );
  });

  it('lays transparency on white, and weighs colours for one channel', () => {
    const clear = imageOf(1, 1, () => [0, 0, 0, 0]);
    expect([...coverSquare(clear, 1, 3).data]).toEqual([255, 255, 255]);
    const half = imageOf(1, 1, () => [200, 0, 100, 51]);
    expect([...coverSquare(half, 1, 3).data]).toEqual([244, 204, 224]);
    const colours = [
      [255, 0, 0],
      [0, 255, 0],
      [0, 0, 255],
      [255, 255, 255],
    ];
    const luma = colours.map(
      (colour) =>
        coverSquare(
          imageOf(1, 1, () => [...colour, 255]),
          1,
          1,
        ).data[0],
    );
    expect(luma).toEqual([76, 150, 29, 255]);
  });
});

describe('examplesToArrays', () => {
  const grey = (value: number): RgbaImage => imageOf(3, 3, () => [value, value, value, 255]);

  it('makes the arrays of pictures, classes in the order given', () => {
    const classes = [
      { name: 'rock', images: [grey(1), grey(2)] },
      { name: 'paper', images: [grey(3), grey(4), grey(5)] },
    ];
    const { bytes, data, examples } = examplesToArrays(classes, 2, 1);
    expect([data, examples]).toEqual([
      { source: 'arrays', file: 'data.safetensors', classNames: ['rock', 'paper'] },
      5,
    ]);
    const { input, target } = readSafetensors(bytes).tensors;
    expect([input.dtype, input.shape, target.dtype]).toEqual(['uint8', [5, 2, 2, 1], 'int32']);
    expect([...input.data]).toEqual([1, 2, 3, 4, 5].flatMap((value) => [value, value, value, value]));
    expect([...target.data]).toEqual([0, 0, 1, 1, 1]);
  });

  it.each([
    ['one class', [{ name: 'a', images: [grey(1), grey(2)] }], "one class, 'a'"],
    [
      'a class of one',
      [
        { name: 'a', images: [grey(1), grey(2)] },
        { name: 'b', images: [grey(1)] },
      ],
      'b: 1',
    ],
    [
      'an empty class',
      [
        { name: 'a', images: [grey(1), grey(2)] },
        { name: 'b', images: [] },
      ],
      'b: 0',
    ],
    [
      'two of one name',
      [
        { name: 'a', images: [grey(1), grey(2)] },
        { name: 'a', images: [grey(1)] },
      ],
      "two of the name 'a'",
    ],
    ['none', [], 'none'],
  ])('refuses %s', async (_, classes, message) => {
    await expectError(() => examplesToArrays(classes, 2, 1), 'DATA_INVALID', message);
  });
});
