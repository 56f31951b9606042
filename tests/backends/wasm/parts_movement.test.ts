import { test } from 'vitest';
import { arrayOf } from '../kernels/inputs.js';
import { largeTransposes, longRuns, movements } from '../kernels/movement_cases.js';
import { backendPair, expectBits, runKernelForAll } from '../kernels/reference.js';
import { expectCut, inPieces } from './parts.js';

const { ours } = backendPair({ poison: true });

test.each(movements)('$name: the same with parts one by one', async ({ check }) => {
  await check(async (call) => {
    const run = () => runKernelForAll(ours, call);
    const whole = await run();
    expectBits(await inPieces(ours, 1, run), whole);
  });
});

const cut = { parts: 3, lengths: [1, 3] };

test.each(largeTransposes)('Transpose of $shape by $perm, cut', async ({ shape, perm }) => {
  const call = { kernel: 'Transpose', inputs: { x: arrayOf(1, shape) }, attrs: { perm } };
  await expectCut(ours, () => runKernelForAll(ours, call), cut);
});

test.each([longRuns.concat, longRuns.slice, longRuns.pad])('$kernel of long runs, cut', async (call) => {
  await expectCut(ours, () => runKernelForAll(ours, call), cut);
});
