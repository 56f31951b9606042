import { FusedBatchNorm, type FusedBatchNormAttrs, type TensorInfo, util } from '@tensorflow/tfjs-core';
import { floatBits } from '../data.js';
import type { GpuBackend, MapOperand } from '../gpu_backend.js';
import { linearGroups, stridedAccess } from '../graph.js';
import { f32Literal } from '../prelude.js';
import type { Program } from '../program.js';
import type { Subgroups } from '../subgroups.js';
import { type Join, joining, SUM, variantOf } from './join.js';
import { defineKernel, type Kernel } from './kernel.js';
import { cut, layoutOf, placing, WORKGROUP } from './layout.js';
import { type RowCode, type RowLayout, rowGroups, rowLayout, rowProgram } from './rows.js';

interface Attrs {
  readonly epsilon: number;
}

/** Mean of the row and 1/√(σ² + ε). The variance is of the centered values: E[x²] − E[x]² would cancel. */
function moments(row: RowCode, input: number): string {
  const { each, element } = row;
  return `
    let divisor = f32(u.count);
    var center = 0f;
    ${each(`center += ${element(input)};`)}
    center = ${row.sum('center')} / divisor;
    var variance = 0f;
    ${each(`let away = ${element(input)} - center; variance += away * away;`)}
    variance = ${row.sum('variance')} / divisor;
    let factor = reciprocalSquareRoot(variance + u.epsilon);`;
}

const layerNormProgram = (subgroups: Subgroups | undefined, layout: RowLayout) =>
  rowProgram(subgroups, layout, {
    key: 'layerNorm',
    inputs: 3,
    wide: [0],
    uniforms: ['epsilon: f32'],
    float16: 'passes',
    code: (row) => `
      ${moments(row, 0)}
      ${row.each(`store(base + column, (${row.element(0)} - center) * factor * x1[column] + x2[column]);`)}`,
  });

/** core's op: (x − μ) / √(σ² + ε) · scale + bias over the last axis. */
const layerNorm = defineKernel<Attrs>('LayerNorm', ({ inputs: { x, scale, bias }, attrs, gpu }) => {
  const out = gpu.allocate(x.shape, 'float32');
  const [rows, count] = matrixOf(x);
  if (rows * count === 0) return out;
  const layout = rowLayout(count);
  const words = [rows, count, floatBits(attrs.epsilon)];
  gpu.launch(
    layerNormProgram(gpu.subgroups, layout),
    [x, scale, bias],
    [out],
    words,
    rowGroups(rows, layout),
  );
  return out;
});

// Four numbers of each row: mean, factor, and what the gradient loses by them, mean(g) and mean(g·x̂) with g = dy·scale.
const layerNormRowsProgram = (subgroups: Subgroups | undefined, layout: RowLayout) =>
  rowProgram(subgroups, layout, {
    key: 'layerNormRows',
    inputs: 3,
    wide: [0, 1],
    uniforms: ['epsilon: f32'],
    stores: false,
    code: (row) => `
      ${moments(row, 1)}
      var level = 0f;
      var tilt = 0f;
      ${row.each(`
        let g = ${row.element(0)} * x2[column];
        level += g;
        tilt += g * ((${row.element(1)} - center) * factor);`)}
      level = ${row.sum('level')} / divisor;
      tilt = ${row.sum('tilt')} / divisor;
      if (inside && along == 0u) {
        y0[4u * row] = center;
        y0[4u * row + 1u] = factor;
        y0[4u * row + 2u] = level;
        y0[4u * row + 3u] = tilt;
      }`,
  });

/** Its gradient: [dx, dscale, dbias]. dx is elementwise work on what is known of each row, so that more can join it. */
const layerNormGrad = defineKernel<Attrs>('LayerNormGrad', ({ inputs: { dy, x, scale }, attrs, gpu }) => {
  const [rows, count] = matrixOf(x);
  if (rows * count === 0) {
    const zeros = () => gpu.map([count], 'float32', [], '0f');
    return [gpu.allocate(x.shape, 'float32'), zeros(), zeros()];
  }
  const layout = rowLayout(count);
  const known = gpu.allocate([rows, 4], 'float32');
  const words = [rows, count, floatBits(attrs.epsilon)];
  gpu.launch(
    layerNormRowsProgram(gpu.subgroups, layout),
    [dy, x, scale],
    [known],
    words,
    rowGroups(rows, layout),
  );
  const ofRow = (k: number): MapOperand => ({
    tensor: known,
    access: stridedAccess([rows, count], [4, 0], k),
  });
  const code = '$4 * ($0 * $2 - $5 - ($1 - $3) * $4 * $6)';
  const operands = [{ tensor: dy }, { tensor: x }, { tensor: scale }, ...[0, 1, 2, 3].map(ofRow)];
  const dx = gpu.map(x.shape, 'float32', operands, code);
  const sums = columnSums(gpu, PER_ROW, [dy, x, known], rows, count, 0);
  gpu.disposeData(known.dataId);
  return [dx, ...sums];
});

/** Two sums over the rows of each column; `row`, `column` and `at` (= row · columns + column) say where. */
interface ColumnSums {
  readonly key: string;
  readonly inputs: number;
  readonly loads: readonly number[];
  readonly terms: readonly [string, string];
}

/** Σ dy·x̂ and Σ dy, with mean and factor among four numbers of each row. */
const PER_ROW: ColumnSums = {
  key: 'row',
  inputs: 3,
  loads: [0, 1],
  terms: ['above * ((load1(at) - x2[4u * row]) * x2[4u * row + 1u])', 'above'],
};
/** The same, with mean and variance of each column. */
const PER_COLUMN: ColumnSums = {
  key: 'column',
  inputs: 4,
  loads: [0, 1],
  terms: ['above * ((load1(at) - x2[column]) * reciprocalSquareRoot(x3[column] + u.epsilon))', 'above'],
};
const OF_PARTS: ColumnSums = { key: 'parts', inputs: 2, loads: [0, 1], terms: ['above', 'load1(at)'] };

const PAIRS: Join = { ...SUM, type: 'vec2f' };

function columnSumsProgram(
  subgroups: Subgroups | undefined,
  { key, inputs, loads, terms }: ColumnSums,
  rows: number,
  columns: number,
): Program {
  const layout = layoutOf(rows, columns);
  const { lanes, width } = layout;
  const { declarations, code } = joining(subgroups, layout, PAIRS, 'first');
  return {
    key: `columnSums ${key} ${lanes} ${width}${variantOf(subgroups)}`,
    outputs: ['f32', 'f32'],
    inputs: Array(inputs).fill('f32'),
    uniforms: [
      'outer: u32',
      'count: u32',
      'inner: u32',
      'chunk: u32',
      'parts: u32',
      'columnBlocks: u32',
      'epsilon: f32',
    ],
    workgroup: [WORKGROUP, 1, 1],
    loads,
    declarations: `
      ${declarations}
      fn term(row: u32, column: u32) -> vec2f {
        let at = row * u.inner + column;
        let above = load0(at);
        return vec2f(${terms.join(', ')});
      }`,
    body: `
      ${placing(layout)}
      var total = vec2f();
      if (inside) {
        var more = vec2f();
        let end = min((part + 1u) * u.chunk, u.count);
        var k = part * u.chunk + along;
        for (; k + ${lanes}u < end; k += ${2 * lanes}u) {
          total += term(k, column);
          more += term(k + ${lanes}u, column);
        }
        if (k < end) { total += term(k, column); }
        total += more;
      }
      ${code}
      if (inside && along == 0u) {
        y0[part * u.inner + column] = total.x;
        y1[part * u.inner + column] = total.y;
      }`,
  };
}

/** Both sums, [columns] each: in two stages where there are many rows and few columns. */
function columnSums(
  gpu: GpuBackend,
  sums: ColumnSums,
  inputs: readonly TensorInfo[],
  rows: number,
  columns: number,
  epsilon: number,
): TensorInfo[] {
  const reduced = { outer: 1, count: rows, inner: columns };
  const { chunk, parts, groups, columnBlocks } = cut(reduced, layoutOf(rows, columns));
  const shape = parts === 1 ? [columns] : [parts, columns];
  const results = [gpu.allocate(shape, 'float32'), gpu.allocate(shape, 'float32')];
  gpu.launch(
    columnSumsProgram(gpu.subgroups, sums, rows, columns),
    inputs,
    results,
    [1, rows, columns, chunk, parts, columnBlocks, floatBits(epsilon)],
    linearGroups(groups, 1),
  );
  if (parts === 1) return results;
  const whole = columnSums(gpu, OF_PARTS, results, parts, columns, 0);
  for (const { dataId } of results) gpu.disposeData(dataId);
  return whole;
}

/** core's op: (x − mean) / √(variance + ε) · scale + bias over the last axis. */
const batchNorm = defineKernel<Attrs>('BatchNorm', ({ inputs, attrs, gpu }) =>
  normalize(gpu, inputs as never, attrs.epsilon),
);

function normalize(
  gpu: GpuBackend,
  tensors: { x: TensorInfo; mean: TensorInfo; variance: TensorInfo; scale?: TensorInfo; bias?: TensorInfo },
  epsilon: number,
): TensorInfo {
  const { x, mean, variance, scale, bias } = tensors;
  const operands = [x, mean, variance];
  let factor = `reciprocalSquareRoot($2 + ${f32Literal(epsilon)})`;
  if (scale) factor += ` * $${operands.push(scale) - 1}`;
  const shifted = bias ? ` + $${operands.push(bias) - 1}` : '';
  return gpu.map(
    x.shape,
    'float32',
    operands.map((tensor) => ({ tensor })),
    `($0 - $1) * (${factor})${shifted}`,
  );
}

const BATCH_NORM_GRAD: Program = {
  key: 'batchNormGrad',
  outputs: ['f32'],
  inputs: Array(7).fill('f32'),
  uniforms: ['size: u32', 'columns: u32', 'rows: f32', 'epsilon: f32'],
  workgroup: [WORKGROUP, 1, 1],
  stores: true,
  loads: [0, 1],
  float16: 'passes',
  body: `
    let i = (group.y * groups.x + group.x) * ${WORKGROUP}u + lane;
    if (i < u.size) {
      let column = i % u.columns;
      let factor = reciprocalSquareRoot(x3[column] + u.epsilon);
      let normal = (load1(i) - x2[column]) * factor;
      store(i, factor * x4[column] * (load0(i) - (x6[column] + normal * x5[column]) / u.rows));
    }`,
};

/** Its gradient, through the statistics too: [dx, dscale, dbias]. */
const batchNormGrad = defineKernel<Attrs>('BatchNormGrad', ({ inputs, attrs, gpu }) => {
  const { dy, x, mean, variance, scale } = inputs;
  const [rows, columns] = matrixOf(x);
  const dx = gpu.allocate(x.shape, 'float32');
  if (columns === 0) return [dx, gpu.allocate([0], 'float32'), gpu.allocate([0], 'float32')];
  const [dscale, dbias] = columnSums(gpu, PER_COLUMN, [dy, x, mean, variance], rows, columns, attrs.epsilon);
  const size = rows * columns;
  if (size > 0) {
    gpu.launch(
      BATCH_NORM_GRAD,
      [dy, x, mean, variance, scale, dscale, dbias],
      [dx],
      [size, columns, floatBits(rows), floatBits(attrs.epsilon)],
      linearGroups(size),
    );
  }
  return [dx, dscale, dbias];
});

/** tfjs's kernel: statistics, scale and offset (both may be absent) of one number for each channel, channels last. */
const fusedBatchNorm = defineKernel<FusedBatchNormAttrs>(FusedBatchNorm, ({ inputs, attrs, gpu }) => {
  const { x, mean, variance, scale, offset } = inputs as { [name: string]: TensorInfo | undefined };
  if (!x || !mean || !variance) return undefined;
  const columns = x.shape[x.shape.length - 1];
  const perChannel = [mean, variance, scale, offset].every(
    (tensor) => !tensor || (tensor.dtype === 'float32' && util.arraysEqual(tensor.shape, [columns])),
  );
  if (x.dtype !== 'float32' || !perChannel) return undefined;
  const epsilon = (attrs.varianceEpsilon as number | undefined) ?? 0.001;
  return normalize(
    gpu,
    { x, mean, variance, ...(scale && { scale }), ...(offset && { bias: offset }) },
    epsilon,
  );
});

/** Rows, and elements of the last axis. */
function matrixOf({ shape }: TensorInfo): [rows: number, columns: number] {
  const columns = shape[shape.length - 1];
  return [util.sizeFromShape(shape.slice(0, -1)), columns];
}

export const normalizationKernels: readonly Kernel[] = [
  layerNorm,
  layerNormGrad,
  batchNorm,
  batchNormGrad,
  fusedBatchNorm,
];
