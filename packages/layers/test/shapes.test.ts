import '@tensorflow/tfjs-backend-cpu';
import {
  compile,
  createContext,
  createKey,
  type Device,
  isTenonError,
  matchesSpec,
  type NdArray,
  read,
  type TensorSpec,
  tfjsBackend,
} from '@tenon-ml/core';
import { expectClose } from '@tenon-ml/testkit';
import type { Tensor } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  avgPool2d,
  type ChildLayer,
  conv2d,
  flatten,
  maxPool2d,
  type Padding,
  type Pair,
} from '../src/index.js';

const backend = tfjsBackend('cpu');
beforeAll(() => backend.init());

const key = createKey(5);

/** The output of a layer on an image, and the input, both on the host. */
async function applied(layer: ChildLayer, shape: readonly number[]): Promise<{ x: NdArray; y: NdArray }> {
  const x = key.normal(shape);
  const { params } = layer.init(key, { dtype: 'float32', shape });
  const call = compile(
    (p: Device<typeof params>, input: Tensor) =>
      layer.apply(p, {}, input, createContext({ training: false })).output,
    { backend },
  );
  return { x, y: (await read(call(params, x))) as NdArray };
}

const size = (most: number): fc.Arbitrary<number> => fc.integer({ min: 1, max: most });
const pair = (most: number): fc.Arbitrary<Pair> => fc.tuple(size(most), size(most));
const padding = fc.constantFrom<Padding>('valid', 'same');
const image = fc.record({ height: size(11), width: size(11), channels: size(3), batch: size(3) });

/** The starts of the windows along an axis, counted one by one. */
function starts(length: number, extent: number, stride: number, kind: Padding): number[] {
  const found: number[] = [];
  for (let start = 0; kind === 'valid' ? start + extent <= length : start < length; start += stride)
    found.push(start);
  if (kind === 'valid') return found;
  // TensorFlow's 'same': what the windows cover beyond the image is split, the odd one at the end.
  const covered = (found.length - 1) * stride + extent;
  const before = Math.floor(Math.max(0, covered - length) / 2);
  return found.map((start) => start - before);
}

type Case = {
  readonly layer: ChildLayer;
  readonly shape: readonly [number, number, number, number];
  readonly extent: Pair;
  readonly strides: Pair;
  readonly kind: Padding;
  readonly channels: number;
};

/** Either both `init` and `apply` refuse the image, or the output has the sizes that counting windows gives. */
async function checkSizes({ layer, shape, extent, strides, kind, channels }: Case): Promise<void> {
  const rows = starts(shape[1], extent[0], strides[0], kind).length;
  const columns = starts(shape[2], extent[1], strides[1], kind).length;
  const free: TensorSpec = { dtype: 'float32', shape: [null, null, null, shape[3]] };
  const made = layer.init(key, free);
  expect(made.output.shape).toEqual([null, null, null, channels]);
  if (rows === 0 || columns === 0) {
    const refused = (error: unknown): boolean => isTenonError(error) && error.code === 'SHAPE_MISMATCH';
    await expect(applied(layer, shape)).rejects.toSatisfy(refused);
    const call = compile(
      (p: Device<typeof made.params>, x: Tensor) =>
        layer.apply(p, {}, x, createContext({ training: false })).output,
      { backend },
    );
    expect(() => call(made.params, key.normal(shape))).toThrow(/height and width of at least/);
    return;
  }
  const { y } = await applied(layer, shape);
  expect(y.shape).toEqual([shape[0], rows, columns, channels]);
  const { output } = layer.init(key, { dtype: 'float32', shape: [null, ...shape.slice(1)] });
  expect(output.shape).toEqual([null, rows, columns, channels]);
  expect(matchesSpec(y, output)).toBe(true);
}

describe('sizes of outputs', () => {
  test('of conv2d, strided', () =>
    fc.assert(
      fc.asyncProperty(
        image,
        pair(5),
        pair(4),
        padding,
        size(3),
        async (of, kernel, strides, kind, filters) => {
          const layer = conv2d(filters, kernel, { strides, padding: kind });
          const shape = [of.batch, of.height, of.width, of.channels] as const;
          await checkSizes({ layer, shape, extent: kernel, strides, kind, channels: filters });
        },
      ),
      { numRuns: 150 },
    ));

  test('of conv2d, dilated', () =>
    fc.assert(
      fc.asyncProperty(image, pair(4), pair(3), padding, async (of, kernel, dilation, kind) => {
        const layer = conv2d(2, kernel, { dilation, padding: kind });
        const shape = [of.batch, of.height, of.width, of.channels] as const;
        const extent: Pair = [(kernel[0] - 1) * dilation[0] + 1, (kernel[1] - 1) * dilation[1] + 1];
        await checkSizes({ layer, shape, extent, strides: [1, 1], kind, channels: 2 });
      }),
      { numRuns: 150 },
    ));

  test.each([
    ['maxPool2d', maxPool2d],
    ['avgPool2d', avgPool2d],
  ] as const)('of %s', (_name, make) =>
    fc.assert(
      fc.asyncProperty(image, pair(5), pair(4), padding, async (of, pool, strides, kind) => {
        const layer = make(pool, { strides, padding: kind });
        const shape = [of.batch, of.height, of.width, of.channels] as const;
        await checkSizes({ layer, shape, extent: pool, strides, kind, channels: of.channels });
      }),
      { numRuns: 100 },
    ),
  );

  test('of flatten, whose values stay in their order', () =>
    fc.assert(
      fc.asyncProperty(fc.array(size(4), { minLength: 1, maxLength: 5 }), async (shape) => {
        const { x, y } = await applied(flatten(), shape);
        expect(y.shape).toEqual([shape[0], x.data.length / shape[0]]);
        expect(y.data).toEqual(x.data);
      }),
    ));
});

describe('values of pooling, window by window', () => {
  test.each([
    ['maxPool2d', maxPool2d, (window: number[]) => Math.max(...window), 'exact'],
    ['avgPool2d', avgPool2d, (window: number[]) => window.reduce((a, b) => a + b) / window.length, 'sum'],
  ] as const)('%s', (name, make, reduce, op) =>
    fc.assert(
      fc.asyncProperty(image, pair(4), pair(3), padding, async (of, pool, strides, kind) => {
        const rows = starts(of.height, pool[0], strides[0], kind);
        const columns = starts(of.width, pool[1], strides[1], kind);
        fc.pre(rows.length > 0 && columns.length > 0);
        const { x, y } = await applied(make(pool, { strides, padding: kind }), [
          of.batch,
          of.height,
          of.width,
          of.channels,
        ]);
        const wanted: number[] = [];
        for (let n = 0; n < of.batch; n++) {
          for (const top of rows) {
            for (const left of columns) {
              for (let c = 0; c < of.channels; c++) {
                const window: number[] = [];
                for (let i = Math.max(0, top); i < Math.min(of.height, top + pool[0]); i++) {
                  for (let j = Math.max(0, left); j < Math.min(of.width, left + pool[1]); j++) {
                    window.push(Number(x.data[((n * of.height + i) * of.width + j) * of.channels + c]));
                  }
                }
                wanted.push(reduce(window));
              }
            }
          }
        }
        expectClose(y.data as Float32Array, wanted, {
          op,
          dtype: 'float32',
          reduction: pool[0] * pool[1],
          name,
        });
      }),
      { numRuns: 100 },
    ),
  );
});

test('a pooling window is a step wide unless told otherwise', () => {
  expect(maxPool2d([3, 2]).spec).toMatchObject({ strides: [3, 2], padding: 'valid' });
  expect(avgPool2d(2).spec).toMatchObject({ poolSize: [2, 2], strides: [2, 2] });
});
