import { AvgPool, AvgPoolGrad, backend_util, MaxPool, MaxPoolGrad } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { expectSameBits, inPieces, mostParts } from './parts.js';
import { backendPair, expectAgreement, randomArray, runKernel } from './reference.js';

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

test.each(values)('MaxPool gives the bits of the reference: $name', ({ special }) => {
  fc.assert(
    fc.property(pools, ({ x, seed, ...attrs }) => {
      const call = { kernel: MaxPool, inputs: { x: randomArray(seed, x, special) }, attrs };
      expect(runKernel(ours, call)).toEqual(runKernel(reference, call));
    }),
  );
});

test.each(values)('MaxPoolGrad is the reference, ties included: $name', ({ special }) => {
  fc.assert(
    fc.property(pools, fc.boolean(), ({ x, seed, ...attrs }, ties) => {
      const input = randomArray(seed, x, special);
      if (ties) for (let i = 0; i < input.data.length; i++) input.data[i] = Math.round(input.data[i]);
      const info = backend_util.computePool2DInfo(x, attrs.filterSize, attrs.strides, 1, attrs.pad);
      const output = runKernel(reference, { kernel: MaxPool, inputs: { x: input }, attrs });
      const dy = randomArray(seed + 1, info.outShape, special);
      const call = { kernel: MaxPoolGrad, inputs: { dy, input, output }, attrs };
      const reduction = Math.max(1, attrs.filterSize[0] * attrs.filterSize[1]);
      expectAgreement(runKernel(ours, call), runKernel(reference, call), { op: 'sum', reduction });
    }),
  );
});

test.each(values)('AvgPool and AvgPoolGrad are the reference: $name', ({ special }) => {
  fc.assert(
    fc.property(pools, ({ x, seed, ...attrs }) => {
      const input = randomArray(seed, x, special);
      const reduction = Math.max(1, attrs.filterSize[0] * attrs.filterSize[1]);
      const forward = { kernel: AvgPool, inputs: { x: input }, attrs };
      const options = { op: 'sum', reduction } as const;
      const output = runKernel(reference, forward);
      expectAgreement(runKernel(ours, forward), output, options);
      const dy = randomArray(seed + 1, output.shape, special);
      const backward = { kernel: AvgPoolGrad, inputs: { dy, input }, attrs };
      expectAgreement(runKernel(ours, backward), runKernel(reference, backward), options);
    }),
  );
});

test('pieces of pooling give the same bits', () => {
  const input = randomArray(1, [9, 33, 31, 20]);
  for (const attrs of [
    { filterSize: [2, 2], strides: [2, 2], pad: 'valid' },
    { filterSize: [3, 3], strides: [2, 2], pad: 'same' },
  ]) {
    const output = runKernel(ours, { kernel: MaxPool, inputs: { x: input }, attrs });
    const dy = randomArray(2, output.shape);
    for (const call of [
      { kernel: MaxPool, inputs: { x: input }, attrs },
      { kernel: AvgPool, inputs: { x: input }, attrs },
      { kernel: MaxPoolGrad, inputs: { dy, input, output }, attrs },
      { kernel: AvgPoolGrad, inputs: { dy, input }, attrs },
    ]) {
      const whole = runKernel(ours, call);
      expect(mostParts(ours, () => runKernel(ours, call))).toBeGreaterThan(2);
      expectSameBits(
        inPieces(ours, 1, () => runKernel(ours, call)),
        whole,
      );
    }
  }
});
