import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { digitOf, exampleOf } from '../src/worker/inputs.js';
import { paint } from '../src/worker/pictures.js';
import type { Picture } from '../src/worker/protocol.js';

type Colour = readonly [number, number, number];
const INK: Colour = [0, 0, 0];
const PAPER: Colour = [255, 255, 255];

/** Ink where `ink` says so, of places in a glyph of `size`, enlarged by `scale` and moved. */
function drawn(
  ink: (x: number, y: number) => boolean,
  size: number,
  { scale, left, top, sheet }: { scale: number; left: number; top: number; sheet: number },
): Picture {
  const within = (at: number): boolean => at >= 0 && at < size;
  return paint(sheet, sheet, (x, y) => {
    const [gx, gy] = [Math.floor((x - left) / scale), Math.floor((y - top) / scale)];
    return within(gx) && within(gy) && ink(gx, gy) ? INK : PAPER;
  });
}

/** A glyph of 32 × 32 whose ink reaches all edges, so that its bounds are its size. */
const glyph = fc
  .uint8Array({ minLength: 64, maxLength: 64 })
  .map((cells) => (x: number, y: number): boolean => {
    if ((x === 0 && y === 0) || (x === 31 && y === 31)) return true;
    return cells[8 * Math.floor(y / 4) + Math.floor(x / 4)] > 127;
  });

describe('digitOf', () => {
  it('is null on an empty sheet, transparent or white', () => {
    expect(digitOf(paint(20, 10, () => PAPER))).toBeNull();
    expect(digitOf({ width: 4, height: 4, rgba: new Uint8ClampedArray(64) })).toBeNull();
  });

  it('counts 4 × 4 blocks of what the bounds of the ink hold', () => {
    fc.assert(
      fc.property(glyph, fc.integer({ min: 1, max: 4 }), fc.nat(40), fc.nat(40), (ink, scale, left, top) => {
        const digit = digitOf(drawn(ink, 32, { scale, left, top, sheet: 32 * 4 + 40 }));
        const counts = Array.from({ length: 64 }, (_, i) => {
          let count = 0;
          for (let k = 0; k < 16; k++)
            if (ink(4 * (i % 8) + (k % 4), 4 * Math.floor(i / 8) + Math.floor(k / 4))) count++;
          return count;
        });
        expect(digit?.shape).toEqual([8, 8, 1]);
        expect([...(digit?.data ?? [])]).toEqual(counts);
      }),
      { numRuns: 40 },
    );
  });

  it('hardly minds where the drawing is, and how large', () => {
    // A ring, whose edges fall between pixels in other ways each time.
    const ring = (size: number, x0: number, y0: number): Picture =>
      paint(256, 256, (x, y) => {
        const r = Math.hypot((x - x0) / size, (y - y0) / size);
        return r < 1 && r > 0.6 ? INK : PAPER;
      });
    const of = (picture: Picture): number[] => [...(digitOf(picture)?.data ?? [])];
    const usual = of(ring(80, 128, 128));
    expect(usual.reduce((a, b) => a + b)).toBeGreaterThan(300);
    fc.assert(
      fc.property(
        fc.double({ min: 40, max: 100, noNaN: true }),
        fc.double({ min: 105, max: 150, noNaN: true }),
        fc.double({ min: 105, max: 150, noNaN: true }),
        (size, x0, y0) => {
          const differences = of(ring(size, x0, y0)).map((count, i) => Math.abs(count - usual[i]));
          expect(Math.max(...differences)).toBeLessThanOrEqual(4);
          expect(differences.reduce((a, b) => a + b) / 64).toBeLessThan(1);
        },
      ),
      { numRuns: 30 },
    );
  });

  it('keeps the proportion: a line down stays thin, in the middle', () => {
    const digit = digitOf(paint(100, 100, (x, y) => (x >= 70 && x < 80 && y >= 10 && y < 90 ? INK : PAPER)));
    const rows = Array.from({ length: 8 }, (_, y) => [...(digit?.data ?? [])].slice(8 * y, 8 * y + 8));
    for (const row of rows) {
      expect(row.slice(0, 3)).toEqual([0, 0, 0]);
      expect(row.slice(5)).toEqual([0, 0, 0]);
      expect(row[3] + row[4]).toBe(16);
    }
  });
});

describe('exampleOf', () => {
  const shape = fc.tuple(
    fc.integer({ min: 1, max: 9 }),
    fc.integer({ min: 1, max: 9 }),
    fc.constantFrom(1, 3),
  );
  const side = fc.integer({ min: 1, max: 24 });

  it('keeps a picture of one colour, by whatever sizes', () => {
    fc.assert(
      fc.property(
        side,
        side,
        shape,
        fc.nat(255),
        fc.integer({ min: 1, max: 255 }),
        (width, height, to, grey, max) => {
          const example = exampleOf(
            paint(width, height, () => [grey, grey, grey]),
            to,
            [0, max],
          );
          expect(example.shape).toEqual(to);
          expect(example.data.length).toBe(to[0] * to[1] * to[2]);
          for (const value of example.data) expect(value).toBeCloseTo((grey / 255) * max, 3);
        },
      ),
    );
  });

  it('keeps the mean where the proportions are the same', () => {
    fc.assert(
      fc.property(
        side,
        side,
        fc.integer({ min: 1, max: 4 }),
        fc.uint8Array({ minLength: 24 * 24, maxLength: 24 * 24 }),
        (width, height, times, values) => {
          const picture = paint(width, height, (x, y) => [values[24 * y + x], 0, 255 - values[24 * y + x]]);
          for (const to of [
            [height * times, width * times, 3],
            [height, width, 3],
          ] as const) {
            const { data } = exampleOf(picture, to, [0, 255]);
            let [given, got] = [0, 0];
            for (let i = 0; i < width * height; i++) given += picture.rgba[4 * i];
            for (let i = 0; i < data.length; i += 3) got += data[i];
            expect(got / (data.length / 3)).toBeCloseTo(given / (width * height), 3);
          }
        },
      ),
    );
  });

  it('takes the middle of a picture with other proportions', () => {
    const wide = paint(6, 2, (x) => (x < 2 || x > 3 ? [255, 0, 0] : [0, 0, 255]));
    expect([...exampleOf(wide, [1, 1, 3], [0, 1]).data]).toEqual([0, 0, 1]);
  });

  it('weighs colours for one channel, and lays transparency on white', () => {
    const red = paint(1, 1, () => [255, 0, 0]);
    expect(exampleOf(red, [1, 1, 1], [0, 1]).data[0]).toBeCloseTo(0.299, 6);
    const clear: Picture = { width: 1, height: 1, rgba: new Uint8ClampedArray(4) };
    expect([...exampleOf(clear, [1, 1, 3], [0, 255]).data]).toEqual([255, 255, 255]);
  });
});
