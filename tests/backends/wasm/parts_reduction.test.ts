import { ArgMax, Max, Mean, Min, Sum } from '@tensorflow/tfjs-core';
import { test } from 'vitest';
import { backendPair, randomArray, runKernelForAll } from '../kernels/reference.js';
import { expectCut } from './parts.js';

const { ours } = backendPair({ poison: true });

test.each([
  { kernel: Sum, shape: [200_003], attrs: { axis: [0] } },
  { kernel: Sum, shape: [9000, 11], attrs: { axis: [0] } },
  { kernel: Mean, shape: [40, 700, 5], attrs: { axis: [1] } },
  { kernel: Max, shape: [9000, 11], attrs: { reductionIndices: [0] } },
  { kernel: Min, shape: [200_003], attrs: { axis: [0] } },
  { kernel: ArgMax, shape: [5000, 23], attrs: { axis: 1 } },
])('$kernel of $shape, cut in any way, gives the same bits', async ({ kernel, shape, attrs }) => {
  const call = { kernel, inputs: { x: randomArray(3, shape) }, attrs: { ...attrs, keepDims: false } };
  await expectCut(ours, () => runKernelForAll(ours, call), { parts: 2 });
});
