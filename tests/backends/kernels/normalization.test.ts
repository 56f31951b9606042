import {
  batchNormDefinition,
  batchNormGradDefinition,
  layerNormDefinition,
  layerNormGradDefinition,
  type NdArray,
} from '@tenon-ml/core';
import { FusedBatchNorm } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { statistics } from './inputs.js';
import { backendPair, expectAgreement, randomArray, runDefinition, runKernelForAll } from './reference.js';

const { ours, reference } = backendPair();
const attrs = { epsilon: 1e-5 };

function positive(array: NdArray<'float32'>): NdArray<'float32'> {
  return { ...array, data: array.data.map((value) => value * value + 0.1) };
}

const sizes = fc.record({
  rows: fc.integer({ min: 1, max: 40 }),
  columns: fc.integer({ min: 1, max: 21 }),
  seed: fc.nat(),
});

test('LayerNorm and its gradient are the definitions', async () => {
  await fc.assert(
    fc.asyncProperty(sizes, fc.boolean(), async ({ rows, columns, seed }, threeAxes) => {
      const shape = threeAxes ? [2, rows, columns] : [rows, columns];
      const [x, dy, scale, bias] = [shape, shape, [columns], [columns]].map((s, i) =>
        randomArray(seed + i, s),
      );
      const forward = { kernel: 'LayerNorm', inputs: { x, scale, bias }, attrs };
      expectAgreement(
        (await runKernelForAll(ours, forward))[0],
        (await runDefinition(reference, layerNormDefinition, forward))[0],
        { op: 'normalization', reduction: columns },
      );
      const backward = { kernel: 'LayerNormGrad', inputs: { dy, x, scale }, attrs };
      const actual = await runKernelForAll(ours, backward);
      const expected = await runDefinition(reference, layerNormGradDefinition, backward);
      expect(actual.map(({ shape }) => shape)).toEqual([shape, [columns], [columns]]);
      for (const [i, array] of actual.entries()) {
        // Of few columns the terms of dx cancel almost wholly: what is left has the roundoff of the terms.
        const reduction = i === 0 ? columns * (columns < 3 ? 1e5 : 10) : rows * columns;
        expectAgreement(array, expected[i], { op: 'normalization', reduction });
      }
    }),
  );
});

test('BatchNorm and its gradient are the definitions', async () => {
  await fc.assert(
    fc.asyncProperty(sizes, async ({ rows, columns, seed }) => {
      const shape = [rows, columns];
      const [x, dy, scale, bias] = [shape, shape, [columns], [columns]].map((s, i) =>
        randomArray(seed + i, s),
      );
      const { mean, variance } = statistics(x);
      const forward = { kernel: 'BatchNorm', inputs: { x, mean, variance, scale, bias }, attrs };
      expectAgreement(
        (await runKernelForAll(ours, forward))[0],
        (await runDefinition(reference, batchNormDefinition, forward))[0],
        { op: 'normalization', reduction: rows },
      );
      const backward = { kernel: 'BatchNormGrad', inputs: { dy, x, mean, variance, scale }, attrs };
      const actual = await runKernelForAll(ours, backward);
      const expected = await runDefinition(reference, batchNormGradDefinition, backward);
      // Of one row the variance is 0, and dx is what cancellation leaves, times 1/√ε.
      for (const [i, array] of actual.entries()) {
        expectAgreement(array, expected[i], { op: 'normalization', reduction: rows * (rows < 3 ? 1e5 : 10) });
      }
    }),
  );
});

test('FusedBatchNorm is tfjs’s, with a scale and an offset or without', async () => {
  await fc.assert(
    fc.asyncProperty(sizes, fc.boolean(), fc.boolean(), async ({ rows, columns, seed }, scaled, offsets) => {
      const x = randomArray(seed, [rows, 1, 2, columns]);
      const [mean, spread, scale, offset] = [1, 2, 3, 4].map((i) => randomArray(seed + i, [columns]));
      const inputs = {
        x,
        mean,
        variance: positive(spread),
        scale: scaled ? scale : undefined,
        offset: offsets ? offset : undefined,
      };
      const call = { kernel: FusedBatchNorm, inputs, attrs: { varianceEpsilon: 1e-3 } };
      expectAgreement((await runKernelForAll(ours, call))[0], (await runKernelForAll(reference, call))[0], {
        op: 'normalization',
      });
    }),
  );
});
