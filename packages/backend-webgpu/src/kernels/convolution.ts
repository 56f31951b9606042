import {
  backend_util,
  Conv2D,
  type Conv2DAttrs,
  Conv2DBackpropFilter,
  type Conv2DBackpropFilterAttrs,
  Conv2DBackpropInput,
  type Conv2DBackpropInputAttrs,
  FusedConv2D,
  type FusedConv2DAttrs,
  type TensorInfo,
  util,
} from '@tensorflow/tfjs-core';
import type { GpuBackend } from '../gpu_backend.js';
import { epilogueOf, finish } from './epilogue.js';
import { defineKernel, type Kernel } from './kernel.js';
import { matrixFactor } from './matrix.js';
import { multiply } from './product.js';
import { type Conv2DInfo, phasesOf, turnedWindowsFactor, windowsFactor } from './windows.js';

type Shape = [number, number, number, number];

/**
 * Two-dimensional convolution, NHWC, as products with an operand that is never written out: U, the matrix of windows,
 * one row for each output position and one column for each element under the kernel. With K the kernel as a matrix
 * [height·width·in, out]:
 *
 *   y = U · K,   ∂K = Uᵀ · ∂y,   and for ∂x see `phasesOf`
 *
 * x: [batch, height, width, in], kernel: [height, width, in, out], y: [batch, outHeight, outWidth, out]; float32. Other
 * dtypes, NCHW, and a ∂y of another shape than y (tfjs's suite has one) go to tfjs's kernels. Padding is a border of
 * zeros, so where it meets Inf or NaN in the kernel or in ∂y, y and ∂K are NaN, as in PyTorch; tfjs-backend-cpu leaves
 * out what lies on the padding.
 */
const conv2D = defineKernel<Conv2DAttrs>(Conv2D, ({ inputs: { x, filter }, attrs, gpu }) =>
  isOurs(x, filter, attrs.dataFormat) ? convolve(gpu, x, filter, attrs) : undefined,
);

/** A convolution, its bias and its activation, NHWC. */
const fusedConv2D = defineKernel<FusedConv2DAttrs>(FusedConv2D, ({ inputs, attrs, gpu }) => {
  const { x, filter } = inputs;
  const epilogue = epilogueOf(inputs, attrs);
  if (!epilogue || !isOurs(x, filter, attrs.dataFormat)) return undefined;
  return finish(gpu, convolve(gpu, x, filter, attrs), epilogue);
});

function convolve(
  gpu: GpuBackend,
  x: TensorInfo,
  filter: TensorInfo,
  { strides, dilations, pad, dimRoundingMode }: Conv2DAttrs | FusedConv2DAttrs,
): TensorInfo {
  const info = backend_util.computeConv2DInfo(
    x.shape as Shape,
    filter.shape as Shape,
    strides,
    dilations,
    pad,
    dimRoundingMode,
  );
  const { positions, terms } = sizesOf(info);
  return multiply(gpu, {
    left: isMatrix(info) ? matrixFactor('left', x, positions, terms, false) : windowsFactor(x, info),
    right: matrixFactor('right', filter, info.outChannels, terms, true),
    batch: 1,
    rows: positions,
    columns: info.outChannels,
    inner: terms,
    shape: info.outShape,
  });
}

/** ∂K of `conv2D`, without dilation (as tfjs's gradient of it). */
const conv2DBackpropFilter = defineKernel<Conv2DBackpropFilterAttrs>(
  Conv2DBackpropFilter,
  ({ inputs: { x, dy }, attrs, gpu }) => {
    if (!isOurs(x, dy, attrs.dataFormat)) return undefined;
    const { filterShape, strides, pad, dimRoundingMode } = attrs;
    const shape = x.shape as Shape;
    const info = backend_util.computeConv2DInfo(shape, filterShape, strides, 1, pad, dimRoundingMode);
    if (!util.arraysEqual(dy.shape, info.outShape)) return undefined;
    const { positions, terms } = sizesOf(info);
    return multiply(gpu, {
      left: isMatrix(info) ? matrixFactor('left', x, terms, positions, true) : turnedWindowsFactor(x, info),
      right: matrixFactor('right', dy, info.outChannels, positions, true),
      batch: 1,
      rows: terms,
      columns: info.outChannels,
      inner: positions,
      shape: info.filterShape,
    });
  },
);

/** ∂x of `conv2D`, without dilation. */
const conv2DBackpropInput = defineKernel<Conv2DBackpropInputAttrs>(
  Conv2DBackpropInput,
  ({ inputs: { dy, filter }, attrs, gpu }) => {
    if (!isOurs(dy, filter, attrs.dataFormat)) return undefined;
    const { inputShape, strides, pad, dimRoundingMode } = attrs;
    const shape = filter.shape as Shape;
    const info = backend_util.computeConv2DInfo(inputShape, shape, strides, 1, pad, dimRoundingMode);
    if (!util.arraysEqual(dy.shape, info.outShape)) return undefined;
    const { positions, terms } = sizesOf(info);
    const { inShape, inChannels, outChannels } = info;
    if (!isMatrix(info)) {
      return multiply(gpu, { ...phasesOf(dy, filter, info), columns: inChannels, shape: inShape });
    }
    return multiply(gpu, {
      left: matrixFactor('left', dy, positions, outChannels, false),
      right: matrixFactor('right', filter, terms, outChannels, false),
      batch: 1,
      rows: positions,
      columns: terms,
      inner: outChannels,
      shape: inShape,
    });
  },
);

export const convolutionKernels: readonly Kernel[] = [
  conv2D,
  fusedConv2D,
  conv2DBackpropFilter,
  conv2DBackpropInput,
];

function isOurs(a: TensorInfo, b: TensorInfo, dataFormat: string): boolean {
  return a.dtype === 'float32' && b.dtype === 'float32' && dataFormat === 'NHWC';
}

/** The size of the matrix of windows. */
function sizesOf(info: Conv2DInfo): { positions: number; terms: number } {
  return {
    positions: info.batchSize * info.outHeight * info.outWidth,
    terms: info.filterHeight * info.filterWidth * info.inChannels,
  };
}

/** Whether the matrix of windows is x as it lies: the kernel is one element, or as large as the image. */
function isMatrix(info: Conv2DInfo): boolean {
  const { inHeight, inWidth, outHeight, outWidth, filterHeight, filterWidth, padInfo } = info;
  const { strideHeight, strideWidth, dilationHeight, dilationWidth } = info;
  if (padInfo.top + padInfo.bottom + padInfo.left + padInfo.right > 0) return false;
  // With a number as padding, tfjs takes the stride of rows for columns too, so sizes alone don't tell.
  if (filterHeight === 1 && filterWidth === 1) return strideHeight === 1 && strideWidth === 1;
  return (
    outHeight === 1 &&
    outWidth === 1 &&
    filterHeight === inHeight &&
    filterWidth === inWidth &&
    dilationHeight === 1 &&
    dilationWidth === 1
  );
}
