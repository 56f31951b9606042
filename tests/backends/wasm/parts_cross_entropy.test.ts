import { Softmax } from '@tensorflow/tfjs-core';
import { test } from 'vitest';
import { targets } from '../kernels/inputs.js';
import { backendPair, randomArray, runKernelForAll } from '../kernels/reference.js';
import { expectCut } from './parts.js';

const { ours } = backendPair({ poison: true });

const logits = randomArray(1, [700, 37]);
const target = targets(2, 700, 37, true);

test.each([
  { kernel: 'SoftmaxCrossEntropy', inputs: { logits, target } },
  { kernel: 'SoftmaxCrossEntropyGrad', inputs: { dy: randomArray(3, [700]), logits, target } },
  { kernel: Softmax, inputs: { logits }, attrs: { dim: 1 } },
])('$kernel, cut in any way, gives the same bits', async (call) => {
  await expectCut(ours, () => runKernelForAll(ours, call), { parts: 2 });
});
