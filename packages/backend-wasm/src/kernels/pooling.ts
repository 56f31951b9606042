import {
  AvgPool,
  type AvgPoolAttrs,
  AvgPoolGrad,
  type AvgPoolGradAttrs,
  backend_util,
  MaxPool,
  type MaxPoolAttrs,
  MaxPoolGrad,
  type MaxPoolGradAttrs,
  type TensorInfo,
} from '@tensorflow/tfjs-core';
import { defineKernel, type Engine, type Kernel } from './kernel.js';

type Pool2DInfo = ReturnType<typeof backend_util.computePool2DInfo>;
type Shape = [number, number, number, number];

/** Elements of the input that make a part: some 20 µs. */
const PART_ELEMENTS = 2 ** 15;

/**
 * The largest element under each window, NHWC; padding doesn't take part, and NaN is passed over (tfjs's own suite
 * asks for that; PyTorch hands NaN on). float32; other dtypes go to tfjs-backend-cpu.
 */
const maxPool = defineKernel<MaxPoolAttrs>(MaxPool, ({ inputs: { x }, attrs, engine }) =>
  pool(engine, 'maxPool', x, attrs),
);

/** The mean of the elements under each window, NHWC; padding is not counted. float32. */
const averagePool = defineKernel<AvgPoolAttrs>(AvgPool, ({ inputs: { x }, attrs, engine }) =>
  pool(engine, 'averagePool', x, attrs),
);

function pool(
  engine: Engine,
  kernel: 'maxPool' | 'averagePool',
  x: TensorInfo,
  { filterSize, strides, pad, dimRoundingMode }: MaxPoolAttrs | AvgPoolAttrs,
): TensorInfo | undefined {
  if (x.dtype !== 'float32') return undefined;
  const info = backend_util.computePool2DInfo(x.shape as Shape, filterSize, strides, 1, pad, dimRoundingMode);
  // A window of one element is the tensor itself, NaN included.
  if (info.filterHeight === 1 && info.filterWidth === 1) return undefined;
  const out = engine.allocate(info.outShape, 'float32');
  const lines = info.inChannels * info.outWidth === 0 ? 0 : info.batchSize * info.outHeight;
  const perPart = atOnce(info.strideHeight * info.inWidth * info.inChannels);
  engine.launch(
    kernel,
    Math.ceil(lines / perPart),
    [engine.block(x)],
    [engine.block(out)],
    [...geometryOf(info), lines, perPart],
  );
  return out;
}

/**
 * The gradient of max pooling: each ∂y goes to the largest element of its window, the first of them in row-major order
 * where several are equal, and nowhere where none is larger than −Inf.
 */
const maxPoolGrad = defineKernel<MaxPoolGradAttrs>(
  MaxPoolGrad,
  ({ inputs: { dy, input }, attrs, engine }) => {
    if (input.dtype !== 'float32' || dy.dtype !== 'float32') return undefined;
    const { filterSize, strides, pad, dimRoundingMode } = attrs;
    const shape = input.shape as Shape;
    const info = backend_util.computePool2DInfo(shape, filterSize, strides, 1, pad, dimRoundingMode);
    const out = engine.allocate(shape, 'float32');
    const perPart = atOnce(info.inHeight * info.inWidth * info.inChannels);
    engine.launch(
      'maxPoolGrad',
      Math.ceil(info.batchSize / perPart),
      [engine.block(dy), engine.block(input)],
      [engine.block(out)],
      [...geometryOf(info), info.batchSize, perPart],
    );
    return out;
  },
);

/**
 * The gradient of average pooling as tfjs has it: each ∂y is divided by the size of the whole window, also where the
 * forward pass has counted fewer elements, at the padding. (PyTorch divides by what it has counted.)
 */
const averagePoolGrad = defineKernel<AvgPoolGradAttrs>(
  AvgPoolGrad,
  ({ inputs: { dy, input }, attrs, engine }) => {
    if (dy.dtype !== 'float32') return undefined;
    const { filterSize, strides, pad } = attrs;
    const shape = input.shape as Shape;
    const info = backend_util.computePool2DInfo(shape, filterSize, strides, 1, pad);
    const out = engine.allocate(shape, 'float32');
    const perPart = atOnce(info.inHeight * info.inWidth * info.inChannels);
    engine.launch(
      'averagePoolGrad',
      Math.ceil(info.batchSize / perPart),
      [engine.block(dy)],
      [engine.block(out)],
      [...geometryOf(info), info.batchSize, perPart],
    );
    return out;
  },
);

export const poolingKernels: readonly Kernel[] = [maxPool, averagePool, maxPoolGrad, averagePoolGrad];

/** The words that every pooling kernel takes. */
function geometryOf(info: Pool2DInfo): number[] {
  return [
    info.inHeight,
    info.inWidth,
    info.inChannels,
    info.outHeight,
    info.outWidth,
    info.filterHeight,
    info.filterWidth,
    info.strideHeight,
    info.strideWidth,
    info.padInfo.top,
    info.padInfo.left,
  ];
}

/** How many things of so many elements make a part. */
function atOnce(elements: number): number {
  return Math.max(1, Math.ceil(PART_ELEMENTS / Math.max(1, elements)));
}
