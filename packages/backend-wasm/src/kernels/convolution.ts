import {
  backend_util,
  Conv2D,
  type Conv2DAttrs,
  Conv2DBackpropFilter,
  type Conv2DBackpropFilterAttrs,
  Conv2DBackpropInput,
  type Conv2DBackpropInputAttrs,
  util,
} from '@tensorflow/tfjs-core';
import { type Matrix, multiply } from '../product.js';
import { defineHostKernel, float32Tensor, float32Values } from './host.js';

type Conv2DInfo = ReturnType<typeof backend_util.computeConv2DInfo>;

/**
 * Two-dimensional convolution, NHWC, as im2col and a product. With U the matrix of unfolded inputs, one row for each
 * output position and one column for each element under the kernel, K the kernel as a matrix [height·width·in, out]:
 *
 *   y = U · K,   ∂K = Uᵀ · ∂y,   ∂x = fold(∂y · Kᵀ)
 *
 * x: [batch, height, width, in], kernel: [height, width, in, out], y: [batch, outHeight, outWidth, out]; float32,
 * other dtypes, NCHW, and a ∂y of another shape than y (tfjs's suite has one) go to tfjs-backend-cpu. Padding is a zero like any other, so where it meets Inf or NaN in the
 * kernel or in ∂y the result is NaN, as in PyTorch; tfjs-backend-cpu leaves out what lies on the padding.
 */
export const conv2D = defineHostKernel<Conv2DAttrs>(Conv2D, ({ inputs: { x, filter }, attrs, backend }) => {
  const format = backend_util.convertConv2DDataFormat(attrs.dataFormat);
  if (x.dtype !== 'float32' || filter.dtype !== 'float32' || format !== 'channelsLast') return undefined;
  const info = backend_util.computeConv2DInfo(
    x.shape as Shape,
    filter.shape as Shape,
    attrs.strides,
    attrs.dilations,
    attrs.pad,
    attrs.dimRoundingMode,
    false,
    format,
  );
  const source = float32Values(backend, x);
  const kernel = rowMajor(float32Values(backend, filter), info.outChannels);
  const width = patchSize(info);
  const out = new Float32Array(info.batchSize * info.outHeight * info.outWidth * info.outChannels);
  forEachChunk(info, (unfolded, first, count) => {
    unfold(source, info, first, count, unfolded);
    const positions = count * info.outWidth;
    const outOffset = first * info.outWidth * info.outChannels;
    multiply(rowMajor(unfolded, width), kernel, positions, width, info.outChannels, out, outOffset);
  });
  return float32Tensor(backend, info.outShape, out);
});

/** ∂K of `conv2D`, without dilation (as tfjs's gradient of it). */
export const conv2DBackpropFilter = defineHostKernel<Conv2DBackpropFilterAttrs>(
  Conv2DBackpropFilter,
  ({ inputs: { x, dy }, attrs, backend }) => {
    const format = backend_util.convertConv2DDataFormat(attrs.dataFormat);
    if (x.dtype !== 'float32' || dy.dtype !== 'float32' || format !== 'channelsLast') return undefined;
    const info = backend_util.computeConv2DInfo(
      x.shape as Shape,
      attrs.filterShape,
      attrs.strides,
      1,
      attrs.pad,
      attrs.dimRoundingMode,
      false,
      format,
    );
    if (!util.arraysEqual(dy.shape, info.outShape)) return undefined;
    const source = float32Values(backend, x);
    const gradient = float32Values(backend, dy);
    const width = patchSize(info);
    const out = new Float32Array(width * info.outChannels);
    forEachChunk(info, (unfolded, first, count) => {
      unfold(source, info, first, count, unfolded);
      const transposed = { data: unfolded, offset: 0, rowStride: 1, columnStride: width };
      const rows = rowMajor(gradient, info.outChannels, first * info.outWidth * info.outChannels);
      multiply(transposed, rows, width, count * info.outWidth, info.outChannels, out, 0, true);
    });
    return float32Tensor(backend, info.filterShape, out);
  },
);

/** ∂x of `conv2D`, without dilation. */
export const conv2DBackpropInput = defineHostKernel<Conv2DBackpropInputAttrs>(
  Conv2DBackpropInput,
  ({ inputs: { dy, filter }, attrs, backend }) => {
    const format = backend_util.convertConv2DDataFormat(attrs.dataFormat);
    if (dy.dtype !== 'float32' || filter.dtype !== 'float32' || format !== 'channelsLast') return undefined;
    const info = backend_util.computeConv2DInfo(
      attrs.inputShape,
      filter.shape as Shape,
      attrs.strides,
      1,
      attrs.pad,
      attrs.dimRoundingMode,
      false,
      format,
    );
    if (!util.arraysEqual(dy.shape, info.outShape)) return undefined;
    const gradient = float32Values(backend, dy);
    const kernel = float32Values(backend, filter);
    const transposed = { data: kernel, offset: 0, rowStride: 1, columnStride: info.outChannels };
    const width = patchSize(info);
    const out = new Float32Array(info.batchSize * info.inHeight * info.inWidth * info.inChannels);
    forEachChunk(info, (unfolded, first, count) => {
      const rows = rowMajor(gradient, info.outChannels, first * info.outWidth * info.outChannels);
      multiply(rows, transposed, count * info.outWidth, info.outChannels, width, unfolded, 0);
      fold(unfolded, info, first, count, out);
    });
    return float32Tensor(backend, info.inShape, out);
  },
);

type Shape = [number, number, number, number];

function rowMajor(data: Float32Array, columns: number, offset = 0): Matrix {
  return { data, offset, rowStride: columns, columnStride: 1 };
}

/** Elements under the kernel: the columns of the unfolded input. */
function patchSize(info: Conv2DInfo): number {
  return info.filterHeight * info.filterWidth * info.inChannels;
}

/**
 * Walks over all rows of all output images, as many at a time as keep the unfolded input near four megabytes. How many
 * depends on shapes alone, so that sums over chunks repeat.
 */
function forEachChunk(
  info: Conv2DInfo,
  visit: (unfolded: Float32Array, first: number, count: number) => void,
): void {
  const rows = info.batchSize * info.outHeight;
  const rowSize = info.outWidth * patchSize(info);
  const most = Math.max(1, Math.min(rows, Math.floor(2 ** 20 / Math.max(1, rowSize))));
  const unfolded = new Float32Array(most * rowSize);
  for (let first = 0; first < rows; first += most) visit(unfolded, first, Math.min(most, rows - first));
}

/** Writes what lies under the kernel at each position of `count` output rows from `first` on: a row a position. */
function unfold(
  x: Float32Array,
  info: Conv2DInfo,
  first: number,
  count: number,
  unfolded: Float32Array,
): void {
  const { inHeight, inWidth, inChannels, filterHeight, filterWidth } = info;
  let to = 0;
  for (let row = first; row < first + count; row++) {
    const image = Math.floor(row / info.outHeight);
    const top = (row % info.outHeight) * info.strideHeight - info.padInfo.top;
    for (let column = 0; column < info.outWidth; column++) {
      const left = column * info.strideWidth - info.padInfo.left;
      for (let i = 0; i < filterHeight; i++) {
        const y = top + i * info.dilationHeight;
        const line = (image * inHeight + y) * inWidth;
        for (let j = 0; j < filterWidth; j++) {
          const z = left + j * info.dilationWidth;
          const inside = y >= 0 && y < inHeight && z >= 0 && z < inWidth;
          const from = (line + z) * inChannels;
          if (inside) for (let c = 0; c < inChannels; c++) unfolded[to + c] = x[from + c];
          else for (let c = 0; c < inChannels; c++) unfolded[to + c] = 0;
          to += inChannels;
        }
      }
    }
  }
}

/** The transpose of `unfold`: adds each element to the place that it was read from; what lies on padding is lost. */
function fold(unfolded: Float32Array, info: Conv2DInfo, first: number, count: number, x: Float32Array): void {
  const { inHeight, inWidth, inChannels, filterHeight, filterWidth } = info;
  let from = 0;
  for (let row = first; row < first + count; row++) {
    const image = Math.floor(row / info.outHeight);
    const top = (row % info.outHeight) * info.strideHeight - info.padInfo.top;
    for (let column = 0; column < info.outWidth; column++) {
      const left = column * info.strideWidth - info.padInfo.left;
      for (let i = 0; i < filterHeight; i++) {
        const y = top + i * info.dilationHeight;
        const line = (image * inHeight + y) * inWidth;
        for (let j = 0; j < filterWidth; j++) {
          const z = left + j * info.dilationWidth;
          if (y >= 0 && y < inHeight && z >= 0 && z < inWidth) {
            const to = (line + z) * inChannels;
            for (let c = 0; c < inChannels; c++) x[to + c] += unfolded[from + c];
          }
          from += inChannels;
        }
      }
    }
  }
}
