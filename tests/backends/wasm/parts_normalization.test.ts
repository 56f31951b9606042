import { test } from 'vitest';
import { statistics } from '../kernels/inputs.js';
import { backendPair, randomArray, runKernelForAll } from '../kernels/reference.js';
import { expectCut } from './parts.js';

const { ours } = backendPair({ poison: true });

const attrs = { epsilon: 1e-5 };
const x = randomArray(1, [2000, 24]);
const dy = randomArray(2, [2000, 24]);
const [scale, bias] = [randomArray(3, [24]), randomArray(4, [24])];

test.each([
  { kernel: 'LayerNorm', inputs: { x, scale, bias }, attrs },
  { kernel: 'LayerNormGrad', inputs: { dy, x, scale }, attrs },
  { kernel: 'BatchNorm', inputs: { x, ...statistics(x), scale, bias }, attrs },
  { kernel: 'BatchNormGrad', inputs: { dy, x, ...statistics(x), scale }, attrs },
])('$kernel, cut in any way, and again, gives the same bits', async (call) => {
  await expectCut(ours, () => runKernelForAll(ours, call), { parts: 2 });
});
