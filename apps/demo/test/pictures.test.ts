import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { heatPicture, paint, pictureOf, planePicture, signedPicture } from '../src/worker/pictures.js';

const pixel = ({ rgba, width }: ReturnType<typeof paint>, x: number, y = 0): number[] => [
  ...rgba.subarray(4 * (y * width + x), 4 * (y * width + x) + 4),
];

describe('pictures', () => {
  it('paints row by row, opaque', () => {
    const picture = paint(3, 2, (x, y) => [x, y, 7]);
    expect([picture.width, picture.height, picture.rgba.length]).toEqual([3, 2, 24]);
    expect(pixel(picture, 2, 1)).toEqual([2, 1, 7, 255]);
  });

  it('shows an example between its least and greatest value', () => {
    const data = Float32Array.of(-1, 0, 1, 1, -1, 0);
    const colours = pictureOf({ dtype: 'float32', shape: [1, 2, 3], data }, [-1, 1]);
    expect(pixel(colours, 0)).toEqual([0, 128, 255, 255]);
    expect(pixel(colours, 1)).toEqual([255, 0, 128, 255]);
    const greys = pictureOf({ dtype: 'float32', shape: [1, 2, 1], data: Float32Array.of(0, 16) }, [0, 16]);
    expect([pixel(greys, 0)[0], pixel(greys, 1)[0]]).toEqual([0, 255]);
  });

  it('shows ink dark on paper', () => {
    const digit = { dtype: 'float32', shape: [1, 2, 1], data: Float32Array.of(0, 16) } as const;
    const picture = pictureOf(digit, [0, 16], { ink: true });
    expect([pixel(picture, 0)[0], pixel(picture, 1)[0]]).toEqual([255, 0]);
  });

  it('spreads a plane from black to white, and leaves one value black', () => {
    const picture = planePicture([5, 6, 7], 3, 1);
    expect([0, 1, 2].map((x) => pixel(picture, x)[0])).toEqual([0, 128, 255]);
    expect([...planePicture([4, 4], 2, 1).rgba]).toEqual([0, 0, 0, 255, 0, 0, 0, 255]);
  });

  it('tints by sign, white at zero, as strong as the magnitude', () => {
    const picture = signedPicture([-2, 0, 1, 2], 4, 1);
    expect(pixel(picture, 0)).toEqual([24, 88, 181, 255]);
    expect(pixel(picture, 1)).toEqual([255, 255, 255, 255]);
    expect(pixel(picture, 3)).toEqual([214, 94, 20, 255]);
    const half = pixel(picture, 2);
    for (const c of [0, 1, 2])
      expect(Math.abs(half[c] - (255 + pixel(picture, 3)[c]) / 2)).toBeLessThanOrEqual(0.5);
    expect([...signedPicture([0], 1, 1).rgba]).toEqual([255, 255, 255, 255]);
  });

  it('heats: clear at zero and below, the more opaque the more', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: -3, max: 3, noNaN: true }), { minLength: 1, maxLength: 9 }),
        (values) => {
          const { rgba } = heatPicture(values, values.length, 1);
          const opaque = values.map((_, i) => rgba[4 * i + 3]);
          const most = Math.max(...values);
          for (const [i, value] of values.entries()) {
            if (value <= 0) expect(opaque[i]).toBe(0);
            if (most > 0 && value === most) expect(opaque[i]).toBe(215);
            for (const [j, other] of values.entries())
              if (value >= other) expect(opaque[i]).toBeGreaterThanOrEqual(opaque[j]);
          }
        },
      ),
    );
  });
});
