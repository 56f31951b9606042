import { ArgMax, ArgMin, Max, Mean, Min, Softmax, Sum } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { inPieces, mostParts } from './parts.js';
import { backendPair, expectAgreement, randomArray, runKernel, runKernelForAll } from './reference.js';

const { ours, reference } = backendPair();

const shapes = fc.array(fc.nat({ max: 5 }), { maxLength: 5 });

const reductions = fc
  .record({ shape: shapes, chosen: fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }) })
  .map(({ shape, chosen }) => ({ shape, axis: shape.map((_, i) => i).filter((i) => chosen[i]) }));

test('Sum is the reference, over any axes', () => {
  fc.assert(
    fc.property(
      reductions,
      fc.boolean(),
      fc.nat(),
      fc.boolean(),
      ({ shape, axis }, keepDims, seed, special) => {
        const call = {
          kernel: Sum,
          inputs: { x: randomArray(seed, shape, special) },
          attrs: { axis, keepDims },
        };
        const reduction = Math.max(
          1,
          axis.reduce((count, i) => count * shape[i], 1),
        );
        expectAgreement(runKernel(ours, call), runKernel(reference, call), { op: 'sum', reduction });
      },
    ),
    { numRuns: 300 },
  );
});

test('Mean is the reference, over any axes', () => {
  fc.assert(
    fc.property(
      reductions,
      fc.boolean(),
      fc.nat(),
      fc.boolean(),
      ({ shape, axis }, keepDims, seed, special) => {
        const call = {
          kernel: Mean,
          inputs: { x: randomArray(seed, shape, special) },
          attrs: { axis, keepDims },
        };
        const reduction = Math.max(
          1,
          axis.reduce((count, i) => count * shape[i], 1),
        );
        expectAgreement(runKernel(ours, call), runKernel(reference, call), { op: 'sum', reduction });
      },
    ),
    { numRuns: 300 },
  );
});

test('negative axes, one axis as a number, and none at all', () => {
  const x = randomArray(7, [3, 4, 5]);
  for (const axis of [-1, 0, [-1, -2], undefined]) {
    const call = { kernel: Sum, inputs: { x }, attrs: { axis, keepDims: false } };
    expectAgreement(runKernel(ours, call), runKernel(reference, call), { op: 'sum', reduction: 60 });
  }
});

test.each([
  { kernel: Max, name: 'reductionIndices' },
  { kernel: Min, name: 'axis' },
])('$kernel is the reference along the last axes, NaN too', ({ kernel, name }) => {
  const cases = fc.record({
    rows: fc.nat({ max: 6 }),
    length: fc.integer({ min: 1, max: 40 }),
    keepDims: fc.boolean(),
    special: fc.boolean(),
    seed: fc.nat(),
  });
  fc.assert(
    fc.property(cases, ({ rows, length, keepDims, special, seed }) => {
      const call = {
        kernel,
        inputs: { x: randomArray(seed, [rows, length], special) },
        attrs: { [name]: [1], keepDims },
      };
      const positive = ({ shape, data }: ReturnType<typeof runKernel>) => [
        shape,
        Array.from(data as Float32Array, (value) => value + 0),
      ];
      expect(positive(runKernel(ours, call))).toEqual(positive(runKernel(reference, call)));
    }),
  );
});

test('long sums, over rows and over columns, are those of float64', () => {
  for (const { shape, axis } of [
    { shape: [1_000_003], axis: [0] },
    { shape: [2, 70_001], axis: [1] },
    { shape: [30_000, 33], axis: [0] },
    { shape: [3, 1000, 21], axis: [1] },
  ]) {
    const x = randomArray(5, shape);
    const call = { kernel: Sum, inputs: { x }, attrs: { axis, keepDims: false } };
    const reduction = axis.reduce((count, i) => count * shape[i], 1);
    expectAgreement(runKernel(ours, call), runKernel(reference, call), { op: 'sum', reduction });
  }
});

test.each([
  { kernel: Max, name: 'reductionIndices' },
  { kernel: Min, name: 'axis' },
])('$kernel is the reference over any axes', ({ kernel, name }) => {
  fc.assert(
    fc.property(reductions, fc.nat(), fc.boolean(), ({ shape, axis }, seed, special) => {
      if (shape.includes(0)) return;
      const inputs = { x: randomArray(seed, shape, special) };
      const call = { kernel, inputs, attrs: { [name]: axis, keepDims: false } };
      const positive = ({ shape: left, data }: ReturnType<typeof runKernel>) => [
        left,
        Array.from(data as Float32Array, (value) => value + 0),
      ];
      expect(positive(runKernel(ours, call))).toEqual(positive(runKernel(reference, call)));
    }),
  );
});

test.each([ArgMax, ArgMin])('%s is the reference along any axis, ties and NaN too', (kernel) => {
  const cases = fc.record({
    shape: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 }),
    axis: fc.nat(),
    special: fc.boolean(),
    seed: fc.nat(),
  });
  fc.assert(
    fc.property(cases, ({ shape, axis, special, seed }) => {
      const x = randomArray(seed, shape, special);
      x.data.forEach((value, i) => {
        x.data[i] = Math.round(value);
      });
      const call = { kernel, inputs: { x }, attrs: { axis: axis % shape.length } };
      const [result] = runKernelForAll(ours, call);
      expect(result.dtype).toBe('int32');
      expect([result]).toEqual(runKernelForAll(reference, call));
    }),
  );
});

test('cut in any way they give the same bits', () => {
  for (const { kernel, shape, attrs } of [
    { kernel: Sum, shape: [200_003], attrs: { axis: [0] } },
    { kernel: Sum, shape: [9000, 11], attrs: { axis: [0] } },
    { kernel: Mean, shape: [40, 700, 5], attrs: { axis: [1] } },
    { kernel: Max, shape: [9000, 11], attrs: { reductionIndices: [0] } },
    { kernel: Min, shape: [200_003], attrs: { axis: [0] } },
    { kernel: ArgMax, shape: [5000, 23], attrs: { axis: 1 } },
  ]) {
    const x = randomArray(3, shape);
    const run = () => runKernelForAll(ours, { kernel, inputs: { x }, attrs: { ...attrs, keepDims: false } });
    expect(mostParts(ours, run)).toBeGreaterThan(2);
    const whole = run();
    for (const length of [1, 2]) expect(inPieces(ours, length, run)).toEqual(whole);
  }
});

test('Softmax is the reference', () => {
  const cases = fc.record({
    rows: fc.nat({ max: 5 }),
    classes: fc.integer({ min: 1, max: 40 }),
    scale: fc.constantFrom(1, 30, 200),
    seed: fc.nat(),
  });
  fc.assert(
    fc.property(cases, ({ rows, classes, scale, seed }) => {
      const logits = randomArray(seed, [rows, classes]);
      for (let i = 0; i < logits.data.length; i++) logits.data[i] *= scale;
      const call = { kernel: Softmax, inputs: { logits }, attrs: { dim: 1 } };
      expectAgreement(runKernel(ours, call), runKernel(reference, call), { op: 'transcendental' });
    }),
  );
});
