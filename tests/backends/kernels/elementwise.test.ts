import { Add, Mean, Multiply, RealDiv, Relu, Sqrt, Step, Sub, Sum } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { backendPair, expectAgreement, randomArray, runKernel } from './reference.js';

const { ours, reference } = backendPair();

/** Two shapes that broadcast: any axis of either may be 1, and either may lack the first ones. */
const broadcasts = fc
  .record({
    axes: fc.array(
      fc.record({ length: fc.nat({ max: 4 }), kind: fc.constantFrom('both', 'a', 'b', 'neither') }),
      { maxLength: 5 },
    ),
    dropped: fc.nat(),
    drop: fc.constantFrom('a', 'b'),
    seed: fc.nat(),
  })
  .map(({ axes, dropped, drop, seed }) => {
    const a = axes.map(({ length, kind }) => (kind === 'both' || kind === 'a' ? length : 1));
    const b = axes.map(({ length, kind }) => (kind === 'both' || kind === 'b' ? length : 1));
    const count = dropped % (axes.length + 1);
    return { a: drop === 'a' ? a.slice(count) : a, b: drop === 'b' ? b.slice(count) : b, seed };
  });

test.each([Add, Sub, Multiply, RealDiv])('%s gives the bits of the reference', (kernel) => {
  fc.assert(
    fc.property(broadcasts, fc.boolean(), ({ a, b, seed }, special) => {
      const call = {
        kernel,
        inputs: { a: randomArray(seed, a, special), b: randomArray(seed + 1, b, special) },
      };
      expect(runKernel(ours, call)).toEqual(runKernel(reference, call));
    }),
    { numRuns: 300 },
  );
});

const shapes = fc.array(fc.nat({ max: 5 }), { maxLength: 5 });

test.each([
  { kernel: Relu, attrs: {} },
  { kernel: Sqrt, attrs: {} },
  { kernel: Step, attrs: { alpha: 0 } },
  { kernel: Step, attrs: { alpha: 0.25 } },
])('$kernel gives the bits of the reference: $attrs', ({ kernel, attrs }) => {
  fc.assert(
    fc.property(shapes, fc.nat(), fc.boolean(), (shape, seed, special) => {
      const call = { kernel, inputs: { x: randomArray(seed, shape, special) }, attrs };
      expect(runKernel(ours, call)).toEqual(runKernel(reference, call));
    }),
  );
});

const reductions = fc
  .record({ shape: shapes, chosen: fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }) })
  .map(({ shape, chosen }) => ({ shape, axis: shape.map((_, i) => i).filter((i) => chosen[i]) }));

test('Sum gives the bits of the reference, over any axes', () => {
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
        expect(runKernel(ours, call)).toEqual(runKernel(reference, call));
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
    expect(runKernel(ours, call)).toEqual(runKernel(reference, call));
  }
});
