import { expectClose } from '@tenon-ml/testkit';
import { mul, onesLike, square, sub, type Tensor } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  type Backend,
  broadcastLeft,
  compile,
  createKey,
  type Feed,
  fromNested,
  type NdArray,
  read,
  tensorCount,
  toNested,
  valueAndGrad,
  weightedMean,
  weightedSums,
  zeros,
} from '../src/index.js';
import { cpu, expectError } from './support.js';

let backend: Backend;
beforeAll(async () => {
  backend = await cpu();
});

interface Evaluated {
  readonly value: number;
  readonly grads: { readonly values: NdArray; readonly weights: NdArray };
}

/** The weighted mean and its gradients with respect to values and weights. */
async function evaluate(values: NdArray, weights: NdArray, examples?: NdArray): Promise<Evaluated> {
  type P = { values: Tensor; weights: Tensor };
  const before = tensorCount();
  const f = examples
    ? compile((p: P, w: Tensor) => valueAndGrad((q: P) => weightedMean(q, w))(p), { backend })
    : compile((p: P) => valueAndGrad((q: P) => weightedMean(q))(p), { backend });
  const args = [{ values, weights }, examples].slice(0, examples ? 2 : 1) as [Feed<P>, Feed<Tensor>];
  const { value, grads } = await read(
    (f as (...a: [Feed<P>, Feed<Tensor>]) => { value: Tensor; grads: P })(...args),
  );
  expect(tensorCount()).toBe(before);
  return { value: Number(value.data[0]), grads };
}

describe('weightedMean', () => {
  it('is Σ v·w·e / Σ w·e, gradients too', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: 5 }), fc.nat({ max: 3 }), fc.nat(), async (batch, time, seed) => {
        const key = createKey(seed);
        const shape = [batch + 1, time + 1];
        const values = key.foldIn('v').normal(shape);
        const weights = key.foldIn('w').uniform(shape, 0.5, 2);
        const examples = key.foldIn('e').uniform([batch + 1], 0.5, 2);
        const got = await evaluate(values, weights, examples);
        const combined = Array.from(weights.data, (w, i) => w * examples.data[Math.floor(i / (time + 1))]);
        const total = combined.reduce((a, b) => a + b, 0);
        const mean = combined.reduce((acc, w, i) => acc + w * values.data[i], 0) / total;
        const reduction = combined.length;
        expectClose([got.value, 1], [mean, 1], { op: 'sum', dtype: 'float32', reduction });
        expectClose(
          got.grads.values.data as Float32Array,
          combined.map((w) => w / total),
          {
            op: 'sum',
            dtype: 'float32',
            reduction,
          },
        );
        const perWeight = combined.map(
          (_, i) => ((values.data[i] - mean) * examples.data[Math.floor(i / (time + 1))]) / total,
        );
        expectClose(got.grads.weights.data as Float32Array, perWeight, {
          op: 'loss',
          dtype: 'float32',
          reduction,
        });
      }),
      { numRuns: 40 },
    );
  });

  it('is 0, with gradients of 0, where the weights sum to 0', async () => {
    const nothing = { value: 0, values: [0, 0], weights: [0, 0] };
    const flat = ({ value, grads }: Evaluated) => ({
      value,
      // -0 is no gradient either.
      values: Array.from(grads.values.data, Number).map((x) => x + 0),
      weights: Array.from(grads.weights.data, Number).map((x) => x + 0),
    });
    expect(flat(await evaluate(fromNested([3, 1e30]), zeros([2])))).toEqual(nothing);
    expect(flat(await evaluate(fromNested([3, 4]), fromNested([1, 1]), zeros([2])))).toEqual(nothing);
    expect(flat(await evaluate(fromNested([3, 4]), fromNested([1, -1])))).toEqual(nothing);
  });

  it('leaves out what has no weight', async () => {
    const got = await evaluate(fromNested([5, 1e30]), fromNested([1, 0]));
    expect(got.value).toBe(5);
    expect(toNested(got.grads.values)).toEqual([1, 0]);
  });

  it('of nothing at all is 0', async () => {
    expect((await evaluate(zeros([0]), zeros([0]))).value).toBe(0);
  });

  it('is differentiated where the weights are made from what is differentiated', async () => {
    const f = compile(
      (p: Tensor, target: Tensor) =>
        valueAndGrad((x: Tensor) => {
          const values = square(sub(x, target));
          return weightedMean({ values, weights: onesLike(values) });
        })(p),
      { backend },
    );
    const { value, grads } = await read(f(fromNested([1, 2]), fromNested([0, 4])));
    expect([toNested(value), toNested(grads)]).toEqual([2.5, [1, -2]]);
  });

  it('has second-order gradients', async () => {
    const f = compile(
      (p: Tensor) =>
        valueAndGrad((x: Tensor) => {
          const loss = (y: Tensor) => weightedMean({ values: mul(square(y), y), weights: onesLike(y) });
          const { grads } = valueAndGrad(loss)(x);
          return weightedMean({ values: grads, weights: onesLike(grads) });
        })(p).grads,
      { backend },
    );
    // Mean of x³ over two: gradient 3x²/2, whose mean has the gradient 6x/4.
    expect(toNested(await read(f(fromNested([1, 2]))))).toEqual([1.5, 3]);
  });

  it('adds up over uneven batches by its sums', async () => {
    const sums = compile((values: Tensor, weights: Tensor) => weightedSums({ values, weights }), { backend });
    const { weighted, total } = await read(sums(fromNested([1, 2, 3]), fromNested([1, 0, 2])));
    expect([toNested(weighted), toNested(total)]).toEqual([7, 3]);
  });

  it('refuses weights of another shape than the values', async () => {
    await expectError(() => evaluate(zeros([2, 3]), zeros([3])), 'SHAPE_MISMATCH', '[2, 3]', 'got [3]');
  });
});

describe('broadcastLeft', () => {
  const shapeOf = (weights: number[], shape: number[]) =>
    compile((w: Tensor) => broadcastLeft(w, shape), { backend })(zeros(weights));

  it('appends axes', async () => {
    for (const [weights, shape, expected] of [
      [[4], [4, 3, 2], [4, 1, 1]],
      [
        [4, 3],
        [4, 3],
        [4, 3],
      ],
      [[], [4, 3], [1, 1]],
      [[4], [4], [4]],
    ]) {
      const result = await read(shapeOf(weights, shape));
      expect(result.shape).toEqual(expected);
    }
  });

  it.each([
    [[3], [4, 3]],
    [[1], [4]],
    [
      [4, 3, 1],
      [4, 3],
    ],
  ])('refuses %j against %j', async (weights, shape) => {
    await expectError(() => shapeOf(weights, shape), 'SHAPE_MISMATCH', 'example weights', 'first sizes');
  });
});
