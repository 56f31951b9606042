import '@tensorflow/tfjs-backend-cpu';
import {
  compile,
  fromNested,
  isTenonError,
  type Json,
  type Metric,
  type NdArray,
  ndarray,
  read,
  sizeOf,
  type Tree,
  tensorCount,
  tfjsBackend,
} from '@tenon-ml/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { accuracy, confusionMatrix, f1, precision, recall } from '../src/index.js';

const backend = tfjsBackend('cpu');
beforeAll(() => backend.init());

const ones = (shape: readonly number[]): NdArray<'float32'> =>
  ndarray('float32', shape, new Float32Array(sizeOf(shape)).fill(1));

/** The metric of one batch, through a compiled step. */
async function measure(
  metric: Metric,
  prediction: NdArray,
  target: NdArray,
  weights: NdArray = ones(prediction.shape.slice(0, 1)),
): Promise<Json> {
  const step = compile((p: Tensor, t: Tensor, w: Tensor) => metric.observe(p, t, w), { backend });
  const observed = await read(step(prediction, target, weights));
  return metric.compute(metric.update(metric.empty(), observed as Tree<NdArray>));
}

async function refusal(given: () => Promise<unknown>): Promise<string> {
  const before = tensorCount();
  try {
    await given();
  } catch (error) {
    if (!isTenonError(error)) throw error;
    expect(tensorCount()).toBe(before);
    return `${error.code} ${error.message}`;
  }
  return 'nothing';
}

const int32 = (values: Parameters<typeof fromNested>[0]) => fromNested(values, 'int32');

/** Rows are labels, columns predictions: shows both as they were seen. */
const seen = (classes: number, options: object = {}) => confusionMatrix({ classes, ...options });

describe('predicted classes', () => {
  test('are where the largest logit is, the lowest of equals, as in NumPy', async () => {
    // A few distinct values, so that ties are common.
    const rows = fc.integer({ min: 2, max: 6 }).chain((classes) =>
      fc.array(
        fc.array(fc.constantFrom(-1, -0, 0, 2, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY), {
          minLength: classes,
          maxLength: classes,
        }),
        {
          minLength: 1,
          maxLength: 6,
        },
      ),
    );
    await fc.assert(
      fc.asyncProperty(rows, async (rows) => {
        const classes = rows[0].length;
        const matrix = await measure(seen(classes), fromNested(rows), int32(rows.map(() => 0)));
        const expected = new Array<number>(classes).fill(0);
        for (const row of rows) expected[row.indexOf(Math.max(...row) + 0)] += 1;
        expect(matrix).toHaveProperty('0', expected);
      }),
      { numRuns: 60 },
    );
  });

  test('of a row with a NaN are none: wrong, in no column, and still a label', async () => {
    const logits = fromNested([
      [Number.NaN, 0, 1],
      [3, Number.NaN, 1],
      [0, 1, 2],
    ]);
    const labels = int32([0, 0, 2]);
    expect(await measure(accuracy(), logits, labels)).toBe(1 / 3);
    expect(await measure(seen(3), logits, labels)).toEqual([
      [0, 0, 0],
      [0, 0, 0],
      [0, 0, 1],
    ]);
    expect(await measure(recall({ average: 'none' }), logits, labels)).toEqual([0, 0, 1]);
    expect(await measure(precision({ average: 'micro' }), logits, labels)).toBe(1);
    expect(await measure(recall({ average: 'micro' }), logits, labels)).toBe(1 / 3);
    expect(await measure(accuracy(), fromNested([Number.NaN, -1]), int32([0, 0]))).toBe(0.5);
  });

  test.each<[string, readonly number[]]>([
    ['[batch]', [4]],
    ['[batch, 1]', [4, 1]],
    ['[batch, time, 1]', [2, 2, 1]],
  ])('of one number an example, %s, are 1 above the threshold', async (_, shape) => {
    const prediction = { ...fromNested([-1, 0, 0.4, 0.6]), shape };
    const target = { ...int32([0, 0, 0, 1]), shape: shape.length === 1 ? shape : shape.slice(0, -1) };
    expect(await measure(seen(2), prediction, target)).toEqual([
      [2, 1],
      [0, 1],
    ]);
    expect(await measure(seen(2, { threshold: 0.5 }), prediction, target)).toEqual([
      [3, 0],
      [0, 1],
    ]);
    // The target may keep the last axis, and be of any dtype that holds 0 and 1.
    for (const values of [
      fromNested([0, 0, 0, 1]),
      int32([0, 0, 0, 1]),
      fromNested([false, false, false, true]),
    ]) {
      expect(await measure(accuracy({ threshold: 0.5 }), prediction, { ...values, shape } as NdArray)).toBe(
        1,
      );
      expect(
        await measure(accuracy({ threshold: 0.5 }), prediction, {
          ...values,
          shape: target.shape,
        } as NdArray),
      ).toBe(1);
    }
  });
});

describe('targets', () => {
  test('may be labels, one-hot rows or probabilities', async () => {
    const logits = fromNested([
      [1, 0, 0],
      [0, 1, 0],
      [0, 1, 0],
    ]);
    const expected = [
      [1, 0, 0],
      [0, 1, 0],
      [0, 1, 0],
    ];
    const soft = fromNested([
      [0.5, 0.3, 0.2],
      [0.1, 0.8, 0.1],
      [0.3, 0.2, 0.5],
    ]);
    const oneHot = fromNested([
      [1, 0, 0],
      [0, 1, 0],
      [0, 0, 1],
    ]);
    for (const target of [int32([0, 1, 2]), fromNested([0, 1, 2], 'uint8'), oneHot, soft]) {
      expect(await measure(seen(3), logits, target)).toEqual(expected);
    }
  });

  test('with the ignored label are left out, those out of range are refused', async () => {
    const logits = fromNested([
      [2, 0],
      [2, 0],
      [2, 0],
    ]);
    expect(await measure(accuracy({ ignoreLabel: -1 }), logits, int32([0, -1, 1]))).toBe(0.5);
    expect(await measure(f1({ ignoreLabel: -1, average: 'macro' }), logits, int32([0, -1, 0]))).toBe(1);
    expect(await measure(seen(2, { ignoreLabel: 0 }), logits, int32([0, 0, 1]))).toEqual([
      [0, 0],
      [1, 0],
    ]);
    expect(await refusal(() => measure(accuracy(), logits, int32([0, 1, 2])))).toBe(
      'LABEL_OUT_OF_RANGE accuracy, record 2 of the batch: expected a label from 0 to 1, got 2. ' +
        'Mend the target: labels count from 0, and the model has an output for each.',
    );
    expect(await refusal(() => measure(recall({ name: 'hits' }), logits, int32([0, -1, 1])))).toMatch(
      /^LABEL_OUT_OF_RANGE hits, record 1 .*got -1\. .*\{ ignoreLabel: -1 \}/,
    );
    // A NaN is not the label that was asked to be ignored.
    const missing = fromNested([
      [1, 0],
      [Number.NaN, 1],
      [0, 1],
    ]);
    expect(await refusal(() => measure(accuracy({ ignoreLabel: -1 }), logits, missing))).toMatch(
      /^LABEL_OUT_OF_RANGE accuracy, record 1 .*got a target that is NaN/,
    );
  });
});

describe('example weights', () => {
  test('are broadcast from the left, or given for each position', async () => {
    const logits = fromNested([
      [
        [1, 0],
        [0, 1],
      ],
      [
        [1, 0],
        [1, 0],
      ],
    ]);
    const labels = int32([
      [0, 0],
      [0, 1],
    ]);
    expect(await measure(accuracy(), logits, labels, fromNested([1, 3]))).toBe((1 + 3) / 8);
    expect(await measure(seen(2), logits, labels, fromNested([1, 3]))).toEqual([
      [4, 1],
      [3, 0],
    ]);
    const each = fromNested([
      [1, 2],
      [4, 8],
    ]);
    expect(await measure(accuracy(), logits, labels, each)).toBe(5 / 15);
  });

  test.each([
    [Number.NaN, 'NOT_FINITE'],
    [Number.POSITIVE_INFINITY, 'NOT_FINITE'],
    [-1, 'DATA_INVALID'],
  ])('of %d are refused, with the record', async (weight, code) => {
    const given = () => measure(accuracy(), fromNested([1, 1]), int32([0, 1]), fromNested([1, weight]));
    expect(await refusal(given)).toBe(
      `${code} accuracy, record 1 of the batch: expected a finite example weight of at least 0, got ${weight}.`,
    );
  });

  test('of another batch are refused', async () => {
    const given = () => measure(accuracy(), fromNested([1, 1]), int32([0, 1]), fromNested([1]));
    expect(await refusal(given)).toMatch(/^SHAPE_MISMATCH example weights/);
  });
});

describe('shapes and dtypes that do not fit', () => {
  const logits = fromNested([
    [1, 0, 0],
    [0, 1, 0],
  ]);
  test.each<[string, Metric, NdArray, NdArray, RegExp]>([
    [
      'float labels',
      accuracy(),
      logits,
      fromNested([0, 1]),
      /^SHAPE_MISMATCH accuracy: expected int32 labels of \[2\], or float32 targets of \[2, 3\].*cast\(target, 'int32'\)/,
    ],
    [
      'int32 one-hot',
      accuracy(),
      logits,
      int32([
        [1, 0, 0],
        [0, 1, 0],
      ]),
      /cast\(target, 'float32'\)/,
    ],
    ['labels of [batch, 1]', accuracy(), logits, int32([[0], [1]]), /Reshape the labels to \[2\]/],
    ['labels of another batch', accuracy(), logits, int32([0, 1, 1]), /got int32 \[3\]/],
    [
      'integer predictions',
      accuracy(),
      int32([[0, 1]]),
      int32([0]),
      /^DTYPE_MISMATCH .*predictions of float32/,
    ],
    ['a scalar prediction', accuracy(), fromNested(1), int32(0), /^SHAPE_MISMATCH .*predictions of float32/],
    [
      'three classes for binary',
      precision(),
      logits,
      int32([0, 1]),
      /^INVALID_ARGUMENT precision: expected predictions of 2 classes for average: 'binary', got 3 classes\. Choose average/,
    ],
    [
      'a class beyond the last',
      f1({ positive: 3 }),
      logits,
      int32([0, 1]),
      /^INVALID_ARGUMENT f1: expected positive below 3, got 3/,
    ],
    [
      'another number of classes',
      confusionMatrix({ classes: 4 }),
      logits,
      int32([0, 1]),
      /^SHAPE_MISMATCH confusionMatrix: expected predictions of 4 classes, got 3\. Set classes: 3/,
    ],
    [
      'another number of classes',
      recall({ average: 'macro', classes: 2 }),
      logits,
      int32([0, 1]),
      /^SHAPE_MISMATCH recall/,
    ],
  ])('%s', async (_, metric, prediction, target, message) => {
    expect(
      await refusal(() => measure(metric, prediction, target, ones([prediction.shape[0] ?? 1]))),
    ).toMatch(message);
  });
});

describe('averages', () => {
  // Class 2 is neither labelled nor predicted; class 1 is never predicted.
  const logits = fromNested([
    [1, 0, 0],
    [1, 0, 0],
    [1, 0, 0],
    [1, 0, 0],
  ]);
  const labels = int32([0, 0, 0, 1]);

  test('macro is over the classes that occur, or over all that are asked for', async () => {
    expect(await measure(recall({ average: 'macro' }), logits, labels)).toBe(1 / 2);
    expect(await measure(recall({ average: 'macro', classes: 3 }), logits, labels)).toBe(1 / 3);
    expect(await measure(precision({ average: 'weighted' }), logits, labels)).toBe((0.75 * 3) / 4);
  });

  test('none is class by class, 0 where a class has no score', async () => {
    expect(await measure(precision({ average: 'none' }), logits, labels)).toEqual([0.75, 0, 0]);
    expect(await measure(f1({ average: 'none', classes: 3 }), logits, labels)).toEqual([1.5 / 1.75, 0, 0]);
  });

  test('binary is about class 1, or about the class that is named', async () => {
    expect(await measure(recall(), fromNested([1, 1, -1, -1]), int32([1, 0, 1, 1]))).toBe(1 / 3);
    expect(await measure(recall({ positive: 0 }), fromNested([1, 1, -1, -1]), int32([1, 0, 1, 1]))).toBe(0);
    expect(await measure(precision({ positive: 0 }), logits, labels)).toBe(0.75);
  });

  test.each([
    [{ average: 'mean' as 'macro' }, /average to be one of binary, macro, micro, weighted, none, got 'mean'/],
    [{ average: 'macro' as const, classes: 1 }, /classes to be an integer of at least 2, got 1/],
    [{ positive: -1 }, /positive to be a class, from 0, got -1/],
    [{ average: 'macro' as const, positive: 1 }, /positive with average: 'binary' only/],
  ])('refuse %j', (options, message) => {
    for (const metric of [precision, recall, f1]) expect(() => metric(options)).toThrow(message);
  });
});

test('names, directions, frozen values', () => {
  expect([accuracy(), precision(), recall(), f1()].map(({ name, direction }) => [name, direction])).toEqual(
    ['accuracy', 'precision', 'recall', 'f1'].map((name) => [name, 'maximize']),
  );
  expect(precision({ average: 'none' }).direction).toBeUndefined();
  expect(confusionMatrix({ classes: 2 })).toMatchObject({ name: 'confusionMatrix' });
  expect(f1({ name: 'f1 of cats', average: 'macro' }).name).toBe('f1 of cats');
  for (const metric of [accuracy(), f1(), confusionMatrix({ classes: 2 })])
    expect(Object.isFrozen(metric)).toBe(true);
});
