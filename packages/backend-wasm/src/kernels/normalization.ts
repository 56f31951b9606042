import { FusedBatchNorm, type FusedBatchNormAttrs, type TensorInfo, util } from '@tensorflow/tfjs-core';
import { LIGHT } from './elementwise.js';
import { type Block, defineKernel, type Engine, floatBits, type Kernel } from './kernel.js';
import { sumInto } from './reduction.js';

interface Attrs {
  readonly epsilon: number;
}

/** Rows that make a part: some 20 µs of what passes over them more than once. */
function rowsOf(columns: number): number {
  return Math.max(1, Math.floor(LIGHT / 2 / Math.max(1, columns)));
}

function allFloat32(...tensors: readonly TensorInfo[]): boolean {
  return tensors.every(({ dtype }) => dtype === 'float32');
}

/** core's op: (x − μ) / √(σ² + ε) · scale + bias over the last axis. */
const layerNorm = defineKernel<Attrs>('LayerNorm', ({ inputs: { x, scale, bias }, attrs, engine }) => {
  if (!allFloat32(x, scale, bias)) return undefined;
  const out = engine.allocate(x.shape, 'float32');
  const count = x.shape[x.shape.length - 1];
  const rows = count === 0 ? 0 : util.sizeFromShape(x.shape) / count;
  const perPart = rowsOf(count);
  engine.launch(
    'layerNorm',
    Math.ceil(rows / perPart),
    [engine.block(x), engine.block(scale), engine.block(bias)],
    [engine.block(out)],
    [rows, count, perPart, floatBits(attrs.epsilon)],
  );
  return out;
});

/** Its gradient: [dx, dscale, dbias]. */
const layerNormGrad = defineKernel<Attrs>('LayerNormGrad', ({ inputs: { dy, x, scale }, attrs, engine }) => {
  if (!allFloat32(dy, x, scale)) return undefined;
  const count = util.sizeFromShape(scale.shape);
  const rows = count === 0 ? 0 : util.sizeFromShape(x.shape) / count;
  const dx = engine.allocate(x.shape, 'float32');
  const dscale = engine.allocate([count], 'float32');
  const dbias = engine.allocate([count], 'float32');
  const perPart = rowsOf(count);
  const parts = Math.ceil(rows / perPart);
  const bytes = Math.max(1, parts * count) * 4;
  const scaleParts = engine.scratch(bytes);
  const biasParts = engine.scratch(bytes);
  engine.launch(
    'layerNormGrad',
    parts,
    [engine.block(dy), engine.block(x), engine.block(scale)],
    [engine.block(dx), scaleParts, biasParts],
    [rows, count, perPart, floatBits(attrs.epsilon)],
  );
  const shape = { outer: 1, count: parts, inner: count };
  sumInto(engine, scaleParts, engine.block(dscale), shape);
  sumInto(engine, biasParts, engine.block(dbias), shape);
  return [dx, dscale, dbias];
});

/** scale / √(variance + ε) of each column; without a scale, 1 / √…. */
function factorsOf(
  engine: Engine,
  variance: TensorInfo,
  scale: TensorInfo | undefined,
  columns: number,
  epsilon: number,
): Block {
  const factors = engine.scratch(Math.max(1, columns) * 4);
  engine.launch(
    'batchNormFactors',
    columns > 0 ? 1 : 0,
    [engine.block(variance), scale ? engine.block(scale) : null],
    [factors],
    [columns, floatBits(epsilon)],
  );
  return factors;
}

/** (x − mean) · factor + bias of the columns of x, whose last axis has so many. */
function normalize(
  engine: Engine,
  x: TensorInfo,
  mean: TensorInfo,
  factors: Block,
  bias: TensorInfo | undefined,
  columns: number,
): TensorInfo {
  const out = engine.allocate(x.shape, 'float32');
  const rows = columns === 0 ? 0 : util.sizeFromShape(x.shape) / columns;
  const perPart = rowsOf(columns);
  engine.launch(
    'batchNorm',
    Math.ceil(rows / perPart),
    [engine.block(x), engine.block(mean), factors, bias ? engine.block(bias) : null],
    [engine.block(out)],
    [rows, columns, perPart],
  );
  return out;
}

/** core's op: (x − mean) / √(variance + ε) · scale + bias over the last axis. */
const batchNorm = defineKernel<Attrs>('BatchNorm', ({ inputs, attrs, engine }) => {
  const { x, mean, variance, scale, bias } = inputs;
  if (!allFloat32(x, mean, variance, scale, bias)) return undefined;
  const columns = x.shape[x.shape.length - 1];
  const factors = factorsOf(engine, variance, scale, columns, attrs.epsilon);
  return normalize(engine, x, mean, factors, bias, columns);
});

/** Its gradient, through the statistics too: [dx, dscale, dbias]. */
const batchNormGrad = defineKernel<Attrs>('BatchNormGrad', ({ inputs, attrs, engine }) => {
  const { dy, x, mean, variance, scale } = inputs;
  if (!allFloat32(dy, x, mean, variance, scale)) return undefined;
  const columns = x.shape[x.shape.length - 1];
  const rows = columns === 0 ? 0 : util.sizeFromShape(x.shape) / columns;
  const dx = engine.allocate(x.shape, 'float32');
  const dscale = engine.allocate([columns], 'float32');
  const dbias = engine.allocate([columns], 'float32');
  const factors = factorsOf(engine, variance, undefined, columns, attrs.epsilon);
  const perPart = rowsOf(columns);
  const parts = Math.ceil(rows / perPart);
  const bytes = Math.max(1, parts * columns) * 4;
  const scaleParts = engine.scratch(bytes);
  const biasParts = engine.scratch(bytes);
  const read = [engine.block(dy), engine.block(x), engine.block(mean), factors];
  engine.launch('batchNormSums', parts, read, [scaleParts, biasParts], [rows, columns, perPart]);
  const shape = { outer: 1, count: parts, inner: columns };
  sumInto(engine, scaleParts, engine.block(dscale), shape);
  sumInto(engine, biasParts, engine.block(dbias), shape);
  engine.launch(
    'batchNormGrad',
    parts,
    [...read, engine.block(scale), engine.block(dscale), engine.block(dbias)],
    [engine.block(dx)],
    [rows, columns, perPart],
  );
  return [dx, dscale, dbias];
});

/** tfjs's kernel: statistics, scale and offset (both may be absent) of one number for each channel, channels last. */
const fusedBatchNorm = defineKernel<FusedBatchNormAttrs>(FusedBatchNorm, ({ inputs, attrs, engine }) => {
  const { x, mean, variance, scale, offset } = inputs as { [name: string]: TensorInfo | undefined };
  if (!x || !mean || !variance) return undefined;
  const columns = x.shape[x.shape.length - 1];
  const perChannel = [mean, variance, scale, offset].every(
    (tensor) => !tensor || (tensor.dtype === 'float32' && util.arraysEqual(tensor.shape, [columns])),
  );
  if (x.dtype !== 'float32' || !perChannel) return undefined;
  const epsilon = (attrs.varianceEpsilon as number | undefined) ?? 0.001;
  const factors = factorsOf(engine, variance, scale, columns, epsilon);
  return normalize(engine, x, mean, factors, offset, columns);
});

export const normalizationKernels: readonly Kernel[] = [
  layerNorm,
  layerNormGrad,
  batchNorm,
  batchNormGrad,
  fusedBatchNorm,
];
