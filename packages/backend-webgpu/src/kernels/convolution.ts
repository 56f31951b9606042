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
import { stridedAccess } from '../graph.js';
import { epilogueOf, finish } from './epilogue.js';
import { defineKernel, type Kernel } from './kernel.js';
import { matrixFactor } from './matrix.js';
import { multiply } from './product.js';
import { type Conv2DInfo, phasesOf, turnedWindowsFactor, windowsFactor } from './windows.js';

type Shape = [number, number, number, number];
type Attrs = Conv2DAttrs | FusedConv2DAttrs | Conv2DBackpropFilterAttrs | Conv2DBackpropInputAttrs;

/**
 * Two-dimensional convolution as products with an operand that is never written out: U, the matrix of windows, one row
 * for each output position and one column for each element under the kernel. With K the kernel as a matrix
 * [height·width·in, out]:
 *
 *   y = U · K,   ∂K = Uᵀ · ∂y,   and for ∂x see `phasesOf`
 *
 * x: [batch, height, width, in], kernel: [height, width, in, out], y: [batch, outHeight, outWidth, out]; float32. NCHW is
 * transposed before and after. Other dtypes, and a ∂y of another shape than y (tfjs's suite has one), go to tfjs's
 * kernels. Padding is a border of zeros, so where it meets Inf or NaN in the kernel or in ∂y, y and ∂K are NaN, as in
 * PyTorch; tfjs-backend-cpu leaves out what lies on the padding.
 */
const conv2D = defineKernel<Conv2DAttrs>(Conv2D, ({ inputs: { x, filter }, attrs, gpu }) => {
  if (!areFloats(x, filter)) return undefined;
  const info = infoOf(attrs, x.shape, filter.shape);
  return withChannelsFirst(gpu, info, convolve(gpu, withChannelsLast(gpu, info, x), filter, info));
});

/** A convolution, its bias and its activation. NCHW with prelu, or with a bias of more axes than one, goes to tfjs. */
const fusedConv2D = defineKernel<FusedConv2DAttrs>(FusedConv2D, ({ inputs, attrs, gpu }) => {
  const { x, filter, bias } = inputs;
  const epilogue = epilogueOf(inputs, attrs);
  if (!epilogue || !areFloats(x, filter)) return undefined;
  const info = infoOf(attrs, x.shape, filter.shape);
  const isRow = bias === undefined || bias.shape.length < 2;
  if (info.dataFormat === 'channelsFirst' && (!isRow || attrs.activation === 'prelu')) return undefined;
  const y = convolve(gpu, withChannelsLast(gpu, info, x), filter, info);
  return withChannelsFirst(gpu, info, finish(gpu, y, epilogue));
});

/** y of an x with channels last, which is freed if it was made for this. */
function convolve(gpu: GpuBackend, x: Image, filter: TensorInfo, info: Conv2DInfo): TensorInfo {
  const { batchSize, outHeight, outWidth, outChannels } = info;
  const { positions, terms } = sizesOf(info);
  const { tensor } = x;
  const y = multiply(gpu, {
    left: isMatrix(info)
      ? matrixFactor('left', tensor, positions, terms, false)
      : windowsFactor(tensor, info),
    right: matrixFactor('right', filter, outChannels, terms, true),
    batch: 1,
    rows: positions,
    columns: outChannels,
    inner: terms,
    shape: [batchSize, outHeight, outWidth, outChannels],
  });
  x.free();
  return y;
}

/** ∂K of `conv2D`, without dilation (as tfjs's gradient of it). */
const conv2DBackpropFilter = defineKernel<Conv2DBackpropFilterAttrs>(
  Conv2DBackpropFilter,
  ({ inputs: { x, dy }, attrs, gpu }) => {
    const info = infoOf(attrs, x.shape, attrs.filterShape);
    if (!areFloats(x, dy) || !util.arraysEqual(dy.shape, info.outShape)) return undefined;
    const { positions, terms } = sizesOf(info);
    const image = withChannelsLast(gpu, info, x);
    const gradient = withChannelsLast(gpu, info, dy);
    const result = multiply(gpu, {
      left: isMatrix(info)
        ? matrixFactor('left', image.tensor, terms, positions, true)
        : turnedWindowsFactor(image.tensor, info),
      right: matrixFactor('right', gradient.tensor, info.outChannels, positions, true),
      batch: 1,
      rows: terms,
      columns: info.outChannels,
      inner: positions,
      shape: info.filterShape,
    });
    image.free();
    gradient.free();
    return result;
  },
);

/** ∂x of `conv2D`, without dilation. */
const conv2DBackpropInput = defineKernel<Conv2DBackpropInputAttrs>(
  Conv2DBackpropInput,
  ({ inputs: { dy, filter }, attrs, gpu }) => {
    const info = infoOf(attrs, attrs.inputShape, filter.shape);
    if (!areFloats(dy, filter) || !util.arraysEqual(dy.shape, info.outShape)) return undefined;
    const { positions, terms } = sizesOf(info);
    const { batchSize, inHeight, inWidth, inChannels, outChannels } = info;
    const shape = [batchSize, inHeight, inWidth, inChannels];
    const gradient = withChannelsLast(gpu, info, dy);
    const dx = isMatrix(info)
      ? multiply(gpu, {
          left: matrixFactor('left', gradient.tensor, positions, outChannels, false),
          right: matrixFactor('right', filter, terms, outChannels, false),
          batch: 1,
          rows: positions,
          columns: terms,
          inner: outChannels,
          shape,
        })
      : multiply(gpu, { ...phasesOf(gradient.tensor, filter, info), columns: inChannels, shape });
    gradient.free();
    return withChannelsFirst(gpu, info, dx);
  },
);

export const convolutionKernels: readonly Kernel[] = [
  conv2D,
  fusedConv2D,
  conv2DBackpropFilter,
  conv2DBackpropInput,
];

function areFloats(a: TensorInfo, b: TensorInfo): boolean {
  return a.dtype === 'float32' && b.dtype === 'float32';
}

function infoOf(attrs: Attrs, x: readonly number[], filter: readonly number[]): Conv2DInfo {
  return backend_util.computeConv2DInfo(
    x as Shape,
    filter as Shape,
    attrs.strides,
    'dilations' in attrs ? attrs.dilations : 1,
    attrs.pad,
    attrs.dimRoundingMode,
    false,
    backend_util.convertConv2DDataFormat(attrs.dataFormat),
  );
}

/** Images with channels last: given so, or made for the moment. */
interface Image {
  readonly tensor: TensorInfo;
  readonly free: () => void;
}

function withChannelsLast(gpu: GpuBackend, { dataFormat }: Conv2DInfo, x: TensorInfo): Image {
  if (dataFormat === 'channelsLast') return { tensor: x, free: () => {} };
  const tensor = permuted(gpu, x, [0, 2, 3, 1]);
  return { tensor, free: () => void gpu.disposeData(tensor.dataId) };
}

/** A result with channels last, as the call wants it. */
function withChannelsFirst(gpu: GpuBackend, { dataFormat }: Conv2DInfo, result: TensorInfo): TensorInfo {
  if (dataFormat === 'channelsLast') return result;
  const turned = permuted(gpu, result, [0, 3, 1, 2]);
  gpu.disposeData(result.dataId);
  return turned;
}

function permuted(gpu: GpuBackend, x: TensorInfo, axes: readonly number[]): TensorInfo {
  const strides = [...util.computeStrides(x.shape), 1];
  const shape = axes.map((axis) => x.shape[axis]);
  const from = axes.map((axis) => strides[axis]);
  return gpu.map(shape, 'float32', [{ tensor: x, access: stridedAccess(shape, from, 0) }], '$0');
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
