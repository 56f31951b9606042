import { test } from 'vitest';
import { attentionInputs } from '../kernels/inputs.js';
import { backendPair, runKernelForAll } from '../kernels/reference.js';
import { expectCut } from './parts.js';

const { ours } = backendPair({ poison: true });

test.each([true, false])('the cut does not show in the bits, causal %s', async (causal) => {
  const inputs = attentionInputs(3, [2, 3, 133, 133, 9, 10]);
  for (const kernel of ['Attention', 'AttentionGrad']) {
    const call = { kernel, inputs, attrs: { causal, scale: 0.3 } };
    await expectCut(ours, () => runKernelForAll(ours, call), { parts: 1 });
  }
});
