import {
  type NdArray,
  sigmoidCrossEntropyDefinition,
  softmaxCrossEntropyDefinition,
  softmaxCrossEntropyGradDefinition,
} from '@tenon-ml/core';
import { OneHot, Softmax } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { inPieces, mostParts } from './parts.js';
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

/** Probabilities, or one class for each row, but for rows of zeros. */
function targets(seed: number, rows: number, classes: number, soft: boolean): NdArray<'float32'> {
  const { shape, data } = randomArray(seed, [rows, classes]);
  const chosen = (i: number) => (Math.floor(i / classes) * 7 + seed) % (classes + 1);
  return {
    dtype: 'float32',
    shape,
    data: data.map((value, i) => (soft ? Math.abs(value) / classes : i % classes === chosen(i) ? 1 : 0)),
  };
}

test('SoftmaxCrossEntropy and its gradient are the definitions', () => {
  fc.assert(
    fc.property(cases, ({ rows, classes, scale, seed, soft }) => {
      const logits = scaled(randomArray(seed, [rows, classes]), scale);
      const target = targets(seed + 1, rows, classes, soft);
      const forward = { kernel: 'SoftmaxCrossEntropy', inputs: { logits, target } };
      const [expected] = runDefinition(reference, softmaxCrossEntropyDefinition, forward);
      expectAgreement(runKernel(ours, forward), expected, { op: 'loss', reduction: classes });
      const dy = randomArray(seed + 2, [rows]);
      const backward = { kernel: 'SoftmaxCrossEntropyGrad', inputs: { dy, logits, target } };
      const [dlogits] = runDefinition(reference, softmaxCrossEntropyGradDefinition, backward);
      expectAgreement(runKernelForAll(ours, backward)[0], dlogits, { op: 'loss', reduction: classes });
    }),
  );
});

test('SigmoidCrossEntropy is the definition', () => {
  fc.assert(
    fc.property(cases, ({ rows, classes, scale, seed, soft }) => {
      const logits = scaled(randomArray(seed, [rows, classes]), scale);
      const target = targets(seed + 1, rows, classes, soft);
      const call = { kernel: 'SigmoidCrossEntropy', inputs: { logits, target } };
      const [expected] = runDefinition(reference, sigmoidCrossEntropyDefinition, call);
      expectAgreement(runKernel(ours, call), expected, { op: 'loss' });
    }),
  );
});

test('a row with NaN or +∞ gives NaN, as does one of −∞ alone; the other rows stay', () => {
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    const logits = randomArray(1, [3, 9]);
    logits.data.fill(value, 9, value < 0 ? 18 : 10);
    const call = { kernel: Softmax, inputs: { logits }, attrs: { dim: -1 } };
    const { data } = runKernel(ours, call);
    expectAgreement(runKernel(ours, call), runKernel(reference, call), { op: 'transcendental' });
    expect(Array.from(data.slice(9, 18), Number).every(Number.isNaN)).toBe(true);
  }
});

test('OneHot is the reference, and out of range all off', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: -2, max: 9 }), { maxLength: 9 }),
      fc.integer({ min: 1, max: 8 }),
      (list, depth) => {
        const indices: NdArray = { dtype: 'int32', shape: [list.length], data: Int32Array.from(list) };
        for (const dtype of ['float32', 'int32']) {
          const attrs = { depth, onValue: 3, offValue: -1, dtype };
          const call = { kernel: OneHot, inputs: { indices }, attrs };
          expect(runKernelForAll(ours, call)).toEqual(runKernelForAll(reference, call));
        }
      },
    ),
  );
});

test('cut in any way they give the same bits', () => {
  const logits = randomArray(1, [700, 37]);
  const target = targets(2, 700, 37, true);
  for (const call of [
    { kernel: 'SoftmaxCrossEntropy', inputs: { logits, target } },
    { kernel: 'SoftmaxCrossEntropyGrad', inputs: { dy: randomArray(3, [700]), logits, target } },
    { kernel: Softmax, inputs: { logits }, attrs: { dim: 1 } },
  ]) {
    const run = () => runKernelForAll(ours, call)[0].data;
    expect(mostParts(ours, run)).toBeGreaterThan(2);
    const whole = run();
    for (const length of [1, 2]) expect(inPieces(ours, length, run)).toEqual(whole);
  }
});
