import {
  compile,
  layerNormalize,
  type NdArray,
  read,
  scaledDotProductAttention,
  softmaxCrossEntropyRows,
} from '@tenon-ml/core';
import {
  add,
  concat,
  max,
  mean,
  mul,
  pad,
  reshape,
  sigmoid,
  slice,
  softmax,
  square,
  stack,
  sum,
  type Tensor,
  tanh,
  tile,
  transpose,
  unsortedSegmentSum,
  unstack,
} from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { backendPair, expectAgreement, randomArray } from './reference.js';

const { ours, reference } = backendPair();

const firsts = (y: Tensor, count: number): Tensor => slice(reshape(y, [-1]), [0], [count]);
const heads = (x: Tensor): Tensor => reshape(x, [1, 2, 6, 10]);

/** Kernels that elementwise work may be joined to, of x and y [10, 12]. */
const kernels: { readonly [name: string]: (x: Tensor, y: Tensor) => Tensor } = {
  'sum of rows': (x) => sum(x, 1),
  'sum of columns': (x) => sum(x, 0),
  'sum of all': (x) => sum(tile(x, [20, 30])),
  mean: (x) => mean(x, 1),
  max: (x) => max(x, 1),
  softmax: (x) => softmax(x),
  'softmax of long rows': (x) => softmax(reshape(tile(x, [20, 1]), [1, -1])),
  'cross-entropy': (x, y) => softmaxCrossEntropyRows(x as never, y as never),
  'layer norm': (x, y) => layerNormalize(x, firsts(y, 12), firsts(y, 12), 1e-5),
  transposition: (x) => transpose(x),
  permutation: (x) => transpose(reshape(x, [2, 5, 12]), [1, 0, 2]),
  slice: (x) => slice(x, [2, 3], [5, 6]),
  concat: (x, y) => concat([x, y], 1),
  stack: (x, y) => stack([x, y], 1),
  unstack: (x) => add(unstack(x, 0)[1], unstack(x, 0)[3]),
  pad: (x) =>
    pad(
      x,
      [
        [1, 2],
        [0, 3],
      ],
      7,
    ),
  'segment sum': (x) => unsortedSegmentSum(x as never, [0, 1, 1, 0, 2, 2, 0, 1, 1, 0] as never, 4),
  attention: (x, y) => scaledDotProductAttention(heads(x), heads(y), heads(y)),
};

test.each(Object.keys(kernels))('%s, with work before and after it', async (name) => {
  const f = kernels[name];
  const before = (x: Tensor, y: Tensor): Tensor => f(mul(tanh(x), 0.5), square(y));
  const after = (x: Tensor, y: Tensor): Tensor => add(mul(sigmoid(f(x, y)), y.shape[0]), 1);
  const both = (x: Tensor, y: Tensor): Tensor => square(f(add(x, y), mul(y, y)));
  for (const whole of [before, after, both]) {
    const [actual, expected] = [compile(whole, { backend: ours }), compile(whole, { backend: reference })];
    for (let i = 0; i < 3; i++) {
      const [x, y] = [randomArray(i, [10, 12]), randomArray(i + 10, [10, 12])];
      const [one, other] = [await read(actual(x, y)), await read(expected(x, y))] as NdArray[];
      expectAgreement(one, other, { op: 'network', reduction: 100 });
    }
    expect(actual.explain().mode).toBe('replayed');
  }
});
