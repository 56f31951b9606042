import {
  type ErrorCode,
  fromNested,
  full,
  isTenonError,
  type Loss,
  type NdArray,
  sizeOf,
  zeros,
} from '@tenon-ml/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { meanSquaredError, sigmoidCrossEntropy, softmaxCrossEntropy } from '../src/index.js';

/** The message of what `check` throws, with the code in front. */
function refusal(
  loss: Loss,
  target: NdArray,
  shape: readonly (number | null)[],
  dtype = 'float32' as const,
): string {
  try {
    loss.check?.(target, { dtype, shape });
  } catch (error) {
    if (isTenonError(error)) return `${error.code} ${error.message}`;
    throw error;
  }
  return 'nothing';
}

const softmax = softmaxCrossEntropy();
const sigmoid = sigmoidCrossEntropy();

describe('softmaxCrossEntropy', () => {
  test('names the record, the label, the range and what to do', () => {
    expect(refusal(softmax, fromNested([0, 9, 10, 1], 'int32'), [null, 10])).toBe(
      'LABEL_OUT_OF_RANGE softmaxCrossEntropy, record 2 of the batch: expected a label from 0 to 9, got 10. ' +
        'Labels count from 0: subtract 1 if yours count from 1, or give the model another output.',
    );
    expect(
      refusal(
        softmax,
        fromNested(
          [
            [0, 1, 2],
            [2, -1, 0],
          ],
          'int32',
        ),
        [null, 3, 3],
      ),
    ).toBe(
      'LABEL_OUT_OF_RANGE softmaxCrossEntropy, record 1 of the batch, position [1]: expected a label from 0 to 2, ' +
        'got -1. Mend the label, or leave such records out of the loss: softmaxCrossEntropy({ ignoreLabel: -1 }).',
    );
  });

  test('finds the first bad label wherever it is', () => {
    const cases = fc
      .tuple(
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 }),
        fc.integer({ min: 2, max: 9 }),
      )
      .chain(([shape, classes]) =>
        fc.record({
          shape: fc.constant(shape),
          classes: fc.constant(classes),
          index: fc.nat(sizeOf(shape) - 1),
          label: fc.oneof(fc.integer({ min: classes }), fc.integer({ max: -1 })).map((label) => label | 0),
        }),
      )
      .filter(({ label, classes }) => label < 0 || label >= classes);
    fc.assert(
      fc.property(cases, ({ shape, classes, index, label }) => {
        const target = zeros(shape, 'int32');
        target.data[index] = label;
        const position: number[] = [];
        for (let axis = shape.length - 1, rest = index; axis >= 0; axis--) {
          position.unshift(rest % shape[axis]);
          rest = Math.floor(rest / shape[axis]);
        }
        const [record, ...inner] = position;
        const where =
          inner.length === 0
            ? `record ${record} of the batch:`
            : `record ${record} of the batch, position [${inner.join(', ')}]:`;
        const message = refusal(softmax, target, [null, ...shape.slice(1), classes]);
        expect(message).toContain(`LABEL_OUT_OF_RANGE softmaxCrossEntropy, ${where}`);
        expect(message).toContain(`got ${label}.`);
        const ignoring = softmaxCrossEntropy({ ignoreLabel: label });
        expect(refusal(ignoring, target, [null, ...shape.slice(1), classes])).toBe('nothing');
      }),
    );
  });

  test('accepts every label in range, of every integer dtype that a device takes', () => {
    for (const dtype of ['int32', 'int16', 'int8', 'uint8', 'uint16'] as const) {
      expect(refusal(softmax, fromNested([0, 1, 2], dtype), [null, 3])).toBe('nothing');
      expect(refusal(softmax, fromNested([0, 1, 3], dtype), [null, 3])).toContain('LABEL_OUT_OF_RANGE');
    }
  });

  test.each<[string, NdArray, readonly (number | null)[], ErrorCode, RegExp]>([
    ['logits of one class', fromNested([0], 'int32'), [null, 1], 'SHAPE_MISMATCH', /sigmoidCrossEntropy/],
    [
      'logits without classes',
      fromNested([0], 'int32'),
      [null],
      'SHAPE_MISMATCH',
      /\[batch, …, classes\], got float32 \[batch\]/,
    ],
    [
      'int32 one-hot',
      fromNested([[0, 1]], 'int32'),
      [null, 2],
      'SHAPE_MISMATCH',
      /cast\(target, 'float32'\)/,
    ],
    [
      'labels of [batch, 1]',
      fromNested([[0], [1]], 'int32'),
      [null, 2],
      'SHAPE_MISMATCH',
      /Reshape the labels to \[batch\]/,
    ],
    [
      'labels per time for logits without',
      fromNested([[0, 1, 1]], 'int32'),
      [null, 2],
      'SHAPE_MISMATCH',
      /expected integer labels of \[batch\] for logits of \[batch, 2\], got int32 \[1, 3\]/,
    ],
    [
      'float labels',
      fromNested([0, 1]),
      [null, 2],
      'DTYPE_MISMATCH',
      /integer labels as int32 \[batch\] or probabilities as float32 \[batch, 2\].*cast\(target, 'int32'\)/,
    ],
    ['fractional labels', fromNested([0, 1.5]), [null, 2], 'DTYPE_MISMATCH', /record 1 of the batch is 1\.5/],
    [
      'probabilities of other classes',
      fromNested([[1, 0, 0]]),
      [null, 2],
      'SHAPE_MISMATCH',
      /got float32 \[1, 3\]/,
    ],
    [
      'float64 probabilities',
      fromNested([[1, 0]], 'float64'),
      [null, 2],
      'DTYPE_MISMATCH',
      /cast\(target, 'float32'\)/,
    ],
    ['int64 labels', fromNested([1], 'int64'), [null, 2], 'DTYPE_MISMATCH', /cast\(target, 'int32'\)/],
    ['bool one-hot', fromNested([[true, false]]), [null, 2], 'DTYPE_MISMATCH', /cast\(target, 'float32'\)/],
    [
      'negative probabilities',
      fromNested([
        [0.5, 0.5],
        [1.5, -0.5],
      ]),
      [null, 2],
      'DATA_INVALID',
      /record 1 of the batch, position \[1\].*got -0\.5/,
    ],
    [
      'NaN probabilities',
      fromNested([
        [0.5, 0.5],
        [Number.NaN, 1],
      ]),
      [null, 2],
      'NOT_FINITE',
      /record 1 of the batch, position \[0\]/,
    ],
  ])('refuses %s', (_, target, shape, code, message) => {
    const got = refusal(softmax, target, shape);
    expect(got.startsWith(`${code} softmaxCrossEntropy`), got).toBe(true);
    expect(got).toMatch(message);
  });

  test('refuses probabilities where a label is to be ignored, and predictions that are integers', () => {
    expect(refusal(softmaxCrossEntropy({ ignoreLabel: -1 }), fromNested([[1, 0]]), [null, 2])).toMatch(
      /^DTYPE_MISMATCH .*expected integer labels, since ignoreLabel is set/,
    );
    expect(refusal(softmax, fromNested([0], 'int32'), [null, 2], 'int32' as 'float32')).toMatch(
      /^DTYPE_MISMATCH/,
    );
  });

  test('bears axes that are free', () => {
    expect(refusal(softmax, zeros([2, 7], 'int32'), [null, null, 3])).toBe('nothing');
    expect(refusal(softmax, zeros([2], 'int32'), [null, null])).toBe('nothing');
    expect(refusal(softmax, full([2], -1, 'int32'), [null, null])).toMatch(/expected a label from 0, got -1/);
  });
});

describe('sigmoidCrossEntropy', () => {
  test.each<[string, NdArray, ErrorCode, RegExp]>([
    ['another shape', fromNested([1, 0]), 'SHAPE_MISMATCH', /One target is needed for each output/],
    [
      'another rank by a 1',
      fromNested([[[1], [0]]]),
      'SHAPE_MISMATCH',
      /Reshape the targets to \[batch, 2\]/,
    ],
    [
      'an integer that is not 0 or 1',
      fromNested(
        [
          [1, 0],
          [0, 2],
        ],
        'int32',
      ),
      'LABEL_OUT_OF_RANGE',
      /record 1 of the batch, position \[1\]: expected a label from 0 to 1, got 2\. .*softmaxCrossEntropy/,
    ],
    [
      'a float beyond 1',
      fromNested([[1, 1.5]]),
      'DATA_INVALID',
      /probabilities from 0 to 1, got 1\.5\. Targets are probabilities, not logits/,
    ],
    ['infinity', fromNested([[1, Number.POSITIVE_INFINITY]]), 'NOT_FINITE', /Infinity/],
    ['uint32', fromNested([[1, 0]], 'uint32'), 'DTYPE_MISMATCH', /cast\(target, 'int32'\)/],
  ])('refuses %s', (_, target, code, message) => {
    const got = refusal(sigmoid, target, [null, 2]);
    expect(got.startsWith(`${code} sigmoidCrossEntropy`), got).toBe(true);
    expect(got).toMatch(message);
  });

  test('accepts probabilities, bool and small integers', () => {
    for (const target of [
      fromNested([[0.25, 1]]),
      fromNested([[true, false]]),
      fromNested([[1, 0]], 'uint8'),
    ]) {
      expect(refusal(sigmoid, target, [null, 2])).toBe('nothing');
    }
  });
});

describe('every loss', () => {
  test.each([softmax, sigmoid, meanSquaredError()].map((loss) => [loss.spec.loss, loss] as const))(
    '%s wants one array, not a tree',
    (_, loss) => {
      const tree = { mask: zeros([2]), class: zeros([2], 'int32') } as unknown as NdArray;
      expect(refusal(loss, tree, [null, 2])).toMatch(
        /^STRUCTURE_MISMATCH .*expected one array as target, got \{ mask, class \}/,
      );
    },
  );

  test.each([
    ['labelSmoothing', () => softmaxCrossEntropy({ labelSmoothing: 1.5 })],
    ['labelSmoothing', () => sigmoidCrossEntropy({ labelSmoothing: Number.NaN })],
    ['ignoreLabel', () => softmaxCrossEntropy({ ignoreLabel: 0.5 })],
    ['ignoreLabel', () => softmaxCrossEntropy({ ignoreLabel: 2 ** 31 })],
  ])('refuses an impossible %s', (option, make) => {
    expect(make).toThrow(option);
  });
});
