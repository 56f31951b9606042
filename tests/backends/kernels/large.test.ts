import {
  attentionDefinition,
  attentionGradDefinition,
  batchNormGradDefinition,
  layerNormDefinition,
  layerNormGradDefinition,
  type NdArray,
  softmaxCrossEntropyDefinition,
  softmaxCrossEntropyGradDefinition,
} from '@tenon-ml/core';
import { All, Any, Concat, Max, Mean, Min, Pack, Prod, Softmax, Sum } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { attentionInputs, statistics, targets } from './inputs.js';
import {
  backendPair,
  type Call,
  expectAgreement,
  expectBits,
  randomArray,
  runDefinition,
  runKernel,
  runKernelForAll,
} from './reference.js';

// Sizes at which kernels go other ways than the small ones of the tests beside this file do.

const { ours, reference } = backendPair();

type Definition = Parameters<typeof runDefinition>[1];

/** The same as the definition (or tfjs's kernel), and the same bits once more. */
async function expectDefinition(
  call: Call,
  definition: Definition | undefined,
  reduction: number,
): Promise<void> {
  const actual = await runKernelForAll(ours, call);
  const expected = await (definition
    ? runDefinition(reference, definition, call)
    : runKernelForAll(reference, call));
  expect(actual.length).toBe(expected.length);
  for (const [i, array] of actual.entries()) {
    expectAgreement(array, expected[i], { op: 'normalization', reduction });
  }
  expectBits(await runKernelForAll(ours, call), actual);
}

test.each([
  [3, 3000],
  [5, 1500],
  [70, 300],
  [4000, 5],
])('softmax, cross-entropy and normalization of %i rows of %i', async (rows, count) => {
  const shape = [rows, count];
  const [x, above, dy, scale, bias] = [shape, shape, [rows], [count], [count]].map((s, i) =>
    randomArray(i, s),
  );
  const target = targets(7, rows, count, true);
  const attrs = { epsilon: 1e-5 };
  const inputs = { logits: x, target };
  await expectDefinition({ kernel: Softmax, inputs: { logits: x }, attrs: { dim: -1 } }, undefined, 1);
  await expectDefinition({ kernel: 'SoftmaxCrossEntropy', inputs }, softmaxCrossEntropyDefinition, count);
  const backward = { kernel: 'SoftmaxCrossEntropyGrad', inputs: { dy, ...inputs } };
  await expectDefinition(backward, softmaxCrossEntropyGradDefinition, count);
  const layer = { kernel: 'LayerNorm', inputs: { x, scale, bias }, attrs };
  await expectDefinition(layer, layerNormDefinition, count);
  const layerGrad = { kernel: 'LayerNormGrad', inputs: { dy: above, x, scale }, attrs };
  await expectDefinition(layerGrad, layerNormGradDefinition, 10 * Math.max(rows, count));
  const batch = { dy: above, x, ...statistics(x), scale };
  const batchGrad = { kernel: 'BatchNormGrad', inputs: batch, attrs };
  await expectDefinition(batchGrad, batchNormGradDefinition, 100 * rows);
});

test('reductions of any dtype over any axes', async () => {
  const cases = fc.record({
    shape: fc.array(fc.integer({ min: 1, max: 7 }), { maxLength: 5 }),
    chosen: fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }),
    keepDims: fc.boolean(),
    seed: fc.nat(),
  });
  await fc.assert(
    fc.asyncProperty(cases, async ({ shape, chosen, keepDims, seed }) => {
      const axis = shape.map((_, i) => i).filter((i) => chosen[i]);
      const x = randomArray(seed, shape);
      const integers: NdArray = {
        ...x,
        dtype: 'int32',
        data: Int32Array.from(x.data, (v) => Math.round(3 * v)),
      };
      const bools: NdArray = { ...x, dtype: 'bool', data: Uint8Array.from(x.data, (v) => Number(v > -1.5)) };
      for (const [kernel, input] of [
        [Sum, integers],
        [Mean, integers],
        [Mean, bools],
        [Prod, x],
        [Max, integers],
        [Min, integers],
        [All, bools],
        [Any, bools],
      ] as const) {
        const axes = kernel === Max ? { reductionIndices: axis } : { axis };
        const call = { kernel, inputs: { x: input }, attrs: { ...axes, keepDims } };
        const [[actual], [expected]] = [
          await runKernelForAll(ours, call),
          await runKernelForAll(reference, call),
        ];
        expect([actual.dtype, actual.shape]).toEqual([expected.dtype, expected.shape]);
        if (actual.dtype === 'float32') expectAgreement(actual, expected, { op: 'sum', reduction: 1000 });
        else expect(actual.data).toEqual(expected.data);
      }
    }),
  );
});

test.each([
  { shape: [9, 5, 3001], axis: [0, 2] },
  { shape: [300, 2, 300], axis: [0, 2] },
  { shape: [2, 1, 70_000], axis: [0, 1, 2] },
])('long sums of $shape over $axis', async ({ shape, axis }) => {
  const call = { kernel: Sum, inputs: { x: randomArray(1, shape) }, attrs: { axis, keepDims: false } };
  const actual = await runKernel(ours, call);
  const reduction = axis.reduce((count, i) => count * shape[i], 1);
  expectAgreement(actual, await runKernel(reference, call), { op: 'sum', reduction });
  expectBits(await runKernel(ours, call), actual);
});

test('Concat and Pack of many', async () => {
  const pieces = Array.from({ length: 18 }, (_, i) => randomArray(i, [4, i % 5, 3]));
  const same = Array.from({ length: 9 }, (_, i) => randomArray(i, [4, 3]));
  for (const [kernel, inputs] of [
    [Concat, pieces],
    [Pack, same],
  ] as const) {
    const call = { kernel, inputs: inputs as never, attrs: { axis: 1 } };
    expectBits(await runKernelForAll(ours, call), await runKernelForAll(reference, call));
  }
});

test('attention over large heads, larger than what a workgroup makes', async () => {
  const shape = [1, 1, 33, 65, 200, 140];
  const { dy, ...inputs } = attentionInputs(1, shape);
  const attrs = { causal: true, scale: 1 / Math.sqrt(shape[4]) };
  await expectDefinition({ kernel: 'Attention', inputs, attrs }, attentionDefinition, shape[4]);
  const backward = { kernel: 'AttentionGrad', inputs: { dy, ...inputs }, attrs };
  await expectDefinition(backward, attentionGradDefinition, 10 * shape[4]);
});
