import { IsFinite, Relu, Sqrt } from '@tensorflow/tfjs-core';
import { test } from 'vitest';
import { backendPair, randomArray, runKernelForAll } from '../kernels/reference.js';
import { expectCut } from './parts.js';

const { ours } = backendPair({ poison: true });

test.each([Relu, Sqrt, IsFinite])('%s, cut in any way, gives the same bits', async (kernel) => {
  const x = randomArray(5, [100_003], true);
  await expectCut(ours, () => runKernelForAll(ours, { kernel, inputs: { x } }), { parts: 2 });
});
