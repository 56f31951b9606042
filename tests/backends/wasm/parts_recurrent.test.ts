import { test } from 'vitest';
import { lstmInputs } from '../kernels/inputs.js';
import { backendPair, randomArray, runKernelForAll } from '../kernels/reference.js';
import { expectCut } from './parts.js';

const { ours } = backendPair({ poison: true });

const [rows, units] = [70, 101];
const inputs = lstmInputs(rows, units, 3);

test.each([
  { kernel: 'LSTMCell', inputs },
  { kernel: 'LSTMCellGrad', inputs: { dy: randomArray(5, [rows, 2 * units]), ...inputs } },
])('$kernel, cut in any way, gives the same bits', async (call) => {
  await expectCut(ours, () => runKernelForAll(ours, call), { parts: 1 });
});
