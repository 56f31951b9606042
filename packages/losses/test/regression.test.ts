import '@tensorflow/tfjs-backend-cpu';
import {
  compile,
  fromNested,
  isTenonError,
  read,
  tfjsBackend,
  valueAndGrad,
  weightedMean,
} from '@tenon-ml/core';
import { expectClose } from '@tenon-ml/testkit';
import type { Tensor } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { meanSquaredError } from '../src/index.js';

const backend = tfjsBackend('cpu');
beforeAll(() => backend.init());

const loss = meanSquaredError();
const step = () =>
  compile(
    (p: Tensor, t: Tensor, w: Tensor) => {
      const { value, grads } = valueAndGrad((x: Tensor) => weightedMean(loss(x, t), w))(p);
      return { mean: value, grads, ...loss(p, t) };
    },
    { backend },
  );

describe('meanSquaredError', () => {
  const numbers = fc.float({ min: -100, max: 100, noNaN: true });
  // No denormal weights: 1/Σw has to be a float32.
  const weight = fc.integer({ min: 0, max: 64 }).map((n) => n / 16);
  const rows = fc.array(fc.tuple(numbers, numbers, weight), {
    minLength: 1,
    maxLength: 6,
  });

  test('is (p − t)² with the gradient 2·w·(p − t)/Σw', async () => {
    await fc.assert(
      fc.asyncProperty(rows, async (rows) => {
        const column = (i: 0 | 1 | 2) => fromNested(rows.map((row) => row[i]));
        const { values, weights, grads, mean } = await read(step()(column(0), column(1), column(2)));
        const total = rows.reduce((sum, [, , w]) => sum + w, 0);
        expect([...weights.data]).toEqual(rows.map(() => 1));
        expectClose(
          values,
          rows.map(([p, t]) => (p - t) ** 2),
          { op: 'loss' },
        );
        const gradient = rows.map(([p, t, w]) => (total === 0 ? 0 : (2 * w * (p - t)) / total));
        expectClose(grads, gradient, { op: 'loss', reduction: rows.length });
        const expected = rows.reduce((sum, [p, t, w]) => sum + (p - t) ** 2 * w, 0);
        expectClose(mean, [total === 0 ? 0 : expected / total], { op: 'loss', reduction: rows.length });
      }),
      { numRuns: 50 },
    );
  });

  test('broadcasts nothing: [batch] against [batch, 1] is an error, not a matrix of differences', () => {
    const given = () => step()(fromNested([[1], [2]]), fromNested([1, 2]), fromNested([1, 1]));
    expect(given).toThrow(
      /expected targets of the prediction's shape \[2, 1\], got \[2\]\. Reshape the targets to \[2, 1\]/,
    );
  });

  test.each([
    ['a shape', fromNested([[1, 2, 3]]), 'SHAPE_MISMATCH'],
    ['a dtype', fromNested([[1, 2]], 'int32'), 'DTYPE_MISMATCH'],
    ['a dtype that would narrow', fromNested([[1, 2]], 'float64'), 'DTYPE_MISMATCH'],
    ['NaN', fromNested([[1, Number.NaN]]), 'NOT_FINITE'],
  ])('check refuses %s', (_, target, code) => {
    try {
      loss.check?.(target, { dtype: 'float32', shape: [null, 2] });
      expect.unreachable();
    } catch (error) {
      expect(isTenonError(error) && error.code).toBe(code);
    }
  });

  test('has a spec', () => expect(loss.spec).toEqual({ loss: 'meanSquaredError' }));
});
