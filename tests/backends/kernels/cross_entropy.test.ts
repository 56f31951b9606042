import {
  type NdArray,
  sigmoidCrossEntropyDefinition,
  softmaxCrossEntropyDefinition,
  softmaxCrossEntropyGradDefinition,
} from '@tenon-ml/core';
import { OneHot, Softmax } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { targets } from './inputs.js';
import {
  backendPair,
  expectAgreement,
  randomArray,
  runDefinition,
  runKernel,
  runKernelForAll,
} from './reference.js';

const { ours, reference } = backendPair();

const cases = fc.record({
  rows: fc.nat({ max: 6 }),
  classes: fc.integer({ min: 1, max: 40 }),
  scale: fc.constantFrom(1, 30, 2000),
  seed: fc.nat(),
  soft: fc.boolean(),
});

function scaled(array: NdArray<'float32'>, by: number): NdArray<'float32'> {
  return { ...array, data: array.data.map((value) => value * by) };
}

test('SoftmaxCrossEntropy and its gradient are the definitions', async () => {
  await fc.assert(
    fc.asyncProperty(cases, async ({ rows, classes, scale, seed, soft }) => {
      const logits = scaled(randomArray(seed, [rows, classes]), scale);
      const target = targets(seed + 1, rows, classes, soft);
      const forward = { kernel: 'SoftmaxCrossEntropy', inputs: { logits, target } };
      const [expected] = await runDefinition(reference, softmaxCrossEntropyDefinition, forward);
      expectAgreement(await runKernel(ours, forward), expected, { op: 'loss', reduction: classes });
      const dy = randomArray(seed + 2, [rows]);
      const backward = { kernel: 'SoftmaxCrossEntropyGrad', inputs: { dy, logits, target } };
      const [dlogits] = await runDefinition(reference, softmaxCrossEntropyGradDefinition, backward);
      expectAgreement((await runKernelForAll(ours, backward))[0], dlogits, {
        op: 'loss',
        reduction: classes,
      });
    }),
  );
});

test('SigmoidCrossEntropy is the definition', async () => {
  await fc.assert(
    fc.asyncProperty(cases, async ({ rows, classes, scale, seed, soft }) => {
      const logits = scaled(randomArray(seed, [rows, classes]), scale);
      const target = targets(seed + 1, rows, classes, soft);
      const call = { kernel: 'SigmoidCrossEntropy', inputs: { logits, target } };
      const [expected] = await runDefinition(reference, sigmoidCrossEntropyDefinition, call);
      expectAgreement(await runKernel(ours, call), expected, { op: 'loss' });
    }),
  );
});

test('a row with NaN or +∞ gives NaN, as does one of −∞ alone; the other rows stay', async () => {
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    const logits = randomArray(1, [3, 9]);
    logits.data.fill(value, 9, value < 0 ? 18 : 10);
    const call = { kernel: Softmax, inputs: { logits }, attrs: { dim: -1 } };
    const result = await runKernel(ours, call);
    expectAgreement(result, await runKernel(reference, call), { op: 'transcendental' });
    expect(Array.from(result.data.slice(9, 18), Number).every(Number.isNaN)).toBe(true);
  }
});

test('OneHot is the reference, and out of range all off', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: -2, max: 9 }), { maxLength: 9 }),
      fc.integer({ min: 1, max: 8 }),
      async (list, depth) => {
        const indices: NdArray = { dtype: 'int32', shape: [list.length], data: Int32Array.from(list) };
        for (const dtype of ['float32', 'int32']) {
          const attrs = { depth, onValue: 3, offValue: -1, dtype };
          const call = { kernel: OneHot, inputs: { indices }, attrs };
          expect(await runKernelForAll(ours, call)).toEqual(await runKernelForAll(reference, call));
        }
      },
    ),
  );
});
