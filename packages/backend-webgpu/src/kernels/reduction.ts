import {
  All,
  Any,
  ArgMax,
  type ArgMaxAttrs,
  ArgMin,
  Max,
  type MaxAttrs,
  Mean,
  Min,
  Prod,
  Sum,
  type SumAttrs,
  type TensorInfo,
  util,
} from '@tensorflow/tfjs-core';
import { floatBits } from '../data.js';
import type { GpuBackend } from '../gpu_backend.js';
import { linearGroups, stridedAccess } from '../graph.js';
import { elementOf, type Program } from '../program.js';
import type { Subgroups } from '../subgroups.js';
import { extremum, type Join, joining, variantOf } from './join.js';
import { defineKernel, type Kernel } from './kernel.js';
import { cut, type Layout, layoutOf, placing, type Reduced, WORKGROUP } from './layout.js';

/** How numbers are joined, in WGSL, for float32 and for int32 (and bool). */
interface Operation {
  readonly name: string;
  readonly initial: readonly [float: string, integer: string];
  /** Of `a` and `b`. */
  readonly combine: readonly [float: string, integer: string];
  /** Of all `a` of a subgroup. */
  readonly whole: readonly [float: string, integer: string];
}

const SUM: Operation = {
  name: 'sum',
  initial: ['0f', '0i'],
  combine: ['a + b', 'a + b'],
  whole: ['subgroupAdd(a)', 'subgroupAdd(a)'],
};
const PRODUCT: Operation = {
  name: 'product',
  initial: ['1f', '1i'],
  combine: ['a * b', 'a * b'],
  whole: ['subgroupMul(a)', 'subgroupMul(a)'],
};
const LARGEST: Operation = {
  name: 'largest',
  initial: ['-infinity()', '-2147483647i - 1i'],
  combine: ['maximum(a, b)', 'max(a, b)'],
  whole: [extremum('subgroupMax', 'a'), 'subgroupMax(a)'],
};
const LEAST: Operation = {
  name: 'least',
  initial: ['infinity()', '2147483647i'],
  combine: ['minimum(a, b)', 'min(a, b)'],
  whole: [extremum('subgroupMin', 'a'), 'subgroupMin(a)'],
};
const ALL: Operation = {
  name: 'all',
  initial: ['1f', '1i'],
  combine: ['a * b', 'a & b'],
  whole: ['subgroupMul(a)', 'subgroupAnd(a)'],
};
const ANY: Operation = {
  name: 'any',
  initial: ['0f', '0i'],
  combine: ['maximum(a, b)', 'a | b'],
  whole: [extremum('subgroupMax', 'a'), 'subgroupOr(a)'],
};

/** The axes to reduce in the middle; where they don't adjoin, a permutation makes them the last ones first. */
function arrange(gpu: GpuBackend, x: TensorInfo, axes: readonly number[]): [TensorInfo, Reduced, boolean] {
  const reduced = reducedOf(x.shape, axes);
  if (reduced) return [x, reduced, false];
  const strides = util.computeStrides(x.shape).concat(1);
  const order = x.shape
    .map((_, axis) => axis)
    .sort((a, b) => Number(axes.includes(a)) - Number(axes.includes(b)));
  const shape = order.map((axis) => x.shape[axis]);
  const access = stridedAccess(
    shape,
    order.map((axis) => strides[axis]),
    0,
  );
  const outer = util.sizeFromShape(x.shape.filter((_, axis) => !axes.includes(axis)));
  const count = outer === 0 ? 0 : util.sizeFromShape(x.shape) / outer;
  return [gpu.map(shape, x.dtype, [{ tensor: x, access }], '$0'), { outer, count, inner: 1 }, true];
}

/** x as [outer, count, inner]; undefined where the axes don't adjoin. */
function reducedOf(shape: readonly number[], axes: readonly number[]): Reduced | undefined {
  let [outer, count, inner] = [1, 1, 1];
  let part = 0;
  for (const [axis, length] of shape.entries()) {
    // An axis of one element is in nobody's way.
    if (length === 1) continue;
    if (axes.includes(axis)) {
      if (part === 2) return undefined;
      part = 1;
      count *= length;
    } else if (part === 0) {
      outer *= length;
    } else {
      part = 2;
      inner *= length;
    }
  }
  return { outer, count, inner };
}

function remaining(shape: readonly number[], axes: readonly number[], keepDims: boolean): number[] {
  return shape.flatMap((length, axis) => (axes.includes(axis) ? (keepDims ? [1] : []) : [length]));
}

function reduceProgram(
  subgroups: Subgroups | undefined,
  operation: Operation,
  input: 'f32' | 'i32',
  element: 'f32' | 'i32',
  layout: Layout,
  divides: boolean,
): Program {
  const { lanes, width } = layout;
  const kind = element === 'f32' ? 0 : 1;
  const { declarations, code } = joining(
    subgroups,
    layout,
    {
      type: element,
      combine: (a, b) => `combine(${a}, ${b})`,
      whole: (value) => operation.whole[kind].replace(/\ba\b/g, value),
    },
    'first',
  );
  const loaded = (at: string): string => (input === element ? `load0(${at})` : `${element}(load0(${at}))`);
  return {
    key: `reduce ${operation.name} ${input} ${element} ${lanes} ${width}${divides ? ' divided' : ''}${variantOf(subgroups)}`,
    outputs: [element],
    inputs: [input],
    uniforms: [
      'outer: u32',
      'count: u32',
      'inner: u32',
      'chunk: u32',
      'parts: u32',
      'columnBlocks: u32',
      'divisor: f32',
    ],
    workgroup: [WORKGROUP, 1, 1],
    stores: true,
    loads: [0],
    declarations: `
      ${declarations}
      fn combine(a: ${element}, b: ${element}) -> ${element} { return ${operation.combine[kind]}; }`,
    // Four results in the making, for loads that don't wait for each other.
    body: `
      ${placing(layout)}
      var total = ${operation.initial[kind]};
      if (inside) {
        var more = vec3<${element}>(total);
        let base = row * u.count * u.inner + column;
        let end = min((part + 1u) * u.chunk, u.count);
        var k = part * u.chunk + along;
        for (; k + ${3 * lanes}u < end; k += ${4 * lanes}u) {
          let at = base + k * u.inner;
          let step = ${lanes}u * u.inner;
          total = combine(total, ${loaded('at')});
          more.x = combine(more.x, ${loaded('at + step')});
          more.y = combine(more.y, ${loaded('at + 2u * step')});
          more.z = combine(more.z, ${loaded('at + 3u * step')});
        }
        for (; k < end; k += ${lanes}u) { total = combine(total, ${loaded('base + k * u.inner')}); }
        total = combine(combine(total, more.x), combine(more.y, more.z));
      }
      ${code}
      if (inside && along == 0u) {
        store((row * u.parts + part) * u.inner + column, ${divides ? 'total / u.divisor' : 'total'});
      }`,
  };
}

/** Writes the reduction of x [outer, count, inner] to out [outer, inner], in one dispatch or in two. */
function reduceInto(
  gpu: GpuBackend,
  operation: Operation,
  x: TensorInfo,
  out: TensorInfo,
  reduced: Reduced,
  divisor?: number,
): void {
  const { outer, count, inner } = reduced;
  if (outer * inner === 0) return;
  const layout = layoutOf(count, inner);
  const { chunk, parts, groups, columnBlocks } = cut(reduced, layout);
  const element = elementOf(out.dtype);
  const whole = parts === 1;
  const target = whole ? out : gpu.allocate([outer, parts, inner], out.dtype);
  gpu.launch(
    reduceProgram(
      gpu.subgroups,
      operation,
      elementOf(x.dtype),
      element,
      layout,
      whole && divisor !== undefined,
    ),
    [x],
    [target],
    [outer, count, inner, chunk, parts, columnBlocks, floatBits(divisor ?? 1)],
    linearGroups(groups, 1),
  );
  if (whole) return;
  reduceInto(gpu, operation, target, out, { outer, count: parts, inner }, divisor);
  gpu.disposeData(target.dataId);
}

/** out [outer, inner] ← Σ x over the middle axis of x [outer, count, inner]. float32. */
export function sumInto(gpu: GpuBackend, x: TensorInfo, out: TensorInfo, reduced: Reduced): void {
  reduceInto(gpu, SUM, x, out, reduced);
}

/** The same of a bool x: whether all are true. */
export function allInto(gpu: GpuBackend, x: TensorInfo, out: TensorInfo, reduced: Reduced): void {
  reduceInto(gpu, ALL, x, out, reduced);
}

type Dtypes = { readonly [from: string]: 'float32' | 'int32' | 'bool' };

/**
 * A reduction over any axes. Over no elements it gives what it begins with: 0, 1, or an infinity. `dtypes` says which
 * dtypes it takes, and which it gives for them; averages are divided by the number of elements.
 */
function reduction(kernelName: string, operation: Operation, dtypes: Dtypes, average = false): Kernel {
  return defineKernel<SumAttrs | MaxAttrs>(kernelName, ({ inputs: { x }, attrs, gpu }) => {
    const dtype = dtypes[x.dtype];
    if (!dtype) return undefined;
    const given = 'reductionIndices' in attrs ? attrs.reductionIndices : (attrs as SumAttrs).axis;
    const axes = util.parseAxisParam(given, x.shape);
    const [arranged, reduced, made] = arrange(gpu, x, axes);
    const out = gpu.allocate(remaining(x.shape, axes, attrs.keepDims), dtype);
    // Over no elements the mean is 0, as in tfjs-backend-cpu (NaN in PyTorch and NumPy).
    reduceInto(gpu, operation, arranged, out, reduced, average ? Math.max(1, reduced.count) : undefined);
    if (made) gpu.disposeData(arranged.dataId);
    return out;
  });
}

const FOUND: Join = {
  type: 'Found',
  combine: (a, b) => `combine(${a}, ${b})`,
  shuffled: (value, mask) =>
    `Found(subgroupShuffleXor(${value}.value, ${mask}), subgroupShuffleXor(${value}.at, ${mask}))`,
};

/** Where the first of the largest (or least) stands. NaN in the first place stays there, any other is passed over. */
function positionProgram(subgroups: Subgroups | undefined, better: '>' | '<', layout: Layout): Program {
  const { lanes, width } = layout;
  const { declarations, code } = joining(subgroups, layout, FOUND, 'first');
  const worst = better === '>' ? '-infinity()' : 'infinity()';
  return {
    key: `position ${better} ${lanes} ${width}${variantOf(subgroups)}`,
    outputs: ['i32'],
    inputs: ['f32'],
    uniforms: ['outer: u32', 'count: u32', 'inner: u32', 'parts: u32', 'columnBlocks: u32'],
    workgroup: [WORKGROUP, 1, 1],
    stores: true,
    loads: [0],
    declarations: `
      struct Found { value: f32, at: u32 }
      ${declarations}
      fn combine(a: Found, b: Found) -> Found {
        if (b.value ${better} a.value || (b.value == a.value && b.at < a.at)) { return b; }
        return a;
      }`,
    body: `
      ${placing(layout)}
      var total = Found(${worst}, 0xffffffffu);
      if (inside) {
        for (var k = along; k < u.count; k += ${lanes}u) {
          var value = load0((row * u.count + k) * u.inner + column);
          if (isNan(value)) {
            if (k > 0u) { continue; }
            value = -(${worst});
          }
          total = combine(total, Found(value, k));
        }
      }
      ${code}
      if (inside && along == 0u) { store(row * u.inner + column, i32(total.at)); }`,
  };
}

function position(kernelName: string, better: '>' | '<'): Kernel {
  return defineKernel<ArgMaxAttrs>(kernelName, ({ inputs: { x }, attrs, gpu }) => {
    const [axis] = util.parseAxisParam(attrs.axis, x.shape);
    const count = x.shape[axis];
    if (x.dtype !== 'float32' || !count) return undefined;
    const outer = util.sizeFromShape(x.shape.slice(0, axis));
    const inner = util.sizeFromShape(x.shape.slice(axis + 1));
    const out = gpu.allocate(remaining(x.shape, [axis], false), 'int32');
    if (outer * inner === 0) return out;
    const layout = layoutOf(count, inner);
    const columnBlocks = Math.ceil(inner / layout.width);
    gpu.launch(
      positionProgram(gpu.subgroups, better, layout),
      [x],
      [out],
      [outer, count, inner, 1, columnBlocks],
      linearGroups(columnBlocks * Math.ceil(outer / layout.rows), 1),
    );
    return out;
  });
}

const NUMBERS: Dtypes = { float32: 'float32', int32: 'int32' };
const WITH_BOOL: Dtypes = { ...NUMBERS, bool: 'int32' };

export const reductionKernels: readonly Kernel[] = [
  reduction(Sum, SUM, WITH_BOOL),
  reduction(Mean, SUM, { float32: 'float32', int32: 'float32', bool: 'float32' }, true),
  reduction(Max, LARGEST, NUMBERS),
  reduction(Min, LEAST, NUMBERS),
  reduction(Prod, PRODUCT, WITH_BOOL),
  reduction(All, ALL, { bool: 'bool' }),
  reduction(Any, ANY, { bool: 'bool' }),
  position(ArgMax, '>'),
  position(ArgMin, '<'),
];
