import type { NdArray } from '@tenon-ml/core';
import { AvgPool, AvgPoolGrad, backend_util, MaxPool, MaxPoolGrad } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { test } from 'vitest';
import { testedName } from '../../hosts/tested_backend.js';
import { backendPair, expectAgreement, expectSame, randomArray, runKernel } from './reference.js';

const { ours, reference } = backendPair();

type Shape4 = [number, number, number, number];
type Pad = 'same' | 'valid' | number | [[0, 0], [number, number], [number, number], [0, 0]];

const small = fc.integer({ min: 0, max: 1 });
const pair = (max: number): fc.Arbitrary<[number, number]> =>
  fc.tuple(fc.integer({ min: 1, max }), fc.integer({ min: 1, max }));

const pools = fc
  .record({
    x: fc
      .tuple(
        fc.nat({ max: 3 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 9 }),
        fc.nat({ max: 9 }),
      )
      .map((shape) => shape as Shape4),
    window: fc.oneof(
      fc.record({ filterSize: pair(4), strides: pair(4) }),
      // The common case has a way of its own.
      fc.constant({ filterSize: [2, 2] as [number, number], strides: [2, 2] as [number, number] }),
    ),
    pad: fc.oneof(
      fc.constantFrom<Pad>('same', 'valid'),
      small,
      fc.tuple(small, small, small, small).map(
        ([a, b, c, d]): Pad => [
          [0, 0],
          [a, b],
          [c, d],
          [0, 0],
        ],
      ),
    ),
    seed: fc.nat(),
  })
  .map(({ window, ...pool }) => ({ ...pool, ...window }))
  .filter(({ x, filterSize, strides, pad }) => {
    const { outHeight, outWidth } = backend_util.computePool2DInfo(x, filterSize, strides, 1, pad);
    return outHeight > 0 && outWidth > 0;
  });

const values = [
  { name: 'finite', special: false },
  { name: 'NaN, Inf and denormals', special: true },
];

const LOWEST = -(2 - 2 ** -23) * 2 ** 127;

/** Where a maximum is −Infinity, TensorFlow says the lowest of all finite numbers. */
function withInfinities(array: NdArray): NdArray {
  if (testedName !== 'cuda') return array;
  const data = (array.data as Float32Array).map((value) => (value === LOWEST ? -Infinity : value));
  return { ...array, dtype: 'float32', data };
}

test.each(values)('MaxPool gives the bits of the reference: $name', async ({ special }) => {
  await fc.assert(
    fc.asyncProperty(pools, async ({ x, seed, ...attrs }) => {
      const call = { kernel: MaxPool, inputs: { x: randomArray(seed, x, special) }, attrs };
      expectSame(withInfinities(await runKernel(ours, call)), await runKernel(reference, call), {
        op: 'exact',
      });
    }),
  );
});

// For the same reason it takes another element than tfjs, which takes none, for the largest of those that are −Infinity or NaN.
test.each(values.filter(({ special }) => !special || testedName !== 'cuda'))(
  'MaxPoolGrad is the reference, ties included: $name',
  async ({ special }) => {
    await fc.assert(
      fc.asyncProperty(pools, fc.boolean(), async ({ x, seed, ...attrs }, ties) => {
        const input = randomArray(seed, x, special);
        if (ties) for (let i = 0; i < input.data.length; i++) input.data[i] = Math.round(input.data[i]);
        const info = backend_util.computePool2DInfo(x, attrs.filterSize, attrs.strides, 1, attrs.pad);
        const output = await runKernel(reference, { kernel: MaxPool, inputs: { x: input }, attrs });
        const dy = randomArray(seed + 1, info.outShape, special);
        const call = { kernel: MaxPoolGrad, inputs: { dy, input, output }, attrs };
        const reduction = Math.max(1, attrs.filterSize[0] * attrs.filterSize[1]);
        expectAgreement(await runKernel(ours, call), await runKernel(reference, call), {
          op: 'sum',
          reduction,
        });
      }),
    );
  },
);

test.each(values)('AvgPool and AvgPoolGrad are the reference: $name', async ({ special }) => {
  await fc.assert(
    fc.asyncProperty(pools, async ({ x, seed, ...attrs }) => {
      const input = randomArray(seed, x, special);
      const reduction = Math.max(1, attrs.filterSize[0] * attrs.filterSize[1]);
      const forward = { kernel: AvgPool, inputs: { x: input }, attrs };
      const options = { op: 'sum', reduction } as const;
      const output = await runKernel(reference, forward);
      expectAgreement(await runKernel(ours, forward), output, options);
      const dy = randomArray(seed + 1, output.shape, special);
      const backward = { kernel: AvgPoolGrad, inputs: { dy, input }, attrs };
      expectAgreement(await runKernel(ours, backward), await runKernel(reference, backward), options);
    }),
  );
});
