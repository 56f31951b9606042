import {
  geluElementsDefinition,
  geluGradDefinition,
  reluGradDefinition,
  sigmoidGradDefinition,
  tanhGradDefinition,
} from '@tenon-ml/core';
import { EluGrad } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { testedName } from '../../hosts/tested_backend.js';
import {
  backendPair,
  expectAgreement,
  randomArray,
  runDefinition,
  runKernel,
  runKernelForAll,
} from './reference.js';

const { ours, reference } = backendPair();
const shapes = fc.array(fc.nat({ max: 6 }), { maxLength: 3 });

test.each([true, false])(
  'Gelu and its gradient are the definitions, approximate: %s',
  async (approximate) => {
    await fc.assert(
      fc.asyncProperty(shapes, fc.nat(), fc.constantFrom(0.1, 1, 5), async (shape, seed, size) => {
        const x = randomArray(seed, shape);
        x.data.forEach((value, i) => {
          x.data[i] = value * size;
        });
        const attrs = { approximate };
        const forward = { kernel: 'Gelu', inputs: { x }, attrs };
        const backward = { kernel: 'GeluGrad', inputs: { dy: randomArray(seed + 1, shape), x }, attrs };
        const [y] = await runDefinition(reference, geluElementsDefinition, forward);
        const [dx] = await runDefinition(reference, geluGradDefinition, backward);
        // tfjs-backend-cpu's erf is off by up to 1.5e-7 by itself; and far below 0, 1 + tanh and 1 + erf cancel, in the
        // reference as here: what is left is off by the roundoff of 1, times x (forward) and x² and more (backward).
        expectAgreement(await runKernel(ours, forward), y, { op: 'transcendental', reduction: 400 });
        expectAgreement((await runKernelForAll(ours, backward))[0], dx, {
          op: 'transcendental',
          reduction: 1600,
        });
      }),
    );
  },
);

test('Gelu is 0 far below, and x far above', async () => {
  const x = { dtype: 'float32' as const, shape: [4], data: Float32Array.of(-50, -1e30, 50, 1e30) };
  for (const approximate of [true, false]) {
    const { data } = await runKernel(ours, { kernel: 'Gelu', inputs: { x }, attrs: { approximate } });
    expect(Array.from(data as Float32Array, (value) => value + 0)).toEqual([0, 0, 50, Math.fround(1e30)]);
  }
});

test.each([
  { kernel: 'ReluGrad', definition: reluGradDefinition },
  { kernel: 'SigmoidGrad', definition: sigmoidGradDefinition },
  { kernel: 'TanhGrad', definition: tanhGradDefinition },
])('$kernel is the definition', async ({ kernel, definition }) => {
  await fc.assert(
    fc.asyncProperty(shapes, fc.nat(), fc.boolean(), async (shape, seed, special) => {
      // TensorFlow's ReluGrad, as PyTorch's, gives 0 where y is NaN: the loss is NaN already.
      const odd = special && !(testedName === 'cuda' && kernel === 'ReluGrad');
      const call = {
        kernel,
        inputs: { dy: randomArray(seed, shape), y: randomArray(seed + 1, shape, odd) },
      };
      const [expected] = await runDefinition(reference, definition, call);
      expectAgreement((await runKernelForAll(ours, call))[0], expected, { op: 'elementwise' });
    }),
  );
});

test('EluGrad is the reference', async () => {
  await fc.assert(
    fc.asyncProperty(shapes, fc.nat(), fc.boolean(), async (shape, seed, special) => {
      const y = randomArray(seed + 1, shape, special);
      // TensorFlow hands dy on where y is NaN.
      if (testedName === 'cuda') y.data.set(y.data.map((value) => (Number.isNaN(value) ? 0 : value)));
      const inputs = { dy: randomArray(seed, shape), y };
      const call = { kernel: EluGrad, inputs };
      expectAgreement(await runKernel(ours, call), await runKernel(reference, call), { op: 'elementwise' });
    }),
  );
});
