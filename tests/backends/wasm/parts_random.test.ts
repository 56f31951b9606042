import { test } from 'vitest';
import { keyOf } from '../kernels/inputs.js';
import { backendPair, runKernelForAll } from '../kernels/reference.js';
import { expectCut } from './parts.js';

const { ours } = backendPair({ poison: true });

test('many numbers of PhiloxUniform, cut in any way, are the same', async () => {
  const inputs = { key: keyOf([0x9e3779b9, 0x243f6a88]) };
  const call = { kernel: 'PhiloxUniform', inputs, attrs: { site: 0xdeadbeef, shape: [3, 16411] } };
  await expectCut(ours, () => runKernelForAll(ours, call), { parts: 2 });
});
