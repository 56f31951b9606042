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
import type { Ops } from './ops.js';
import { along, type Frame, frameOf2D, frameOf3D, type Info3D, isPadded } from './windows.js';

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

/** TensorFlow's pools pad by 'SAME' alone: by numbers, the images are padded first. */
function framed(ops: Ops, x: TensorInfo, { frame }: Pool, border: number): TensorInfo {
  const [batch, channels] = [x.shape[0], x.shape[x.shape.length - 1]];
  const seen = frame.seen
    ? ops.slice(
        x,
        x.shape.map(() => 0),
        [batch, ...frame.seen, channels],
      )
    : x;
  return ops.pad(seen, [NONE, ...frame.pads, NONE], border);
}

/** What `framed` has added is taken away from a gradient; what it has cut off has none. */
function unframed(ops: Ops, dx: TensorInfo, shape: readonly number[], { frame }: Pool): TensorInfo {
  const begin = [0, ...frame.pads.map(([before]) => before), 0];
  const { seen } = frame;
  if (!seen) return ops.slice(dx, begin, shape);
  const [batch, channels] = [shape[0], shape[shape.length - 1]];
  const inside = ops.slice(dx, begin, [batch, ...seen, channels]);
  return ops.pad(inside, [NONE, ...seen.map((size, i) => [0, shape[i + 1] - size] as const), NONE]);
}

/** tfjs gives x itself where windows are of one element, whatever their strides. */
function isItself(shape: readonly number[], { window, outShape }: Pool): boolean {
  return window.every((size) => size === 1) && util.arraysEqual(shape as number[], outShape as number[]);
}

const isPlain = ({ frame }: Pool): boolean => frame.padding !== 'EXPLICIT' && !frame.seen;

function maxPoolKernel(name: typeof MaxPool | typeof MaxPool3D): Kernel {
  return defineKernel<PoolAttrs>(name, ({ inputs: { x }, attrs, ops }) => {
    const pool = poolOf(x.shape, attrs);
    if (x.dtype !== 'float32') return undefined;
    if (isEmpty(x.shape, pool.outShape)) return ops.fill(pool.outShape, 0);
    if (isItself(x.shape, pool)) return ops.alias(x);
    if (isPlain(pool)) return ops.one(name, attributesOf(pool, pool.frame.padding, x.dtype), [x]);
    const images = framed(ops, x, pool, Number.NEGATIVE_INFINITY);
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
    if (isPlain(pool)) return ops.one(name, attributes(pool.frame.padding), [input, output, dy]);
    const images = framed(ops, input, pool, Number.NEGATIVE_INFINITY);
    return unframed(ops, ops.one(name, attributes('VALID'), [images, output, dy]), input.shape, pool);
  });
}

/** The mean of the elements under each window; what is padded doesn't count. */
function averagePoolKernel(name: typeof AvgPool | typeof AvgPool3D): Kernel {
  return defineKernel<PoolAttrs>(name, ({ inputs, attrs, ops }) => {
    const x = ops.float(inputs.x);
    const pool = poolOf(x.shape, attrs);
    if (isEmpty(x.shape, pool.outShape)) return ops.fill(pool.outShape, 0);
    if (isItself(x.shape, pool)) return ops.alias(x);
    if (isPlain(pool)) return ops.one(name, attributesOf(pool, pool.frame.padding, 'float32'), [x]);
    const means = ops.one(name, attributesOf(pool, 'VALID', 'float32'), [framed(ops, x, pool, 0)]);
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
    const { pads, seen } = pool.frame;
    if (!isPadded(pool.frame) && !seen) return ops.one(name, attributes, [ops.integers(shape), dy]);
    const framedShape = shape.map((size, axis) => {
      const [before, after] = [NONE, ...pads, NONE][axis];
      return (seen?.[axis - 1] ?? size) + before + after;
    });
    return unframed(ops, ops.one(name, attributes, [ops.integers(framedShape), dy]), shape, pool);
  });
}

/** With the position of each maximum; where TensorFlow has no such padding, on the host. */
const maxPoolWithArgmax = defineKernel<MaxPoolWithArgmaxAttrs>(
  MaxPoolWithArgmax,
  ({ inputs: { x }, attrs, ops }) => {
    const pool = poolOf(x.shape, attrs as PoolAttrs);
    if (!isPlain(pool) || isEmpty(x.shape, pool.outShape)) return undefined;
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

const NONE = [0, 0] as const;

function isEmpty(...shapes: readonly (readonly number[])[]): boolean {
  return shapes.some((shape) => shape.includes(0));
}
