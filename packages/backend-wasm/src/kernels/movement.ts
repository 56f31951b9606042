import {
  backend_util,
  Concat,
  type ConcatAttrs,
  Pack,
  type PackAttrs,
  Slice,
  type SliceAttrs,
  SplitV,
  type SplitVAttrs,
  slice_util,
  type TensorInfo,
  Tile,
  type TileAttrs,
  Transpose,
  type TransposeAttrs,
  Unpack,
  type UnpackAttrs,
  util,
} from '@tensorflow/tfjs-core';
import { defineKernel, type Engine, type Kernel } from './kernel.js';
import { isMovable, move, stridesOf, widthOf } from './runs.js';

/** The axes in another order. Where nothing moves, the data are shared. */
const transpose = defineKernel<TransposeAttrs>(Transpose, ({ inputs: { x }, attrs: { perm }, engine }) => {
  if (!isMovable(x)) return undefined;
  const strides = stridesOf(x.shape);
  const shape: number[] = [];
  const from: number[] = [];
  let moved = false;
  let last = -1;
  for (const axis of perm) {
    shape.push(x.shape[axis]);
    from.push(strides[axis]);
    if (x.shape[axis] === 1) continue;
    if (axis < last) moved = true;
    last = axis;
  }
  if (!moved) return engine.alias(x, shape);
  const out = engine.allocate(shape, x.dtype);
  move(engine, engine.block(x), engine.block(out), widthOf(x), shape, from, stridesOf(shape));
  return out;
});

/** A box of an array: `size` elements along each axis, from `begin`. */
const slice = defineKernel<SliceAttrs>(Slice, ({ inputs: { x }, attrs, engine }) => {
  if (!isMovable(x)) return undefined;
  const [begin, size] = slice_util.parseSliceParams(x, attrs.begin, attrs.size);
  slice_util.assertParamsValid(x, begin, size);
  return box(engine, x, begin, size, size);
});

/** An array cut along an axis into pieces of given sizes. */
const splitV = defineKernel<SplitVAttrs>(SplitV, ({ inputs: { x }, attrs, engine }) => {
  if (!isMovable(x)) return undefined;
  const [axis] = util.parseAxisParam(attrs.axis, x.shape);
  const begin = x.shape.map(() => 0);
  return backend_util.prepareSplitSize(x as never, attrs.numOrSizeSplits, axis).map((length) => {
    const size = x.shape.slice();
    size[axis] = length;
    const piece = box(engine, x, begin, size, size);
    begin[axis] += length;
    return piece;
  });
});

/** An array cut along an axis into slices without it. */
const unpack = defineKernel<UnpackAttrs>(Unpack, ({ inputs: { value }, attrs, engine }) => {
  if (!isMovable(value)) return undefined;
  const axis = attrs.axis < 0 ? attrs.axis + value.shape.length : attrs.axis;
  const begin = value.shape.map(() => 0);
  const size = value.shape.slice();
  size[axis] = 1;
  const shape = value.shape.filter((_, i) => i !== axis);
  const slices: TensorInfo[] = [];
  for (; begin[axis] < value.shape[axis]; begin[axis]++) slices.push(box(engine, value, begin, size, shape));
  return slices;
});

/** The elements from `begin`, `size` of them along each axis, as a tensor of `shape`. */
function box(
  engine: Engine,
  x: TensorInfo,
  begin: readonly number[],
  size: readonly number[],
  shape: readonly number[],
): TensorInfo {
  if (util.arraysEqual(size as number[], x.shape)) return engine.alias(x, [...shape]);
  const strides = stridesOf(x.shape);
  let offset = 0;
  for (let axis = 0; axis < strides.length; axis++) offset += begin[axis] * strides[axis];
  const out = engine.allocate([...shape], x.dtype);
  move(engine, engine.block(x), engine.block(out), widthOf(x), size, strides, stridesOf(size), offset);
  return out;
}

/** Arrays one after another along an axis. They have one dtype, or go to tfjs-backend-cpu. */
const concat = defineKernel<ConcatAttrs>(Concat, ({ inputs, attrs, engine }) => {
  const tensors = inputs as unknown as TensorInfo[];
  const [axis] = util.parseAxisParam(attrs.axis, tensors[0].shape);
  const shapes = tensors.map(({ shape }) => shape);
  backend_util.assertParamsConsistent(shapes, axis);
  return join(engine, tensors, axis, axis, backend_util.computeOutShape(shapes, axis));
});

/** Arrays of one shape, along an axis that is new. */
const pack = defineKernel<PackAttrs>(Pack, ({ inputs, attrs, engine }) => {
  const tensors = inputs as unknown as TensorInfo[];
  const [{ shape, dtype }] = tensors;
  const axis = attrs.axis < 0 ? attrs.axis + shape.length + 1 : attrs.axis;
  // The original says what is wrong.
  if (axis < 0 || axis > shape.length) return undefined;
  if (!tensors.every((tensor) => tensor.dtype === dtype && util.arraysEqual(tensor.shape, shape)))
    return undefined;
  return join(engine, tensors, axis, axis, [...shape.slice(0, axis), tensors.length, ...shape.slice(axis)]);
});

/** Writes the axes of each array from `axis` on side by side, for every index of those before. */
function join(
  engine: Engine,
  tensors: readonly TensorInfo[],
  axis: number,
  outAxis: number,
  shape: readonly number[],
): TensorInfo | undefined {
  const [first] = tensors;
  if (!tensors.every((tensor) => isMovable(tensor) && tensor.dtype === first.dtype)) return undefined;
  const rows = util.sizeFromShape(shape.slice(0, outAxis));
  const line = util.sizeFromShape(shape.slice(outAxis));
  if (rows * line > 0) {
    const whole = tensors.find((tensor) => util.sizeFromShape(tensor.shape) === rows * line);
    if (whole) return engine.alias(whole, shape);
  }
  const out = engine.allocate(shape, first.dtype);
  let offset = 0;
  for (const tensor of tensors) {
    const length = util.sizeFromShape(tensor.shape.slice(axis));
    const block = engine.block(tensor);
    move(engine, block, engine.block(out), widthOf(first), [rows, length], [length, 1], [line, 1], 0, offset);
    offset += length;
  }
  return out;
}

/** An array repeated along each axis. */
const tile = defineKernel<TileAttrs>(Tile, ({ inputs: { x }, attrs: { reps }, engine }) => {
  if (!isMovable(x) || reps.length !== x.shape.length || reps.some((count) => count < 0)) return undefined;
  const shape = x.shape.map((length, axis) => length * reps[axis]);
  if (reps.every((count) => count === 1)) return engine.alias(x, shape);
  const out = engine.allocate(shape, x.dtype);
  const strides = stridesOf(x.shape);
  const outStrides = stridesOf(shape);
  const lengths: number[] = [];
  const from: number[] = [];
  const to: number[] = [];
  for (let axis = 0; axis < reps.length; axis++) {
    lengths.push(reps[axis], x.shape[axis]);
    from.push(0, strides[axis]);
    to.push(x.shape[axis] * outStrides[axis], outStrides[axis]);
  }
  move(engine, engine.block(x), engine.block(out), widthOf(x), lengths, from, to);
  return out;
});

export const movementKernels: readonly Kernel[] = [transpose, slice, splitV, unpack, concat, pack, tile];
