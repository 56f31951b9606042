import { expectClose, expectGradient } from '@tenon-ml/testkit';
import { mul, sum, type Tensor, type Tensor1D, type Tensor2D } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  type Backend,
  compile,
  createKey,
  fromNested,
  labelsToProbabilities,
  type NdArray,
  ndarray,
  read,
  sigmoidCrossEntropyElements,
  softmaxCrossEntropyRows,
  tensorCount,
  toNested,
  valueAndGrad,
} from '../src/index.js';
import { cpu } from './support.js';

let backend: Backend;
beforeAll(async () => {
  backend = await cpu();
});

type Op = (logits: Tensor, target: Tensor) => Tensor;
const softmaxOp: Op = (logits, target) => softmaxCrossEntropyRows(logits as Tensor2D, target as Tensor2D);

const numbers = (array: NdArray): number[] => Array.from(array.data, Number);

/** The op's values, and the gradients of Σ values · weights. */
async function evaluate(op: Op, logits: NdArray, target: NdArray, weights: NdArray) {
  const f = compile(
    (p: { logits: Tensor; target: Tensor }, w: Tensor) => {
      const { grads, aux } = valueAndGrad(
        (q: { logits: Tensor; target: Tensor }) => {
          const values = op(q.logits, q.target);
          return [sum(mul(values, w)), { values }] as const;
        },
        { aux: true },
      )(p);
      return { values: aux.values, ...grads };
    },
    { backend },
  );
  const before = tensorCount();
  const result = await read(f({ logits, target }, weights));
  expect(tensorCount()).toBe(before);
  return result;
}

/** −Σ t·log softmax(x) of one row, in float64. */
function softmaxRow(x: readonly number[], t: readonly number[]): number {
  const top = Math.max(...x);
  const total = Math.log(x.reduce((acc, value) => acc + Math.exp(value - top), 0));
  return -x.reduce((acc, value, i) => acc + t[i] * (value - top - total), 0);
}

function softmaxRowGradient(x: readonly number[], t: readonly number[]): number[] {
  const top = Math.max(...x);
  const total = x.reduce((acc, value) => acc + Math.exp(value - top), 0);
  const mass = t.reduce((acc, value) => acc + value, 0);
  return x.map((value, i) => (Math.exp(value - top) / total) * mass - t[i]);
}

describe('softmax cross-entropy', () => {
  const rowsOf = (scale: number) =>
    fc.integer({ min: 1, max: 5 }).chain((classes) =>
      fc.array(
        fc.tuple(
          fc.array(fc.float({ min: -Math.fround(scale), max: Math.fround(scale), noNaN: true }), {
            minLength: classes,
            maxLength: classes,
          }),
          fc.array(fc.float({ min: 0, max: 1, noNaN: true }), { minLength: classes, maxLength: classes }),
        ),
        { minLength: 1, maxLength: 4 },
      ),
    );

  it.each([1, 30, 1000])('agrees with float64 for logits up to ±%d, gradients too', async (scale) => {
    await fc.assert(
      fc.asyncProperty(rowsOf(scale), async (examples) => {
        const logits = fromNested(examples.map(([x]) => x));
        const target = fromNested(examples.map(([, t]) => t));
        const weights = createKey(3).uniform([examples.length], 0.5, 2);
        const got = await evaluate(softmaxOp, logits, target, weights);
        const w = [...weights.data];
        const classes = logits.shape[1];
        // Sums over classes, of terms of the size of the logits.
        const options = { op: 'loss', reduction: classes ** 2 } as const;
        const span = ndarray('float64', [1], Float64Array.of(2 * scale));
        const values = examples.map(([x, t]) => softmaxRow(x, t));
        expectClose([...numbers(got.values), 2 * scale], [...values, span.data[0]], {
          ...options,
          dtype: 'float32',
          name: 'values',
        });
        const grads = examples.flatMap(([x, t], i) => softmaxRowGradient(x, t).map((g) => g * w[i]));
        expectClose(numbers(got.logits), grads, {
          ...options,
          dtype: 'float32',
          name: 'logits',
        });
        const targets = examples.flatMap(([x, t], i) =>
          t.map(
            (_, j) =>
              w[i] *
              softmaxRow(
                x,
                t.map((__, k) => (k === j ? 1 : 0)),
              ),
          ),
        );
        expectClose([...numbers(got.target), 2 * scale], [...targets, 2 * scale], {
          ...options,
          dtype: 'float32',
          name: 'target',
        });
      }),
      { numRuns: 60 },
    );
  });

  it('is exact where a probability underflows', async () => {
    const logits = fromNested([
      [1000, -1000, 0],
      [-1000, 1000, 0],
      [0, 0, 0],
    ]);
    const target = fromNested([
      [1, 0, 0],
      [1, 0, 0],
      [0, 1, 0],
    ]);
    const ones = fromNested([1, 1, 1]);
    const got = await evaluate(softmaxOp, logits, target, ones);
    // A loss of -0 is one of 0.
    expect(numbers(got.values).map((x) => x + 0)).toEqual([0, 2000, Math.fround(Math.log(3))]);
    // Confidently wrong has its full gradient, confidently right has none.
    const third = Math.fround(1 / 3);
    expectClose(
      got.logits,
      fromNested([
        [0, 0, 0],
        [-1, 1, 0],
        [third, third - 1, third],
      ]),
      { op: 'loss' },
    );
  });

  it("is what differences say, in float64's formula", async () => {
    const x = [0.3, -1.2, 2, 0.1];
    const t = [0.1, 0.2, 0.3, 0.4];
    const got = await evaluate(softmaxOp, fromNested([x]), fromNested([t]), fromNested([1]));
    const grads = Float64Array.from(got.logits.data as Float32Array);
    expectGradient((point) => softmaxRow([...point], t), x, grads, { precision: 'float32' });
  });

  it('has second-order gradients', async () => {
    const x = fromNested([[0.3, -1.2, 2]]);
    const t = fromNested([[0.2, 0.3, 0.5]]);
    const direction = fromNested([[1, -2, 0.5]]);
    const f = compile(
      (logits: Tensor, target: Tensor, v: Tensor) =>
        valueAndGrad((p: Tensor) => {
          const { grads } = valueAndGrad((q: Tensor) => sum(softmaxOp(q, target)))(p);
          return sum(mul(grads, v));
        })(logits).grads,
      { backend },
    );
    const got = await read(f(x, t, direction));
    const v = [1, -2, 0.5];
    const along = (point: Float64Array): number =>
      softmaxRowGradient([...point], [0.2, 0.3, 0.5]).reduce((acc, g, i) => acc + g * v[i], 0);
    expectGradient(along, [0.3, -1.2, 2], numbers(got), { precision: 'float32' });
  });
});

describe('sigmoid cross-entropy', () => {
  const element = (x: number, t: number): number =>
    Math.max(x, 0) - x * t + Math.log1p(Math.exp(-Math.abs(x)));
  const gradient = (x: number, t: number): number =>
    (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x))) - t;

  it.each([1, 30, 1000])('agrees with float64 for logits up to ±%d, gradients too', async (scale) => {
    const x = createKey(scale).uniform([3, 4], -scale, scale);
    const t = createKey(scale).foldIn('t').uniform([3, 4]);
    const w = createKey(scale).foldIn('w').uniform([3, 4], 0.5, 2);
    const got = await evaluate(sigmoidCrossEntropyElements, x, t, w);
    const each = (f: (i: number) => number): number[] => Array.from({ length: 12 }, (_, i) => f(i));
    const options = { op: 'loss', dtype: 'float32' } as const;
    expectClose(
      got.values.data as Float32Array,
      each((i) => element(x.data[i], t.data[i])),
      options,
    );
    expectClose(
      got.logits.data as Float32Array,
      each((i) => w.data[i] * gradient(x.data[i], t.data[i])),
      options,
    );
    expectClose(
      got.target.data as Float32Array,
      each((i) => -w.data[i] * x.data[i]),
      options,
    );
  });

  it('is exact where a probability underflows', async () => {
    const ones = fromNested([1, 1, 1, 1]);
    const got = await evaluate(
      sigmoidCrossEntropyElements,
      fromNested([1000, -1000, 1000, 0]),
      fromNested([1, 1, 0, 0]),
      ones,
    );
    expect(toNested(got.values)).toEqual([0, 1000, 1000, Math.fround(Math.log(2))]);
    expect(toNested(got.logits)).toEqual([0, -1, 1, 0.5]);
  });
});

describe('labelsToProbabilities', () => {
  it('puts one where the label is, and nothing where it is out of range', async () => {
    const f = compile((labels: Tensor) => labelsToProbabilities(labels as Tensor1D, 3), { backend });
    const result = await read(f(fromNested([2, 0, 3, -1], 'int32')));
    expect(result.dtype).toBe('float32');
    expect(toNested(result)).toEqual([
      [0, 0, 1],
      [1, 0, 0],
      [0, 0, 0],
      [0, 0, 0],
    ]);
    expect(toNested(await read(f(fromNested([1, 2], 'uint8'))))).toEqual([
      [0, 1, 0],
      [0, 0, 1],
    ]);
  });
});
