import '@tensorflow/tfjs-backend-cpu';
import {
  compile,
  fromNested,
  type Loss,
  type NdArray,
  ndarray,
  read,
  scalar,
  tensorCount,
  tfjsBackend,
  toNested,
  valueAndGrad,
  weightedMean,
} from '@tenon-ml/core';
import { expectClose } from '@tenon-ml/testkit';
import type { Tensor } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { sigmoidCrossEntropy, softmaxCrossEntropy } from '../src/index.js';

const backend = tfjsBackend('cpu');
beforeAll(() => backend.init());

/** Values, weights, and the weighted mean with its gradients, of one batch. */
async function run(loss: Loss, prediction: NdArray, target: NdArray, weights?: NdArray) {
  const step = compile(
    (p: Tensor, t: Tensor, w: Tensor) => {
      const mean = valueAndGrad((x: Tensor) => weightedMean(loss(x, t), weights ? w : undefined));
      const { value, grads } = mean(p);
      return { ...loss(p, t), mean: value, grads };
    },
    { backend },
  );
  return read(step(prediction, target, weights ?? scalar(1)));
}

function matrix(rows: readonly (readonly number[])[]): NdArray<'float32'> {
  return ndarray('float32', [rows.length, rows[0].length], Float32Array.from(rows.flat()));
}

/** A batch for softmax: logits [batch, classes], and labels. */
const batches = fc
  .tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 2, max: 5 }))
  .chain(([batch, classes]) =>
    fc.record({
      classes: fc.constant(classes),
      logits: fc.array(
        fc.array(fc.float({ min: -20, max: 20, noNaN: true }), { minLength: classes, maxLength: classes }),
        { minLength: batch, maxLength: batch },
      ),
      labels: fc.array(fc.nat(classes - 1), { minLength: batch, maxLength: batch }),
    }),
  );

function int32(values: readonly number[], shape: readonly number[] = [values.length]): NdArray<'int32'> {
  return ndarray('int32', shape, Int32Array.from(values));
}

function oneHot(labels: readonly number[], classes: number, smoothing = 0): NdArray<'float32'> {
  const row = (label: number) =>
    Array.from({ length: classes }, (_, c) => (c === label ? 1 - smoothing : 0) + smoothing / classes);
  return matrix(labels.map(row));
}

describe('softmaxCrossEntropy', () => {
  test('is −log of the probability of the label', async () => {
    const logits = fromNested([[Math.log(1), Math.log(2), Math.log(5)]]);
    const { values } = await run(softmaxCrossEntropy(), logits, int32([1]));
    expectClose(values, [-Math.log(2 / 8)], { op: 'loss' });
  });

  test('integer labels and their one-hot rows give the same bits', async () => {
    await fc.assert(
      fc.asyncProperty(
        batches,
        fc.constantFrom(0, 0.1, 1),
        async ({ classes, logits, labels }, smoothing) => {
          const loss = softmaxCrossEntropy({ labelSmoothing: smoothing });
          const byLabel = await run(loss, matrix(logits), int32(labels));
          const byRow = await run(loss, matrix(logits), oneHot(labels, classes));
          expect(byLabel).toEqual(byRow);
        },
      ),
      { numRuns: 30 },
    );
  });

  test('smoothing is the loss of smoothed probabilities', async () => {
    await fc.assert(
      fc.asyncProperty(
        batches,
        fc.double({ min: 0, max: 1, noNaN: true }),
        async ({ classes, logits, labels }, smoothing) => {
          const smoothed = await run(
            softmaxCrossEntropy({ labelSmoothing: smoothing }),
            matrix(logits),
            int32(labels),
          );
          const given = await run(softmaxCrossEntropy(), matrix(logits), oneHot(labels, classes, smoothing));
          expectClose(smoothed.values, given.values, { op: 'loss', reduction: classes });
          expectClose(smoothed.grads, given.grads, { op: 'loss', reduction: classes });
        },
      ),
      { numRuns: 30 },
    );
  });

  test('every axis between batch and classes is one more set of elements', async () => {
    await fc.assert(
      fc.asyncProperty(batches, async ({ classes, logits, labels }) => {
        const flat = await run(softmaxCrossEntropy(), matrix(logits), int32(labels));
        const shape = [1, logits.length, 1];
        const folded = { ...matrix(logits), shape: [...shape, classes] };
        const { values, weights, grads } = await run(softmaxCrossEntropy(), folded, int32(labels, shape));
        expect(values.shape).toEqual(shape);
        expect(weights.shape).toEqual(shape);
        expect([values.data, grads.data]).toEqual([flat.values.data, flat.grads.data]);
      }),
      { numRuns: 20 },
    );
  });

  test('an ignored label counts for nothing: mean and gradient are those of the rest', async () => {
    await fc.assert(
      fc.asyncProperty(
        batches,
        fc.constantFrom(-1, -100, 0, 1),
        fc.infiniteStream(fc.boolean()),
        async ({ logits, labels }, ignoreLabel, drops) => {
          const marked = labels.map((label) => (drops.next().value ? ignoreLabel : label));
          const result = await run(softmaxCrossEntropy({ ignoreLabel }), matrix(logits), int32(marked));
          const kept = marked.flatMap((label, i) => (label === ignoreLabel ? [] : [i]));
          expect([...result.weights.data]).toEqual(marked.map((label) => (label === ignoreLabel ? 0 : 1)));
          if (kept.length === 0) {
            expect(result.mean.data[0]).toBe(0);
            expect(result.grads.data.every((gradient) => Math.abs(Number(gradient)) === 0)).toBe(true);
            return;
          }
          const rest = await run(
            softmaxCrossEntropy(),
            matrix(kept.map((i) => logits[i])),
            int32(kept.map((i) => labels[i])),
          );
          expectClose(result.mean, rest.mean, { op: 'loss' });
          const rows = toNested(result.grads) as number[][];
          expectClose(
            kept.flatMap((i) => rows[i]),
            rest.grads,
            { op: 'loss', dtype: 'float32' },
          );
        },
      ),
      { numRuns: 40 },
    );
  });

  test('a label out of range makes its own value NaN on the device, and no other', async () => {
    const logits = fromNested([
      [1, 2, 3],
      [1, 2, 3],
      [1, 2, 3],
      [1, 2, 3],
    ]);
    for (const options of [{}, { labelSmoothing: 0.1 }, { ignoreLabel: -100 }]) {
      const { values, mean } = await run(softmaxCrossEntropy(options), logits, int32([0, 3, -1, 2]));
      expect([...values.data].map((value) => Number.isNaN(Number(value)))).toEqual([
        false,
        true,
        true,
        false,
      ]);
      expect(mean.data[0]).toBeNaN();
    }
  });

  test('stays finite for logits of any size, with a gradient that still pushes', async () => {
    const { values, grads } = await run(softmaxCrossEntropy(), fromNested([[1e30, -1e30]]), int32([1]));
    expectClose(values, [2e30], { op: 'loss' });
    expect([...grads.data]).toEqual([1, -1]);
  });

  test('weights of 0 everywhere give 0 and gradients of 0', async () => {
    const { mean, grads } = await run(
      softmaxCrossEntropy(),
      fromNested([[1, 2]]),
      int32([0]),
      fromNested([0]),
    );
    expect(mean.data[0]).toBe(0);
    expect([...grads.data].map(Math.abs as (value: number | bigint) => number)).toEqual([0, 0]);
  });

  test('is a frozen value with a spec', () => {
    const loss = softmaxCrossEntropy({ labelSmoothing: 0.1, ignoreLabel: -1 });
    expect(JSON.parse(JSON.stringify(loss.spec))).toEqual({
      loss: 'softmaxCrossEntropy',
      labelSmoothing: 0.1,
      ignoreLabel: -1,
    });
    expect(softmaxCrossEntropy().spec).toEqual({ loss: 'softmaxCrossEntropy', labelSmoothing: 0 });
    expect(Object.isFrozen(loss)).toBe(true);
  });
});

describe('sigmoidCrossEntropy', () => {
  const pairs = fc.array(
    fc.tuple(fc.float({ min: -30, max: 30, noNaN: true }), fc.float({ min: 0, max: 1, noNaN: true })),
    { minLength: 1, maxLength: 8 },
  );

  test('is −t·log p − (1 − t)·log(1 − p), with the gradient p − t', async () => {
    await fc.assert(
      fc.asyncProperty(pairs, async (pairs) => {
        const x = fromNested(pairs.map(([logit]) => logit));
        const t = fromNested(pairs.map(([, target]) => target));
        const { values, grads } = await run(sigmoidCrossEntropy(), x, t, fromNested(pairs.map(() => 1)));
        const logOf = (logit: number) => -Math.log1p(Math.exp(-logit));
        const expected = pairs.map(
          ([logit, target]) => -target * logOf(logit) - (1 - target) * logOf(-logit),
        );
        expectClose(values, expected, { op: 'loss' });
        const gradient = pairs.map(([logit, target]) => (1 / (1 + Math.exp(-logit)) - target) / pairs.length);
        expectClose(grads, gradient, { op: 'loss' });
      }),
      { numRuns: 50 },
    );
  });

  test('has the exact gradient at 0, where max(x, 0) and |x| have kinks', async () => {
    const { grads } = await run(sigmoidCrossEntropy(), fromNested([0, -0, 0]), fromNested([0, 1, 0.25]));
    expectClose(grads, [0.5 / 3, -0.5 / 3, 0.25 / 3], { op: 'elementwise' });
  });

  test('differentiates with respect to targets too (distillation)', async () => {
    const step = compile(
      (x: Tensor, t: Tensor) =>
        valueAndGrad((p: Tensor) => weightedMean(sigmoidCrossEntropy()(x, p)))(t).grads,
      { backend },
    );
    expectClose(await read(step(fromNested([2, -3]), fromNested([0.5, 0.5]))), [-1, 1.5], {
      op: 'elementwise',
    });
  });

  test('takes 0 and 1 as int32 and bool', async () => {
    const x = fromNested([[0.3, -1.2]]);
    const expected = await run(sigmoidCrossEntropy({ labelSmoothing: 0.2 }), x, fromNested([[1, 0]]));
    for (const target of [int32([1, 0], [1, 2]), fromNested([[true, false]])]) {
      expect(await run(sigmoidCrossEntropy({ labelSmoothing: 0.2 }), x, target)).toEqual(expected);
    }
  });

  test('keeps its digits where exp(−|x|) is tiny', async () => {
    const { values } = await run(sigmoidCrossEntropy(), fromNested([-16, -50, 1e30]), fromNested([0, 0, 1]));
    expectClose([...values.data].map(Number).slice(0, 1), [Math.log1p(Math.exp(-16))], {
      op: 'loss',
      dtype: 'float32',
    });
    // Relative, not absolute: log(1 + x) in float32 would give 0 for the second.
    expect(Number(values.data[1]) / Math.exp(-50)).toBeCloseTo(1, 5);
    expect(values.data[2]).toBe(0);
  });
});

describe('a throw inside a compiled step', () => {
  test.each<[string, Loss, NdArray]>([
    ['softmaxCrossEntropy', softmaxCrossEntropy(), fromNested([[0, 1]], 'int32')],
    ['sigmoidCrossEntropy', sigmoidCrossEntropy(), fromNested([0, 1])],
  ])('%s leaves the tensor count where it was', async (_, loss, target) => {
    const before = tensorCount();
    await expect(run(loss, fromNested([[1, 2, 3]]), target)).rejects.toMatchObject({
      code: 'SHAPE_MISMATCH',
    });
    expect(tensorCount()).toBe(before);
  });
});
