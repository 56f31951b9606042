import { BatchMatMul, Conv2D, Conv2DBackpropFilter, Conv2DBackpropInput } from '@tensorflow/tfjs-core';
import { test } from 'vitest';
import { attributes, outputShape } from './convolution_cases.js';
import { backendPair, expectAgreement, randomArray, runKernel } from './reference.js';

/** Products large enough for every way in which a kernel may cut them into tiles, and long sums into chunks. */

const { ours, reference } = backendPair();

test.each([
  { rows: 1000, inner: 20, columns: 500 },
  { rows: 1001, inner: 19, columns: 498 },
  { rows: 40, inner: 36, columns: 5000 },
  { rows: 20, inner: 33, columns: 4000 },
  { rows: 513, inner: 100, columns: 20 },
  { rows: 100, inner: 4100, columns: 70 },
  { rows: 3, inner: 3001, columns: 70 },
  { rows: 70, inner: 3000, columns: 1 },
])('$rows × $inner × $columns is the reference, whatever is transposed', async ({ rows, inner, columns }) => {
  for (const transposeA of [false, true]) {
    for (const transposeB of [false, true]) {
      const call = {
        kernel: BatchMatMul,
        inputs: {
          a: randomArray(1, transposeA ? [inner, rows] : [rows, inner]),
          b: randomArray(2, transposeB ? [columns, inner] : [inner, columns]),
        },
        attrs: { transposeA, transposeB },
      };
      const options = { op: 'product', reduction: inner } as const;
      expectAgreement(await runKernel(ours, call), await runKernel(reference, call), options);
    }
  }
});

test('batches of large products are the reference', async () => {
  const call = {
    kernel: BatchMatMul,
    inputs: { a: randomArray(1, [3, 4, 70, 65]), b: randomArray(2, [3, 4, 65, 130]) },
    attrs: { transposeA: false, transposeB: false },
  };
  const options = { op: 'product', reduction: 65 } as const;
  expectAgreement(await runKernel(ours, call), await runKernel(reference, call), options);
});

test.each([
  { x: [3, 34, 33, 8], filter: [3, 3, 8, 12], strides: [1, 1], pad: 'same' },
  { x: [3, 34, 33, 3], filter: [5, 4, 3, 20], strides: [2, 3], pad: 'same' },
  { x: [2, 40, 40, 5], filter: [2, 2, 5, 36], strides: [3, 3], pad: 'valid' },
  { x: [30, 4, 5, 12], filter: [4, 5, 12, 40], strides: [1, 1], pad: 'valid' },
] as const)(
  'the convolution of $x by $filter, stride $strides, and its gradients are the reference',
  async ({ x, filter, strides, pad }) => {
    const convolution = {
      x: [...x] as [number, number, number, number],
      filter: [...filter] as [number, number, number, number],
      strides: [...strides] as [number, number],
      dilations: [1, 1] as [number, number],
      pad,
      seed: 0,
    };
    const dyShape = outputShape(convolution);
    const arrays = { x: randomArray(1, x), filter: randomArray(2, filter), dy: randomArray(3, dyShape) };
    const attrs = attributes(convolution);
    const [height, width, channels, outputs] = filter;
    const calls = [
      {
        kernel: Conv2D,
        inputs: { x: arrays.x, filter: arrays.filter },
        attrs,
        reduction: height * width * channels,
      },
      {
        kernel: Conv2DBackpropFilter,
        inputs: { x: arrays.x, dy: arrays.dy },
        attrs: { ...attrs, filterShape: filter },
        reduction: dyShape[0] * dyShape[1] * dyShape[2],
      },
      {
        kernel: Conv2DBackpropInput,
        inputs: { dy: arrays.dy, filter: arrays.filter },
        attrs: { ...attrs, inputShape: x },
        reduction: height * width * outputs,
      },
    ];
    for (const { reduction, ...call } of calls) {
      expectAgreement(await runKernel(ours, call), await runKernel(reference, call), {
        op: 'product',
        reduction,
      });
    }
  },
);
