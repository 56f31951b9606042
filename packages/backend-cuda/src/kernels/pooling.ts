import { sizeOf } from '@tenon-ml/core';
import {
  AvgPool,
  AvgPool3D,
  AvgPool3DGrad,
  type AvgPoolAttrs,
  AvgPoolGrad,
  backend_util,
  MaxPool,
  MaxPool3D,
  type MaxPool3DAttrs,
  MaxPool3DGrad,
  MaxPoolGrad,
  MaxPoolWithArgmax,
  type MaxPoolWithArgmaxAttrs,
  type TensorInfo,
  util,
} from '@tensorflow/tfjs-core';
import { type Attribute, boolAttribute, stringAttribute, typeAttribute } from '../binding.js';
import { defineKernel, type Kernel } from './kernel.js';
import { maxPoolGradient } from './one_dnn.js';
import type { Ops } from './ops.js';
import {
  along,
  type Frame,
  framed,
  framedSize,
  frameOf2D,
  frameOf3D,
  type Info3D,
  isEmpty,
  isPadded,
  isPlain,
  unframed,
} from './windows.js';

type PoolAttrs = AvgPoolAttrs | MaxPool3DAttrs;

/** One pooling of images of two or three axes. */
interface Pool {
  readonly outShape: readonly number[];
  readonly window: readonly number[];
  readonly strides: readonly number[];
  readonly frame: Frame;
}

function poolOf(shape: readonly number[], { filterSize, strides, pad, dimRoundingMode }: PoolAttrs): Pool {
  if (shape.length === 5) {
    const info: Info3D = backend_util.computePool3DInfo(
      shape as [number, number, number, number, number],
      filterSize as [number, number, number],
      strides as [number, number, number],
      1,
      pad as 'same',
      dimRoundingMode,
    );
    return {
      outShape: info.outShape,
      window: [info.filterDepth, info.filterHeight, info.filterWidth],
      strides: [info.strideDepth, info.strideHeight, info.strideWidth],
      frame: frameOf3D(info),
    };
  }
  const info = backend_util.computePool2DInfo(
    shape as [number, number, number, number],
    filterSize as [number, number],
    strides as [number, number],
    1,
    pad,
    dimRoundingMode,
  );
  return {
    outShape: info.outShape,
    window: [info.filterHeight, info.filterWidth],
    strides: [info.strideHeight, info.strideWidth],
    frame: frameOf2D(info),
  };
}

function attributesOf({ window, strides }: Pool, padding: string, dtype: TensorInfo['dtype']): Attribute[] {
  return [
    typeAttribute('T', dtype as 'float32'),
    along('ksize', ...window),
    along('strides', ...strides),
    stringAttribute('padding', padding),
    stringAttribute('data_format', window.length === 3 ? 'NDHWC' : 'NHWC'),
  ];
}

/** tfjs gives x itself where windows are of one element, whatever their strides. */
function isItself(shape: readonly number[], { window, outShape }: Pool): boolean {
  return window.every((size) => size === 1) && util.arraysEqual(shape as number[], outShape as number[]);
}

function maxPoolKernel(name: typeof MaxPool | typeof MaxPool3D): Kernel {
  return defineKernel<PoolAttrs>(name, ({ inputs: { x }, attrs, ops }) => {
    const pool = poolOf(x.shape, attrs);
    if (x.dtype !== 'float32') return undefined;
    if (isEmpty(x.shape, pool.outShape)) return ops.fill(pool.outShape, 0);
    if (isItself(x.shape, pool)) return ops.alias(x);
    if (isPlain(pool.frame)) return ops.one(name, attributesOf(pool, pool.frame.padding, x.dtype), [x]);
    const images = framed(ops, x, pool.frame, Number.NEGATIVE_INFINITY);
    const largest = ops.one(name, attributesOf(pool, 'VALID', x.dtype), [images]);
    // The largest of nothing: TensorFlow says the lowest of all finite numbers.
    const nothing = perWindow(ops, x.shape, pool, (counted) =>
      counted === 0 ? Number.NEGATIVE_INFINITY : 0,
    );
    return nothing ? ops.map('AddV2', largest, nothing) : largest;
  });
}

/** The gradient goes to the first of several elements that are the largest. */
function maxPoolGradKernel(name: typeof MaxPoolGrad | typeof MaxPool3DGrad): Kernel {
  return defineKernel<PoolAttrs>(name, ({ inputs: { dy, input, output }, attrs, ops }) => {
    const pool = poolOf(input.shape, attrs);
    if (isEmpty(input.shape, dy.shape)) return ops.fill(input.shape, 0);
    const type = name === MaxPool3DGrad ? [typeAttribute('TInput', 'float32')] : [];
    const attributes = (padding: string): Attribute[] => [...attributesOf(pool, padding, 'float32'), ...type];
    const through = (x: TensorInfo, padding: string): TensorInfo =>
      name === MaxPoolGrad && ops.hasOneDnn
        ? maxPoolGradient(ops, attributes(padding), { input: x, dy })
        : ops.one(name, attributes(padding), [x, output, dy]);
    if (isPlain(pool.frame)) return through(input, pool.frame.padding);
    const images = framed(ops, input, pool.frame, Number.NEGATIVE_INFINITY);
    return unframed(ops, through(images, 'VALID'), input.shape, pool.frame);
  });
}

/** The mean of the elements under each window; what is padded doesn't count. */
function averagePoolKernel(name: typeof AvgPool | typeof AvgPool3D): Kernel {
  return defineKernel<PoolAttrs>(name, ({ inputs, attrs, ops }) => {
    const x = ops.float(inputs.x);
    const pool = poolOf(x.shape, attrs);
    if (isEmpty(x.shape, pool.outShape)) return ops.fill(pool.outShape, 0);
    if (isItself(x.shape, pool)) return ops.alias(x);
    if (isPlain(pool.frame)) return ops.one(name, attributesOf(pool, pool.frame.padding, 'float32'), [x]);
    const means = ops.one(name, attributesOf(pool, 'VALID', 'float32'), [framed(ops, x, pool.frame, 0)]);
    // TensorFlow has counted the zeros around the image too. The mean of nothing is NaN to tfjs, and of no boxes 0.
    const least = name === AvgPool3D ? 1 : 0;
    const excess = perWindow(ops, x.shape, pool, (counted) => sizeOf(pool.window) / Math.max(least, counted));
    return excess ? ops.map('Mul', means, excess) : means;
  });
}

/**
 * A number for each window, [1, …, 1], by how many elements of the image it has; undefined where it is the same for all of
 * them as for one that lies inside.
 */
function perWindow(
  ops: Ops,
  shape: readonly number[],
  { outShape, window, strides, frame }: Pool,
  value: (counted: number) => number,
): TensorInfo | undefined {
  const axes = window.map((size, axis) => {
    const end = frame.seen?.[axis] ?? shape[axis + 1];
    return Array.from({ length: outShape[axis + 1] }, (_, i) => {
      const first = i * strides[axis] - frame.pads[axis][0];
      return Math.max(0, Math.min(end, first + size) - Math.max(0, first));
    });
  });
  const counts = axes.reduce((outer, inner) => outer.flatMap((a) => inner.map((b) => a * b)), [1]);
  const inside = value(sizeOf(window));
  if (counts.every((counted) => value(counted) === inside)) return undefined;
  return ops.numbers(counts.map(value), [1, ...outShape.slice(1, -1), 1]);
}

/**
 * The gradient of the mean as tfjs has it: dy is divided by the size of the whole window, also where the window hangs over
 * the image. TensorFlow's divides by what it has counted, so it is given images that are padded.
 */
function averagePoolGradKernel(name: typeof AvgPoolGrad | typeof AvgPool3DGrad): Kernel {
  return defineKernel<PoolAttrs>(name, ({ inputs: { dy, input }, attrs, ops }) => {
    const pool = poolOf(input.shape, attrs);
    const { shape } = input;
    if (isEmpty(shape, dy.shape)) return ops.fill(shape, 0);
    const attributes = attributesOf(pool, 'VALID', 'float32');
    if (!isPadded(pool.frame) && !pool.frame.seen)
      return ops.one(name, attributes, [ops.integers(shape), dy]);
    const framedShape = framedSize(shape, pool.frame);
    return unframed(ops, ops.one(name, attributes, [ops.integers(framedShape), dy]), shape, pool.frame);
  });
}

/** With the position of each maximum; where TensorFlow has no such padding, on the host. */
const maxPoolWithArgmax = defineKernel<MaxPoolWithArgmaxAttrs>(
  MaxPoolWithArgmax,
  ({ inputs: { x }, attrs, ops }) => {
    const pool = poolOf(x.shape, attrs as PoolAttrs);
    if (!isPlain(pool.frame) || isEmpty(x.shape, pool.outShape)) return undefined;
    const attributes = [
      ...attributesOf(pool, pool.frame.padding, x.dtype).filter(({ name }) => name !== 'data_format'),
      typeAttribute('Targmax', 'int64'),
      boolAttribute('include_batch_in_index', attrs.includeBatchInIndex),
    ];
    const [result, positions] = ops.all('MaxPoolWithArgmax', attributes, [x], 2);
    return [result, ops.narrow(positions)];
  },
);

export const poolingKernels: readonly Kernel[] = [
  ...([MaxPool, MaxPool3D] as const).map(maxPoolKernel),
  ...([MaxPoolGrad, MaxPool3DGrad] as const).map(maxPoolGradKernel),
  ...([AvgPool, AvgPool3D] as const).map(averagePoolKernel),
  ...([AvgPoolGrad, AvgPool3DGrad] as const).map(averagePoolGradKernel),
  maxPoolWithArgmax,
];
