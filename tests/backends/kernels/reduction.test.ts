import { ArgMax, ArgMin, Max, Mean, Min, Softmax, Sum } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { testedName } from '../../hosts/tested_backend.js';
import {
  backendPair,
  expectAgreement,
  expectSame,
  manyRuns,
  randomArray,
  runKernel,
  runKernelForAll,
  withPositiveZeros,
} from './reference.js';

const { ours, reference } = backendPair();

const shapes = fc.array(fc.nat({ max: 5 }), { maxLength: 5 });

const reductions = fc
  .record({ shape: shapes, chosen: fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }) })
  .map(({ shape, chosen }) => ({ shape, axis: shape.map((_, i) => i).filter((i) => chosen[i]) }));

test('Sum is the reference, over any axes', async () => {
  await fc.assert(
    fc.asyncProperty(
      reductions,
      fc.boolean(),
      fc.nat(),
      fc.boolean(),
      async ({ shape, axis }, keepDims, seed, special) => {
        const call = {
          kernel: Sum,
          inputs: { x: randomArray(seed, shape, special) },
          attrs: { axis, keepDims },
        };
        const reduction = Math.max(
          1,
          axis.reduce((count, i) => count * shape[i], 1),
        );
        expectAgreement(await runKernel(ours, call), await runKernel(reference, call), {
          op: 'sum',
          reduction,
        });
      },
    ),
    manyRuns(300),
  );
});

test('Mean is the reference, over any axes', async () => {
  await fc.assert(
    fc.asyncProperty(
      reductions,
      fc.boolean(),
      fc.nat(),
      fc.boolean(),
      async ({ shape, axis }, keepDims, seed, special) => {
        const call = {
          kernel: Mean,
          inputs: { x: randomArray(seed, shape, special) },
          attrs: { axis, keepDims },
        };
        const reduction = Math.max(
          1,
          axis.reduce((count, i) => count * shape[i], 1),
        );
        expectAgreement(await runKernel(ours, call), await runKernel(reference, call), {
          op: 'sum',
          reduction,
        });
      },
    ),
    manyRuns(300),
  );
});

test('negative axes, one axis as a number, and none at all', async () => {
  const x = randomArray(7, [3, 4, 5]);
  for (const axis of [-1, 0, [-1, -2], undefined]) {
    const call = { kernel: Sum, inputs: { x }, attrs: { axis, keepDims: false } };
    expectAgreement(await runKernel(ours, call), await runKernel(reference, call), {
      op: 'sum',
      reduction: 60,
    });
  }
});

test.each([
  { kernel: Max, name: 'reductionIndices' },
  { kernel: Min, name: 'axis' },
])('$kernel is the reference along the last axes, NaN too', async ({ kernel, name }) => {
  const cases = fc.record({
    rows: fc.nat({ max: 6 }),
    length: fc.integer({ min: 1, max: 40 }),
    keepDims: fc.boolean(),
    special: fc.boolean(),
    seed: fc.nat(),
  });
  await fc.assert(
    fc.asyncProperty(cases, async ({ rows, length, keepDims, special, seed }) => {
      const call = {
        kernel,
        inputs: { x: randomArray(seed, [rows, length], special) },
        attrs: { [name]: [1], keepDims },
      };
      const [result, expected] = [await runKernel(ours, call), await runKernel(reference, call)];
      expectSame(withPositiveZeros(result), withPositiveZeros(expected), { op: 'exact' });
    }),
  );
});

test('long sums, over rows and over columns, are those of float64', async () => {
  for (const { shape, axis } of [
    { shape: [1_000_003], axis: [0] },
    { shape: [2, 70_001], axis: [1] },
    { shape: [30_000, 33], axis: [0] },
    { shape: [3, 1000, 21], axis: [1] },
  ]) {
    const x = randomArray(5, shape);
    const call = { kernel: Sum, inputs: { x }, attrs: { axis, keepDims: false } };
    const reduction = axis.reduce((count, i) => count * shape[i], 1);
    expectAgreement(await runKernel(ours, call), await runKernel(reference, call), { op: 'sum', reduction });
  }
});

test.each([
  { kernel: Max, name: 'reductionIndices' },
  { kernel: Min, name: 'axis' },
])('$kernel is the reference over any axes', async ({ kernel, name }) => {
  await fc.assert(
    fc.asyncProperty(reductions, fc.nat(), fc.boolean(), async ({ shape, axis }, seed, special) => {
      if (shape.includes(0)) return;
      const inputs = { x: randomArray(seed, shape, special) };
      const call = { kernel, inputs, attrs: { [name]: axis, keepDims: false } };
      const [result, expected] = [await runKernel(ours, call), await runKernel(reference, call)];
      expectSame(withPositiveZeros(result), withPositiveZeros(expected), { op: 'exact' });
    }),
  );
});

test.each([ArgMax, ArgMin])('%s is the reference along any axis, ties and NaN too', async (kernel) => {
  const cases = fc.record({
    shape: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 }),
    axis: fc.nat(),
    special: fc.boolean(),
    seed: fc.nat(),
  });
  await fc.assert(
    fc.asyncProperty(cases, async ({ shape, axis, special, seed }) => {
      const x = randomArray(seed, shape, special);
      x.data.forEach((value, i) => {
        // tfjs passes NaN over, but for a first element; TensorFlow passes over that one too.
        x.data[i] = testedName === 'cuda' && Number.isNaN(value) ? 0 : Math.round(value);
      });
      const call = { kernel, inputs: { x }, attrs: { axis: axis % shape.length } };
      const [result] = await runKernelForAll(ours, call);
      expect(result.dtype).toBe('int32');
      expect([result]).toEqual(await runKernelForAll(reference, call));
    }),
  );
});

test('Softmax is the reference', async () => {
  const cases = fc.record({
    rows: fc.nat({ max: 5 }),
    classes: fc.integer({ min: 1, max: 40 }),
    scale: fc.constantFrom(1, 30, 200),
    seed: fc.nat(),
  });
  await fc.assert(
    fc.asyncProperty(cases, async ({ rows, classes, scale, seed }) => {
      const logits = randomArray(seed, [rows, classes]);
      for (let i = 0; i < logits.data.length; i++) logits.data[i] *= scale;
      const call = { kernel: Softmax, inputs: { logits }, attrs: { dim: 1 } };
      expectAgreement(await runKernel(ours, call), await runKernel(reference, call), {
        op: 'transcendental',
      });
    }),
  );
});
