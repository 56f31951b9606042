import { expectClose, numericalGradient } from '@tenon-ml/testkit';
import { mul, sum, type Tensor } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  attentionDefinition,
  attentionWeights,
  type Backend,
  batchNormalize,
  compile,
  createKey,
  geluElements,
  geluElementsDefinition,
  layerNormalize,
  layerNormDefinition,
  lstmCell,
  lstmCellDefinition,
  type NdArray,
  ndarray,
  read,
  reference,
  reluElements,
  reluElementsDefinition,
  scaledDotProductAttention,
  sigmoidElements,
  sigmoidElementsDefinition,
  sizeOf,
  softmaxCrossEntropyDefinition,
  softmaxCrossEntropyRows,
  tanhElements,
  tanhElementsDefinition,
  tensorCount,
  valueAndGrad,
} from '../src/index.js';
import * as float64 from './float64.js';
import { cpu } from './support.js';

let backend: Backend;
beforeAll(async () => {
  backend = await cpu();
});

interface Row {
  readonly name: string;
  readonly shapes: readonly (readonly number[])[];
  /** The op. */
  readonly op: (...inputs: Tensor[]) => Tensor;
  /** The same in plain tfjs ops, for tfjs's tape. */
  readonly plain: (...inputs: Tensor[]) => Tensor;
  /** The same in float64, from flat values to flat values. */
  readonly exact: (...inputs: Float64Array[]) => number[];
}

const rows: readonly Row[] = [
  {
    name: 'relu',
    shapes: [[3, 5]],
    op: reluElements,
    plain: (x) => reference(reluElementsDefinition, { x }, {}),
    exact: (x) => [...x].map((value) => Math.max(value, 0)),
  },
  {
    name: 'sigmoid',
    shapes: [[3, 5]],
    op: sigmoidElements,
    plain: (x) => reference(sigmoidElementsDefinition, { x }, {}),
    exact: (x) => [...x].map(float64.sigmoid),
  },
  {
    name: 'tanh',
    shapes: [[2, 2, 3]],
    op: tanhElements,
    plain: (x) => reference(tanhElementsDefinition, { x }, {}),
    exact: (x) => [...x].map(Math.tanh),
  },
  {
    name: 'gelu',
    shapes: [[3, 5]],
    op: (x) => geluElements(x),
    plain: (x) => reference(geluElementsDefinition, { x }, { approximate: false }),
    exact: (x) => [...x].map(float64.gelu),
  },
  {
    name: 'gelu, approximate',
    shapes: [[3, 5]],
    op: (x) => geluElements(x, true),
    plain: (x) => reference(geluElementsDefinition, { x }, { approximate: true }),
    exact: (x) => [...x].map(float64.geluApproximate),
  },
  {
    name: 'softmax cross-entropy',
    shapes: [
      [3, 4],
      [3, 4],
    ],
    op: (logits, target) => softmaxCrossEntropyRows(logits as never, target as never),
    plain: (logits, target) => reference(softmaxCrossEntropyDefinition, { logits, target }, {}),
    exact: (logits, target) => float64.softmaxCrossEntropy(logits, target, 4),
  },
  {
    name: 'layer normalization',
    shapes: [[2, 3, 5], [5], [5]],
    op: (x, scale, bias) => layerNormalize(x, scale, bias, 0.01),
    plain: (x, scale, bias) => reference(layerNormDefinition, { x, scale, bias }, { epsilon: 0.01 }),
    exact: (x, scale, bias) => float64.layerNorm(x, scale, bias, 0.01),
  },
  {
    name: 'batch normalization',
    shapes: [[7, 3], [3], [3]],
    op: (x, scale, bias) => batchNormalize(x, scale, bias, 0.01).output,
    plain: (x, scale, bias) => float64.plainBatchNorm(x, scale, bias, 0.01),
    exact: (x, scale, bias) => float64.batchNorm(x, scale, bias, 0.01),
  },
  ...[false, true].map((causal) => ({
    name: causal ? 'causal attention' : 'attention',
    shapes: [
      [2, 2, 4, 3],
      [2, 2, 4, 3],
      [2, 2, 4, 3],
    ],
    op: (query: Tensor, key: Tensor, value: Tensor) =>
      scaledDotProductAttention(query, key, value, { causal }),
    plain: (query: Tensor, key: Tensor, value: Tensor) =>
      reference(attentionDefinition, { query, key, value }, { causal, scale: 1 / Math.sqrt(3) }),
    exact: (query: Float64Array, key: Float64Array, value: Float64Array) =>
      float64.attention(query, key, value, { time: 4, size: 3, causal, scale: 1 / Math.sqrt(3) }),
  })),
  {
    name: 'attention of one position, with a scale',
    shapes: [
      [1, 2, 1, 3],
      [1, 2, 1, 3],
      [1, 2, 1, 3],
    ],
    op: (query, key, value) => scaledDotProductAttention(query, key, value, { scale: 2 }),
    plain: (query, key, value) =>
      reference(attentionDefinition, { query, key, value }, { causal: false, scale: 2 }),
    exact: (query, key, value) =>
      float64.attention(query, key, value, { time: 1, size: 3, causal: false, scale: 2 }),
  },
  {
    name: 'an LSTM cell',
    shapes: [
      [3, 8],
      [3, 2],
    ],
    op: lstmCell,
    plain: (gates, cell) => reference(lstmCellDefinition, { gates, cell }, {}),
    exact: (gates, cell) => float64.lstmCell(gates, cell, 2),
  },
];

/** Inputs whose elements are away from the kink of relu. */
function inputsOf({ shapes }: Row): NdArray[] {
  const key = createKey(11);
  return shapes.map((shape, i) => {
    const data = Float32Array.from(key.foldIn(i).normal(shape).data, (x) =>
      Math.abs(x) < 0.05 ? x + 0.1 : x,
    );
    return ndarray('float32', shape, data);
  });
}

const wide = (array: NdArray): Float64Array => Float64Array.from(array.data as Float32Array);

/** Value and gradients of Σ weights · f(inputs), and the output. */
async function evaluate(f: Row['op'], inputs: readonly NdArray[], weights: NdArray) {
  const step = compile(
    (given: Tensor[], w: Tensor) => {
      const { grads, aux } = valueAndGrad(
        (xs: Tensor[]) => {
          const output = f(...xs);
          return [sum(mul(output, w)), { output }] as const;
        },
        { aux: true },
      )(given);
      return { output: aux.output, grads };
    },
    { backend },
  );
  const before = tensorCount();
  const result = await read(step([...inputs], weights));
  expect(tensorCount()).toBe(before);
  return result;
}

/** Σ weights · exact(inputs), as a function of one of the inputs. */
function scalarOf(row: Row, inputs: readonly NdArray[], weights: Float64Array, index: number) {
  const values = inputs.map(wide);
  return (point: Float64Array): number =>
    row
      .exact(...values.map((value, i) => (i === index ? point : value)))
      .reduce((acc, y, i) => acc + weights[i] * y, 0);
}

describe.each(rows.map((row) => [row.name, row] as const))('%s', (_, row) => {
  const inputs = inputsOf(row);
  const exact = row.exact(...inputs.map(wide));
  const outputs = exact.length;
  const weights = createKey(12).normal([outputs]);

  it('agrees with float64', async () => {
    const shaped = await shapedWeights(row, inputs, weights);
    const { output } = await evaluate(row.op, inputs, shaped);
    expectClose(wide(output), exact, { op: 'normalization', dtype: 'float32', name: row.name });
  });

  it("has the gradient that differences in float64 and tfjs's tape say", async () => {
    const shaped = await shapedWeights(row, inputs, weights);
    const own = await evaluate(row.op, inputs, shaped);
    const plain = await evaluate(row.plain, inputs, shaped);
    for (const [i, input] of inputs.entries()) {
      const f = scalarOf(row, inputs, wide(weights), i);
      const differences = ndarray('float64', input.shape, numericalGradient(f, wide(input)));
      expectClose(own.grads[i], differences, { op: 'normalization', name: `input ${i}, differences` });
      expectClose(own.grads[i], plain.grads[i], {
        op: 'network',
        reduction: sizeOf(input.shape),
        name: `input ${i}, tape`,
      });
    }
  });

  it('has the second derivative that differences in float64 say', async () => {
    const shaped = await shapedWeights(row, inputs, weights);
    const direction = createKey(13).normal(inputs[0].shape);
    const along = compile(
      (given: Tensor[], w: Tensor, v: Tensor) =>
        valueAndGrad((xs: Tensor[]) => {
          const { grads } = valueAndGrad((ys: Tensor[]) => sum(mul(row.op(...ys), w)))(xs);
          return sum(mul(grads[0], v));
        })(given).grads,
      { backend },
    );
    const before = tensorCount();
    const got = await read(along([...inputs], shaped, direction));
    expect(tensorCount()).toBe(before);
    const gradient = numericalGradient(
      (point) => {
        const f = scalarOf(row, inputs, wide(weights), 0);
        const h = 1e-4;
        const moved = (by: number) => f(point.map((x, i) => x + by * Number(direction.data[i])));
        return (moved(h) - moved(-h)) / (2 * h);
      },
      wide(inputs[0]),
      { step: 1e-4 },
    );
    expectClose(wide(got[0]), gradient, { op: 'centralDifference', dtype: 'float32', name: row.name });
  });
});

/** The weights in the shape of the op's output. */
async function shapedWeights(row: Row, inputs: readonly NdArray[], weights: NdArray): Promise<NdArray> {
  const output = await read(compile((xs: Tensor[]) => row.op(...xs), { backend })([...inputs]));
  return { ...weights, shape: output.shape } as NdArray;
}

describe('at the edges', () => {
  it('a causal position sees nothing that comes later', async () => {
    const f = compile(
      (q: Tensor, k: Tensor, v: Tensor) => scaledDotProductAttention(q, k, v, { causal: true }),
      {
        backend,
      },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 2, max: 6 }),
        fc.integer({ min: 0, max: 1000 }),
        async (time, seed) => {
          const key = createKey(seed);
          const [q, k, v] = [1, 2, 3].map((i) => key.foldIn(i).normal([1, 1, time, 2]));
          const first = await read(f(q, k, v));
          const later = { ...v, data: Float32Array.from(v.data).fill(1e6, 2 * (time - 1)) } as NdArray;
          const second = await read(f(q, k, later));
          expect([...second.data].slice(0, -2)).toEqual([...first.data].slice(0, -2));
          expect([...second.data].slice(-2)).not.toEqual([...first.data].slice(-2));
        },
      ),
      { numRuns: 20 },
    );
  });

  it.each([
    [false, undefined],
    [true, undefined],
    [true, 3],
  ])('attentionWeights are what the values are weighed by (causal %s, scale %s)', async (causal, scale) => {
    const [q, k] = [1, 2].map((i) => createKey(i).normal([2, 3, 4, 4]));
    const f = compile((a: Tensor, b: Tensor) => attentionWeights(a, b, { causal, scale }), { backend });
    const weights = await read(f(q, k));
    // Of the rows of the identity as values, the weights themselves come out.
    const identity = Float64Array.from({ length: 2 * 3 * 16 }, (_, i) => Number((i >> 2) % 4 === i % 4));
    const [query, key] = [q, k].map(({ data }) => Float64Array.from(data, Number));
    const options = { time: 4, size: 4, causal, scale: scale ?? 0.5 };
    expect(weights.shape).toEqual([2, 3, 4, 4]);
    expectClose(weights, float64.attention(query, key, identity, options), {
      op: 'transcendental',
      reduction: 4,
    });
  });

  it('gelu is 0 far below, and x far above', async () => {
    for (const approximate of [false, true]) {
      const f = compile(
        (x: Tensor) => valueAndGrad((p: Tensor) => sum(geluElements(p, approximate)))(x).grads,
        {
          backend,
        },
      );
      const slopes = await read(f(ndarray('float32', [3], Float32Array.of(-30, 0, 30))));
      expectClose(slopes, [0, 0.5, 1], { op: 'transcendental' });
    }
  });

  it('the statistics that batchNormalize gives are constants to the gradient', async () => {
    const f = compile(
      (x: Tensor, scale: Tensor) =>
        valueAndGrad((p: Tensor) => {
          const { mean, variance } = batchNormalize(p, scale, scale, 1e-5);
          return sum(mul(mean, variance));
        })(x).grads,
      { backend },
    );
    const grads = await read(f(createKey(1).normal([4, 2]), createKey(2).normal([2])));
    expect([...grads.data]).toEqual(new Array(8).fill(0));
  });
});
