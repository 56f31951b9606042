import { test } from 'vitest';
import { adamCall } from '../kernels/inputs.js';
import { backendPair, runKernelForAll } from '../kernels/reference.js';
import { expectCut } from './parts.js';

const { ours } = backendPair({ poison: true });

test('parts of AdamMoments that end inside a parameter give the same bits', async () => {
  const call = adamCall([[5], [40_003], [0], [3, 7], [20_011], [1]], 1, true);
  await expectCut(ours, () => runKernelForAll(ours, call), { parts: 2 });
});
