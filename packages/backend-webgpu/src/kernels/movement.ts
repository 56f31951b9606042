import {
  backend_util,
  Concat,
  type ConcatAttrs,
  Pack,
  type PackAttrs,
  PadV2,
  type PadV2Attrs,
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
import { floatBits } from '../data.js';
import type { GpuBackend } from '../gpu_backend.js';
import { linearGroups, stridedAccess } from '../graph.js';
import { elementOf, type Program } from '../program.js';
import { defineKernel, type Kernel } from './kernel.js';
import { WORKGROUP } from './layout.js';

/** Whether its elements are numbers in a buffer. */
function isMovable({ dtype }: TensorInfo): boolean {
  return dtype === 'float32' || dtype === 'int32' || dtype === 'bool';
}

/** Elements from one index to the next along each axis, in row-major order. */
function stridesOf(shape: readonly number[]): number[] {
  const strides = Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis];
  }
  return strides;
}

/** A tile of a matrix, and rows of it that a workgroup reads at once. */
const TILE = 32;
const TILE_ROWS = WORKGROUP / TILE;
/** The shortest side that is worth a tile. */
const LEAST_SIDE = 8;

/**
 * Matrices [batch, rows, columns] as [batch, columns, rows], by way of tiles in the workgroup's memory: neighbours read
 * neighbours on both sides. A column more than there are keeps a tile's columns in different banks.
 */
function transposeProgram(element: 'f32' | 'i32'): Program {
  return {
    key: `transpose ${element}`,
    outputs: [element],
    inputs: [element],
    uniforms: ['rows: u32', 'columns: u32', 'down: u32', 'across: u32', 'size: u32'],
    workgroup: [TILE, TILE_ROWS, 1],
    stores: true,
    float16: 'passes',
    loads: [0],
    declarations: `var<workgroup> tile: array<${element}, ${TILE * (TILE + 1)}>;`,
    body: `
      let block = group.y * groups.x + group.x;
      let left = block % u.across * ${TILE}u;
      let top = block / u.across % u.down * ${TILE}u;
      let base = block / u.across / u.down * u.rows * u.columns;
      for (var k = local.y; k < ${TILE}u; k += ${TILE_ROWS}u) {
        let at = base + (top + k) * u.columns + left + local.x;
        if (top + k < u.rows && left + local.x < u.columns && base < u.size) {
          tile[k * ${TILE + 1}u + local.x] = load0(at);
        }
      }
      workgroupBarrier();
      for (var k = local.y; k < ${TILE}u; k += ${TILE_ROWS}u) {
        if (left + k < u.columns && top + local.x < u.rows && base < u.size) {
          store(base + (left + k) * u.rows + top + local.x, tile[local.x * ${TILE + 1}u + k]);
        }
      }`,
  };
}

/** The axes in another order. Where nothing moves, the data are shared. */
const transpose = defineKernel<TransposeAttrs>(Transpose, ({ inputs: { x }, attrs: { perm }, gpu }) => {
  if (!isMovable(x)) return undefined;
  const strides = stridesOf(x.shape);
  const shape = perm.map((axis) => x.shape[axis]);
  const access = stridedAccess(
    shape,
    perm.map((axis) => strides[axis]),
    0,
  );
  if (access === 'same' || access.dims.length === 0) return gpu.alias(x, shape);
  const { dims, strides: steps } = access;
  const [columns, rows] = dims.slice(-2);
  const batch = dims.length === 3 && steps[0] === rows * columns ? dims[0] : 1;
  const isMatrix = steps.at(-2) === 1 && steps.at(-1) === columns;
  const size = util.sizeFromShape(shape);
  // Everything is moved in rows long enough by neighbours that read strided, but for matrices on their side.
  if (!isMatrix || batch * rows * columns !== size || Math.min(rows, columns) < LEAST_SIDE) {
    return gpu.map(shape, x.dtype, [{ tensor: x, access }], '$0');
  }
  const out = gpu.allocate(shape, x.dtype);
  const [down, across] = [Math.ceil(rows / TILE), Math.ceil(columns / TILE)];
  const words = [rows, columns, down, across, size];
  gpu.launch(transposeProgram(elementOf(x.dtype)), [x], [out], words, linearGroups(batch * down * across, 1));
  return out;
});

/** A box of an array: `size` elements along each axis, from `begin`. */
const slice = defineKernel<SliceAttrs>(Slice, ({ inputs: { x }, attrs, gpu }) => {
  if (!isMovable(x)) return undefined;
  const [begin, size] = slice_util.parseSliceParams(x, attrs.begin, attrs.size);
  slice_util.assertParamsValid(x, begin, size);
  return box(gpu, x, begin, size, size);
});

/** An array cut along an axis into pieces of given sizes. */
const splitV = defineKernel<SplitVAttrs>(SplitV, ({ inputs: { x }, attrs, gpu }) => {
  if (!isMovable(x)) return undefined;
  const [axis] = util.parseAxisParam(attrs.axis, x.shape);
  const begin = x.shape.map(() => 0);
  return backend_util.prepareSplitSize(x as never, attrs.numOrSizeSplits, axis).map((length) => {
    const size = x.shape.slice();
    size[axis] = length;
    const piece = box(gpu, x, begin, size, size);
    begin[axis] += length;
    return piece;
  });
});

/** An array cut along an axis into slices without it. */
const unpack = defineKernel<UnpackAttrs>(Unpack, ({ inputs: { value }, attrs, gpu }) => {
  if (!isMovable(value)) return undefined;
  const axis = attrs.axis < 0 ? attrs.axis + value.shape.length : attrs.axis;
  const begin = value.shape.map(() => 0);
  const size = value.shape.slice();
  size[axis] = 1;
  const shape = value.shape.filter((_, i) => i !== axis);
  const slices: TensorInfo[] = [];
  for (; begin[axis] < value.shape[axis]; begin[axis]++) slices.push(box(gpu, value, begin, size, shape));
  return slices;
});

/** The elements from `begin`, `size` of them along each axis, as a tensor of `shape`. */
function box(
  gpu: GpuBackend,
  x: TensorInfo,
  begin: readonly number[],
  size: readonly number[],
  shape: readonly number[],
): TensorInfo {
  if (util.arraysEqual(size as number[], x.shape)) return gpu.alias(x, shape);
  const strides = stridesOf(x.shape);
  const offset = strides.reduce((sum, stride, axis) => sum + begin[axis] * stride, 0);
  const access = stridedAccess(size, strides, offset);
  return gpu.map(shape, x.dtype, [{ tensor: x, access }], '$0');
}

/** Arrays that one dispatch joins: with the result the eight buffers that every GPU has. */
const MOST_JOINED = 7;

/**
 * Runs of `count` arrays side by side, for every row. A dispatch that joins all arrays stores all of the result, and more
 * work can join it; where there are more arrays, each dispatch fills some columns.
 */
function concatProgram(element: 'f32' | 'i32', count: number, isWhole: boolean): Program {
  const numbers = Array.from({ length: count }, (_, k) => k);
  return {
    key: `concat ${element} ${count}${isWhole ? '' : ' of more'}`,
    outputs: [element],
    inputs: numbers.map(() => element),
    uniforms: [
      'size: u32',
      'line: u32',
      'whole: u32',
      'first: u32',
      ...numbers.map((k) => `length${k}: u32`),
    ],
    workgroup: [WORKGROUP, 1, 1],
    stores: isWhole,
    loads: numbers,
    float16: 'joins',
    body: `
      let i = (group.y * groups.x + group.x) * ${WORKGROUP}u + lane;
      if (i >= u.size) { return; }
      let row = i / u.line;
      var at = i % u.line;
      ${isWhole ? '' : 'let target_place = row * u.whole + u.first + at;'}
      var value: ${element};
      ${numbers
        .map((k) => {
          const load = `value = load${k}(row * u.length${k} + at);`;
          const last = k === count - 1;
          return last ? `{ ${load} }` : `if (at < u.length${k}) { ${load} } else { at -= u.length${k};`;
        })
        .join('\n')}
      ${'}'.repeat(count - 1)}
      ${isWhole ? 'store(i, value);' : 'y0[target_place] = value;'}`,
  };
}

/** Arrays one after another along an axis. They have one dtype, or go to tfjs's kernel. */
const concat = defineKernel<ConcatAttrs>(Concat, ({ inputs, attrs, gpu }) => {
  const tensors = inputs as unknown as TensorInfo[];
  const [axis] = util.parseAxisParam(attrs.axis, tensors[0].shape);
  const shapes = tensors.map(({ shape }) => shape);
  backend_util.assertParamsConsistent(shapes, axis);
  return join(gpu, tensors, axis, backend_util.computeOutShape(shapes, axis));
});

/** Arrays of one shape, along an axis that is new. */
const pack = defineKernel<PackAttrs>(Pack, ({ inputs, attrs, gpu }) => {
  const tensors = inputs as unknown as TensorInfo[];
  const [{ shape, dtype }] = tensors;
  const axis = attrs.axis < 0 ? attrs.axis + shape.length + 1 : attrs.axis;
  // The original says what is wrong.
  if (axis < 0 || axis > shape.length) return undefined;
  if (!tensors.every((tensor) => tensor.dtype === dtype && util.arraysEqual(tensor.shape, shape)))
    return undefined;
  return join(gpu, tensors, axis, [...shape.slice(0, axis), tensors.length, ...shape.slice(axis)]);
});

/** Writes the axes of each array from `axis` on side by side, for every index of those before. */
function join(
  gpu: GpuBackend,
  tensors: readonly TensorInfo[],
  axis: number,
  shape: readonly number[],
): TensorInfo | undefined {
  const [{ dtype }] = tensors;
  if (!tensors.every((tensor) => isMovable(tensor) && tensor.dtype === dtype)) return undefined;
  const rows = util.sizeFromShape(shape.slice(0, axis));
  const whole = util.sizeFromShape(shape.slice(axis));
  if (rows * whole === 0) return gpu.allocate(shape, dtype);
  const parts = tensors.filter((tensor) => util.sizeFromShape(tensor.shape) > 0);
  if (parts.length === 1) return gpu.alias(parts[0], shape);
  const out = gpu.allocate(shape, dtype);
  let first = 0;
  for (let from = 0; from < parts.length; from += MOST_JOINED) {
    const some = parts.slice(from, from + MOST_JOINED);
    const lengths = some.map((tensor) => util.sizeFromShape(tensor.shape.slice(axis)));
    const line = lengths.reduce((sum, length) => sum + length, 0);
    gpu.launch(
      concatProgram(elementOf(dtype), some.length, some.length === parts.length),
      some,
      [out],
      [rows * line, line, whole, first, ...lengths],
      linearGroups(rows * line),
    );
    first += line;
  }
  return out;
}

/** An array repeated along each axis. */
const tile = defineKernel<TileAttrs>(Tile, ({ inputs: { x }, attrs: { reps }, gpu }) => {
  if (!isMovable(x) || reps.length !== x.shape.length || reps.some((count) => count < 0)) return undefined;
  const shape = x.shape.map((length, axis) => length * reps[axis]);
  if (reps.every((count) => count === 1)) return gpu.alias(x, shape);
  const strides = stridesOf(x.shape);
  const access = stridedAccess(
    reps.flatMap((count, axis) => [count, x.shape[axis]]),
    strides.flatMap((stride) => [0, stride]),
    0,
  );
  return gpu.map(shape, x.dtype, [{ tensor: x, access }], '$0');
});

/** An axis of a padded array. */
interface PaddedAxis {
  readonly before: number;
  readonly length: number;
  readonly after: number;
  /** In the input, in elements. */
  readonly stride: number;
}

function padProgram(element: 'f32' | 'i32', axes: number): Program {
  const numbers = Array.from({ length: axes }, (_, k) => k);
  return {
    key: `pad ${element} ${axes}`,
    outputs: [element],
    inputs: [element],
    uniforms: [
      'size: u32',
      `constant: ${element}`,
      ...numbers.flatMap((k) => [`dim${k}: u32`, `before${k}: u32`, `length${k}: u32`, `stride${k}: u32`]),
    ],
    workgroup: [WORKGROUP, 1, 1],
    stores: true,
    loads: [0],
    float16: 'passes',
    // What is before the array wraps around to numbers that are larger than every length.
    body: `
      let i = (group.y * groups.x + group.x) * ${WORKGROUP}u + lane;
      if (i >= u.size) { return; }
      var rest = i;
      var at = 0u;
      var inside = true;
      ${numbers
        .map(
          (k) => `
            let d${k} = rest % u.dim${k} - u.before${k};
            rest = rest / u.dim${k};
            inside = inside && d${k} < u.length${k};
            at += d${k} * u.stride${k};`,
        )
        .join('')}
      var value = u.constant;
      if (inside) { value = load0(at); }
      store(i, value);`,
  };
}

/** An array with a constant around it. */
const pad = defineKernel<PadV2Attrs>(PadV2, ({ inputs: { x }, attrs, gpu }) => {
  const { paddings, constantValue } = attrs;
  if (!isMovable(x) || paddings.length !== x.shape.length) return undefined;
  if (paddings.some(([before, after]) => before < 0 || after < 0)) return undefined;
  const shape = paddings.map(([before, after], i) => before + x.shape[i] + after);
  if (util.arraysEqual(shape, x.shape)) return gpu.alias(x, shape);
  const out = gpu.allocate(shape, x.dtype);
  const size = util.sizeFromShape(shape);
  if (size === 0) return out;
  const axes = paddedAxes(x.shape, paddings);
  const element = elementOf(x.dtype);
  const words = axes.flatMap(({ before, length, after, stride }) => [
    before + length + after,
    before,
    length,
    stride,
  ]);
  gpu.launch(
    padProgram(element, axes.length),
    [x],
    [out],
    [size, constantBits(constantValue, x.dtype), ...words],
    linearGroups(size),
  );
  return out;
});

/** As few axes as possible, the innermost first: without padding inside of it, an axis and the one around it are one. */
function paddedAxes(shape: readonly number[], paddings: readonly (readonly number[])[]): PaddedAxis[] {
  const axes: PaddedAxis[] = [];
  let inner: PaddedAxis = { before: 0, length: 1, after: 0, stride: 1 };
  for (let i = shape.length - 1; i >= 0; i--) {
    const [before, after] = paddings[i];
    const { length, stride } = inner;
    if (inner.before + inner.after === 0) {
      inner = { before: before * length, length: shape[i] * length, after: after * length, stride };
    } else {
      axes.push(inner);
      inner = { before, length: shape[i], after, stride: stride * length };
    }
  }
  axes.push(inner);
  return axes;
}

/** The bits of a constant, converted as a typed array of the dtype does. */
function constantBits(value: number, dtype: string): number {
  if (dtype === 'float32') return floatBits(value);
  return dtype === 'bool' ? value & 0xff : value | 0;
}

export const movementKernels: readonly Kernel[] = [transpose, slice, splitV, unpack, concat, pack, tile, pad];
