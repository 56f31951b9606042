import {
  batchNormDefinition,
  batchNormGradDefinition,
  layerNormDefinition,
  layerNormGradDefinition,
  type NdArray,
  sameBits,
} from '@tenon-ml/core';
import { FusedBatchNorm } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { inPieces, mostParts } from './parts.js';
import { backendPair, expectAgreement, randomArray, runDefinition, runKernelForAll } from './reference.js';

const { ours, reference } = backendPair();
const attrs = { epsilon: 1e-5 };

function positive(array: NdArray<'float32'>): NdArray<'float32'> {
  return { ...array, data: array.data.map((value) => value * value + 0.1) };
}

/** Mean and biased variance of each column. */
function statistics({ shape, data }: NdArray<'float32'>): { [name: string]: NdArray<'float32'> } {
  const [rows, columns] = shape;
  const mean = new Float32Array(columns);
  const variance = new Float32Array(columns);
  for (let column = 0; column < columns; column++) {
    const values = Array.from({ length: rows }, (_, row) => data[row * columns + column]);
    const center = values.reduce((sum, value) => sum + value, 0) / rows;
    mean[column] = center;
    variance[column] = values.reduce((sum, value) => sum + (value - center) ** 2, 0) / rows;
  }
  const array = (values: Float32Array) => ({ dtype: 'float32' as const, shape: [columns], data: values });
  return { mean: array(mean), variance: array(variance) };
}

const sizes = fc.record({
  rows: fc.integer({ min: 1, max: 40 }),
  columns: fc.integer({ min: 1, max: 21 }),
  seed: fc.nat(),
});

test('LayerNorm and its gradient are the definitions', () => {
  fc.assert(
    fc.property(sizes, fc.boolean(), ({ rows, columns, seed }, threeAxes) => {
      const shape = threeAxes ? [2, rows, columns] : [rows, columns];
      const [x, dy, scale, bias] = [shape, shape, [columns], [columns]].map((s, i) =>
        randomArray(seed + i, s),
      );
      const forward = { kernel: 'LayerNorm', inputs: { x, scale, bias }, attrs };
      expectAgreement(
        runKernelForAll(ours, forward)[0],
        runDefinition(reference, layerNormDefinition, forward)[0],
        { op: 'normalization', reduction: columns },
      );
      const backward = { kernel: 'LayerNormGrad', inputs: { dy, x, scale }, attrs };
      const actual = runKernelForAll(ours, backward);
      const expected = runDefinition(reference, layerNormGradDefinition, backward);
      expect(actual.map(({ shape }) => shape)).toEqual([shape, [columns], [columns]]);
      for (const [i, array] of actual.entries()) {
        // Of few columns the terms of dx cancel almost wholly: what is left has the roundoff of the terms.
        const reduction = i === 0 ? columns * (columns < 3 ? 1e5 : 10) : rows * columns;
        expectAgreement(array, expected[i], { op: 'normalization', reduction });
      }
    }),
  );
});

test('BatchNorm and its gradient are the definitions', () => {
  fc.assert(
    fc.property(sizes, ({ rows, columns, seed }) => {
      const shape = [rows, columns];
      const [x, dy, scale, bias] = [shape, shape, [columns], [columns]].map((s, i) =>
        randomArray(seed + i, s),
      );
      const { mean, variance } = statistics(x);
      const forward = { kernel: 'BatchNorm', inputs: { x, mean, variance, scale, bias }, attrs };
      expectAgreement(
        runKernelForAll(ours, forward)[0],
        runDefinition(reference, batchNormDefinition, forward)[0],
        { op: 'normalization', reduction: rows },
      );
      const backward = { kernel: 'BatchNormGrad', inputs: { dy, x, mean, variance, scale }, attrs };
      const actual = runKernelForAll(ours, backward);
      const expected = runDefinition(reference, batchNormGradDefinition, backward);
      // Of one row the variance is 0, and dx is what cancellation leaves, times 1/√ε.
      for (const [i, array] of actual.entries()) {
        expectAgreement(array, expected[i], { op: 'normalization', reduction: rows * (rows < 3 ? 1e5 : 10) });
      }
    }),
  );
});

test('FusedBatchNorm is tfjs’s, with a scale and an offset or without', () => {
  fc.assert(
    fc.property(sizes, fc.boolean(), fc.boolean(), ({ rows, columns, seed }, scaled, offsets) => {
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
      expectAgreement(runKernelForAll(ours, call)[0], runKernelForAll(reference, call)[0], {
        op: 'normalization',
      });
    }),
  );
});

test('cut in any way, and again, they give the same bits', () => {
  const x = randomArray(1, [2000, 24]);
  const dy = randomArray(2, [2000, 24]);
  const [scale, bias] = [randomArray(3, [24]), randomArray(4, [24])];
  const calls = [
    { kernel: 'LayerNorm', inputs: { x, scale, bias }, attrs },
    { kernel: 'LayerNormGrad', inputs: { dy, x, scale }, attrs },
    { kernel: 'BatchNorm', inputs: { x, ...statistics(x), scale, bias }, attrs },
    { kernel: 'BatchNormGrad', inputs: { dy, x, ...statistics(x), scale }, attrs },
  ];
  for (const call of calls) {
    const run = () => runKernelForAll(ours, call);
    expect(mostParts(ours, run)).toBeGreaterThan(2);
    const whole = run();
    for (const length of [1, 2]) {
      const pieces = inPieces(ours, length, run);
      expect(pieces.map((array, i) => sameBits(array, whole[i]))).toEqual(whole.map(() => true));
    }
  }
});
