import { createKey, type DType, dtypes, type NdArray, sizeOf } from '@tenon-ml/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Augmentation, augment, fromArrays, randomCrop, randomFlip } from '../src/index.js';

const key = createKey(7);
const shapes = fc.record({
  count: fc.integer({ min: 1, max: 5 }),
  height: fc.integer({ min: 1, max: 7 }),
  width: fc.integer({ min: 1, max: 7 }),
  channels: fc.integer({ min: 1, max: 3 }),
  dtype: fc.constantFrom<DType>('uint8', 'float32', 'int32'),
  seed: fc.nat(1000),
});
type Shapes = typeof shapes extends fc.Arbitrary<infer T> ? T : never;

/** Images whose every element is another number, none of them 0. */
function imagesOf({ count, height, width, channels, dtype }: Shapes): NdArray {
  const shape = [count, height, width, channels];
  const data = dtypes[dtype].create(sizeOf(shape)) as Float32Array;
  for (let i = 0; i < data.length; i++) data[i] = 1 + (i % 250);
  return { dtype, shape, data } as NdArray;
}

/** The element of an image, 0 outside of it. */
function pixel(images: NdArray, i: number, y: number, x: number, c: number): number {
  const [, height, width, channels] = images.shape;
  if (y < 0 || y >= height || x < 0 || x >= width) return 0;
  return Number(images.data[((i * height + y) * width + x) * channels + c]);
}

/** Whether image i of `a` is that of `b` seen through `at`. */
function looksLike(
  a: NdArray,
  b: NdArray,
  i: number,
  at: (y: number, x: number) => [number, number],
): boolean {
  const [, height, width, channels] = a.shape;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < channels; c++)
        if (pixel(a, i, y, x, c) !== pixel(b, i, ...at(y, x), c)) return false;
  return true;
}

describe('randomFlip', () => {
  test('mirrors, keeps shape, dtype and what it was given, and twice is the identity', () => {
    fc.assert(
      fc.property(shapes, (of) => {
        const images = imagesOf(of);
        const before = images.data.slice();
        const flip = randomFlip({ probability: 1 });
        const flipped = flip(images, createKey(of.seed));
        expect([flipped.dtype, flipped.shape]).toEqual([of.dtype, images.shape]);
        for (let i = 0; i < of.count; i++)
          expect(looksLike(flipped, images, i, (y, x) => [y, of.width - 1 - x])).toBe(true);
        expect(flip(flipped, key)).toEqual(images);
        expect(images.data).toEqual(before);
        expect(randomFlip({ probability: 0 })(images, key)).toEqual(images);
      }),
    );
  });

  test('flips as often as it should, each image by itself', () => {
    const count = 4000;
    const images: NdArray = {
      dtype: 'uint8',
      shape: [count, 1, 2, 1],
      data: Uint8Array.from({ length: 2 * count }, (_, i) => i % 2),
    };
    for (const probability of [0.5, 0.2]) {
      const { data } = randomFlip({ probability })(images, key);
      let flips = 0;
      for (let i = 0; i < count; i++) flips += Number(data[2 * i]);
      // Five standard deviations.
      const deviation = Math.sqrt(count * probability * (1 - probability));
      expect(Math.abs(flips - count * probability)).toBeLessThan(5 * deviation);
    }
  });

  test('refuses what is no probability', () => {
    for (const probability of [-0.1, 1.1, Number.NaN])
      expect(() => randomFlip({ probability })).toThrow(/from 0 to 1/);
  });
});

describe('randomCrop', () => {
  test('is a window of the padded image', () => {
    fc.assert(
      fc.property(shapes, fc.nat(4), fc.nat(3), fc.nat(3), (of, padding, lessHeight, lessWidth) => {
        const images = imagesOf(of);
        const before = images.data.slice();
        const size = [
          Math.max(1, of.height + 2 * padding - lessHeight),
          Math.max(1, of.width + 2 * padding - lessWidth),
        ] as const;
        const cropped = randomCrop({ padding, size })(images, createKey(of.seed));
        expect([cropped.dtype, cropped.shape]).toEqual([of.dtype, [of.count, ...size, of.channels]]);
        for (let i = 0; i < of.count; i++) {
          const windows: boolean[] = [];
          for (let top = -padding; top <= of.height + padding - size[0]; top++)
            for (let left = -padding; left <= of.width + padding - size[1]; left++)
              windows.push(looksLike(cropped, images, i, (y, x) => [y + top, x + left]));
          expect(windows).toContain(true);
        }
        expect(images.data).toEqual(before);
      }),
    );
  });

  test('keeps the size by default, and all shifts come up', () => {
    const count = 900;
    const images: NdArray = {
      dtype: 'float32',
      shape: [count, 3, 3, 1],
      data: Float32Array.from({ length: 9 * count }, (_, i) => 1 + (i % 9)),
    };
    const cropped = randomCrop({ padding: 1 })(images, key);
    expect(cropped.shape).toEqual(images.shape);
    // The pixel in the middle tells the shift.
    const seen = new Map<number, number>();
    for (let i = 0; i < count; i++) {
      const middle = Number(cropped.data[9 * i + 4]);
      seen.set(middle, (seen.get(middle) ?? 0) + 1);
    }
    expect([...seen.keys()].sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    for (const times of seen.values()) expect(Math.abs(times - 100)).toBeLessThan(5 * Math.sqrt(100));
  });

  test('pads with what it is told to', () => {
    const images: NdArray = { dtype: 'uint8', shape: [1, 1, 1, 1], data: Uint8Array.of(3) };
    const { data } = randomCrop({ padding: 2, size: [5, 5], fill: 9 })(images, key);
    expect([...(data as Uint8Array)].sort()).toEqual([3, ...Array(24).fill(9)]);
    expect(() => randomCrop({ padding: 1, fill: 300 })(images, key)).toThrow(/uint8/);
  });

  test('refuses windows that are larger than the padded image', () => {
    expect(() => randomCrop({ padding: -1 })).toThrow(/padding/);
    const images: NdArray = { dtype: 'uint8', shape: [1, 2, 2, 1], data: new Uint8Array(4) };
    expect(() => randomCrop({ padding: 1, size: [5, 4] })(images, key)).toThrow(
      /at least 5 × 4, padded by 1 on each side, got \[1, 2, 2, 1\]/,
    );
  });
});

describe('augment', () => {
  const input: NdArray<'uint8'> = {
    dtype: 'uint8',
    shape: [40, 4, 4, 3],
    data: Uint8Array.from({ length: 40 * 48 }, (_, i) => i % 251),
  };
  const target: NdArray<'int32'> = { dtype: 'int32', shape: [40], data: Int32Array.from(Array(40).keys()) };
  const changes = augment(randomCrop({ padding: 2 }), randomFlip());
  const data = fromArrays({ input, target });
  const pixels = async (epoch: number, pipeline = data.batch(8).map(changes, { key })): Promise<number[]> =>
    (await pipeline.toArray({ epoch })).flatMap((batch) => [...(batch.input.data as Uint8Array)]);

  test('batches: the same for a key and an epoch, other ones in another, and the targets stay', async () => {
    const first = await pixels(0);
    expect(await pixels(0)).toEqual(first);
    expect(await pixels(1)).not.toEqual(first);
    expect(await pixels(0, data.batch(8).map(changes, { key: createKey(8) }))).not.toEqual(first);
    const [batch] = await data.batch(8).map(changes, { key }).toArray();
    expect(batch.input.shape).toEqual([8, 4, 4, 3]);
    expect([...batch.target.data]).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  test('examples: each by its position, whatever the batch', async () => {
    const examples = data.map(changes, { key });
    expect(await pixels(0, examples.batch(8))).toEqual(await pixels(0, examples.batch(5)));
    const [example] = await examples.take(1).toArray();
    expect(example.input.shape).toEqual([4, 4, 3]);
  });

  test('a restored iterator goes on with the same images', async () => {
    const pipeline = data.shuffle({ key }).batch(8).map(changes, { key });
    const iterator = pipeline.iterator({ epoch: 2 });
    await iterator.next();
    const later = pipeline.iterator();
    await later.restore(iterator.state());
    expect((await later.next()).value?.input).toEqual((await iterator.next()).value?.input);
  });

  test('each augmentation has draws of its own', () => {
    const seen: string[] = [];
    const spy: Augmentation = (images, { words }) => {
      seen.push(words.join());
      return images;
    };
    augment(spy, spy)({ input, target }, { key });
    expect(new Set(seen).size).toBe(2);
  });

  test('refuses what is no image', () => {
    expect(() => changes({ input: target, target }, { key })).toThrow(
      /images \[height, width, channels\].*\[40\]/,
    );
  });
});
