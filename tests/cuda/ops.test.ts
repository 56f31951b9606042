import type { CudaBackend } from '@tenon-ml/backend-cuda';
import {
  AvgPool,
  AvgPoolGrad,
  BatchMatMul,
  Conv2D,
  Conv2DBackpropFilter,
  Conv2DBackpropInput,
  DepthwiseConv2dNative,
  FusedConv2D,
  MaxPool,
  MaxPoolGrad,
} from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { backendPair, randomArray, runKernelForAll } from '../backends/kernels/reference.js';

const { ours } = backendPair();

const x = randomArray(1, [2, 6, 6, 3]);
const filter = randomArray(2, [3, 3, 3, 4]);
const dy = randomArray(3, [2, 6, 6, 4]);
const convolution = { strides: [1, 1], dilations: [1, 1], pad: 'same', dataFormat: 'NHWC' };
const pooling = { filterSize: [2, 2], strides: [2, 2], pad: 'valid' };
const pooled = randomArray(4, [2, 3, 3, 3]);

test.each([
  { kernel: Conv2D, inputs: { x, filter }, attrs: convolution },
  { kernel: Conv2D, inputs: { x, filter }, attrs: { ...convolution, pad: 1 } },
  { kernel: Conv2D, inputs: { x, filter }, attrs: { ...convolution, dilations: [2, 2] } },
  { kernel: Conv2DBackpropFilter, inputs: { x, dy }, attrs: { ...convolution, filterShape: filter.shape } },
  { kernel: Conv2DBackpropInput, inputs: { dy, filter }, attrs: { ...convolution, inputShape: x.shape } },
  { kernel: DepthwiseConv2dNative, inputs: { x, filter }, attrs: convolution },
  { kernel: MaxPool, inputs: { x }, attrs: pooling },
  { kernel: MaxPool, inputs: { x }, attrs: { ...pooling, pad: 'same' } },
  { kernel: AvgPool, inputs: { x }, attrs: pooling },
  { kernel: AvgPoolGrad, inputs: { dy: pooled, input: x }, attrs: pooling },
  { kernel: BatchMatMul, inputs: { a: x, b: x }, attrs: { transposeA: false, transposeB: true } },
])('the common case is one op: $kernel', async (call) => {
  const { counters } = ours as CudaBackend;
  const before = counters().ops;
  await runKernelForAll(ours, call);
  expect(counters().ops - before).toBe(1);
});

test('the gradient of max pooling is two ops of oneDNN, where that is', async () => {
  const inputs = { dy: pooled, input: x, output: pooled };
  const { counters } = ours as CudaBackend;
  const before = counters().ops;
  await runKernelForAll(ours, { kernel: MaxPoolGrad, inputs, attrs: pooling });
  const byOneDnn = process.arch === 'x64' && process.env.TENON_CUDA_DEVICE !== 'gpu';
  expect(counters().ops - before).toBe(byOneDnn ? 2 : 1);
});

test('a fused convolution is one op for each of its parts', async () => {
  const inputs = { x, filter, bias: randomArray(5, [4]) };
  const { counters } = ours as CudaBackend;
  const before = counters().ops;
  await runKernelForAll(ours, { kernel: FusedConv2D, inputs, attrs: { ...convolution, activation: 'relu' } });
  expect(counters().ops - before).toBe(3);
});
