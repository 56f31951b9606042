import { AvgPool, AvgPoolGrad, MaxPool, MaxPoolGrad } from '@tensorflow/tfjs-core';
import { test } from 'vitest';
import { backendPair, randomArray, runKernel, runKernelForAll } from '../kernels/reference.js';
import { expectCut } from './parts.js';

const { ours } = backendPair({ poison: true });

test.each([
  { filterSize: [2, 2], strides: [2, 2], pad: 'valid' },
  { filterSize: [3, 3], strides: [2, 2], pad: 'same' },
])('pieces of pooling give the same bits: $filterSize', async (attrs) => {
  const input = randomArray(1, [9, 33, 31, 20]);
  const output = await runKernel(ours, { kernel: MaxPool, inputs: { x: input }, attrs });
  const dy = randomArray(2, output.shape);
  for (const call of [
    { kernel: MaxPool, inputs: { x: input }, attrs },
    { kernel: AvgPool, inputs: { x: input }, attrs },
    { kernel: MaxPoolGrad, inputs: { dy, input, output }, attrs },
    { kernel: AvgPoolGrad, inputs: { dy, input }, attrs },
  ]) {
    await expectCut(ours, () => runKernelForAll(ours, call), { parts: 2, lengths: [1] });
  }
});
