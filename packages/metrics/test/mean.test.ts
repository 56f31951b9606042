import '@tensorflow/tfjs-backend-cpu';
import {
  compile,
  fromNested,
  isTenonError,
  type LossValues,
  type NdArray,
  read,
  tfjsBackend,
  weightedMean,
} from '@tenon-ml/core';
import { expectClose } from '@tenon-ml/testkit';
import { abs, mean as average, cast, notEqual, square, sub, type Tensor } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { mean } from '../src/index.js';

const backend = tfjsBackend('cpu');
beforeAll(() => backend.init());

async function measure(
  metric: ReturnType<typeof mean>,
  prediction: NdArray,
  target: NdArray,
  weights: NdArray,
): Promise<number | null> {
  const step = compile((p: Tensor, t: Tensor, w: Tensor) => metric.observe(p, t, w), { backend });
  const observed = await read(step(prediction, target, weights));
  return metric.compute(metric.update(metric.empty(), observed as Parameters<typeof metric.update>[1]));
}

const refused = async (given: Promise<unknown>): Promise<string> => {
  try {
    return `nothing: ${await given}`;
  } catch (error) {
    if (isTenonError(error)) return `${error.code} ${error.message}`;
    throw error;
  }
};

describe('mean', () => {
  test('without a function is the weighted mean of the predictions', async () => {
    const values = fromNested([1, 2, 4]);
    expect(await measure(mean('output'), values, values, fromNested([1, 1, 2]))).toBe(11 / 4);
    expect(await measure(mean('output'), values, values, fromNested([0, 0, 0]))).toBeNull();
  });

  test('does not lose digits to a large offset, as float32 sums do', async () => {
    const values = fromNested([2 ** 24, 1, 1, 1, 1, -(2 ** 24)]);
    expect(await measure(mean('output'), values, values, fromNested([1, 1, 1, 1, 1, 1]))).toBe(4 / 6);
  });

  test('of a function of predictions and targets', async () => {
    const metric = mean('absoluteError', (p, t) => abs(sub(p, t)), { direction: 'minimize' });
    expect(metric).toMatchObject({ name: 'absoluteError', direction: 'minimize' });
    expect(await measure(metric, fromNested([1, 5]), fromNested([2, 2]), fromNested([1, 3]))).toBe(10 / 4);
    expect(mean('x').direction).toBeUndefined();
  });

  /** Squared errors, of which those of targets of −1 don't count. */
  const masked = (prediction: Tensor, target: Tensor): LossValues => ({
    values: square(sub(prediction, target)),
    weights: cast(notEqual(target, -1), 'float32'),
  });

  test('of a loss is the mean that a step takes of it, whatever the rank of the weights', async () => {
    const numbers = fc.float({ min: -4, max: 4, noNaN: true });
    const cases = fc
      .tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 }))
      .chain(([batch, time]) => {
        const matrix = (of: fc.Arbitrary<number>) =>
          fc.array(fc.array(of, { minLength: time, maxLength: time }), {
            minLength: batch,
            maxLength: batch,
          });
        // No denormal weights: in float32 their products with the values have no digits.
        const weight = fc.integer({ min: 0, max: 64 }).map((n) => n / 16);
        return fc.record({
          prediction: matrix(numbers),
          target: matrix(fc.oneof(fc.constant(-1), numbers)),
          weights: fc.oneof(fc.array(weight, { minLength: batch, maxLength: batch }), matrix(weight)),
        });
      });
    const step = compile((p: Tensor, t: Tensor, w: Tensor) => weightedMean(masked(p, t), w), { backend });
    await fc.assert(
      fc.asyncProperty(cases, async (given) => {
        const [prediction, target, weights] = [given.prediction, given.target, given.weights].map((values) =>
          fromNested(values),
        );
        const expected = Number((await read(step(prediction, target, weights))).data[0]);
        const result = await measure(mean('loss', masked), prediction, target, weights);
        const weightAt = (i: number, j: number): number => {
          const weight = given.weights[i];
          return Array.isArray(weight) ? weight[j] : weight;
        };
        const counts = given.target.some((row, i) =>
          row.some((value, j) => value !== -1 && weightAt(i, j) > 0),
        );
        expect(result === null).toBe(!counts);
        expectClose(result ?? 0, expected, { op: 'loss', dtype: 'float32', reduction: 16 });
      }),
      { numRuns: 60 },
    );
  });

  test('of elements is over all of them, not of means of examples', async () => {
    const target = fromNested([
      [0, -1, -1],
      [0, 0, 0],
    ]);
    const prediction = fromNested([
      [4, 9, 9],
      [0, 0, 0],
    ]);
    expect(await measure(mean('loss', masked), prediction, target, fromNested([1, 1]))).toBe(16 / 4);
  });

  test('is NaN where a value that counts is NaN or infinite, and bears those that do not', async () => {
    const weights = fromNested([1, 1]);
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const values = fromNested([1, value]);
      expect(await measure(mean('output'), values, values, weights)).toBeNaN();
      expect(await measure(mean('output'), values, values, fromNested([1, 0]))).toBe(1);
      const target = fromNested([0, -1]);
      expect(await measure(mean('loss', masked), values, target, weights)).toBe(1);
    }
  });

  test('takes integers and booleans as numbers', async () => {
    const values = fromNested([true, false, true, true]);
    expect(await measure(mean('share'), values, values, fromNested([1, 1, 1, 1]))).toBe(0.75);
  });

  test('refuses a mean as its value, and weights that do not fit', async () => {
    const values = fromNested([1, 2]);
    expect(
      await refused(
        measure(
          mean('loss', (p) => average(p)),
          values,
          values,
          fromNested([1, 1]),
        ),
      ),
    ).toMatch(
      /^SHAPE_MISMATCH loss: expected a value for each example, \[batch, …\], got \[\]\. Return the values before/,
    );
    expect(await refused(measure(mean('loss'), values, values, fromNested([1])))).toMatch(
      /^SHAPE_MISMATCH example weights/,
    );
    expect(await refused(measure(mean('loss'), values, values, fromNested([1, Number.NaN])))).toMatch(
      /^NOT_FINITE loss, record 1 of the batch/,
    );
  });
});
