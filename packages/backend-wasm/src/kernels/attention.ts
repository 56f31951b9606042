import { type TensorInfo, util } from '@tensorflow/tfjs-core';
import { type Block, defineKernel, type Engine, floatBits, type Kernel } from './kernel.js';
import { product } from './product.js';

interface Attrs {
  readonly causal: boolean;
  readonly scale: number;
}

/** Where attention is causal, the fewest and the most pieces of queries: each passes over no more keys than it sees. */
const FEWEST_QUERIES = 64;
const MOST_BLOCKS = 4;
/** Weights that make a part: some 20 µs. */
const PART_WEIGHTS = 2 ** 12;

/** Sizes of a call: `count` matrices, one for each example and head. */
interface Sizes {
  readonly count: number;
  readonly queries: number;
  readonly keys: number;
  /** Of a query and a key. */
  readonly size: number;
  /** Of a value. */
  readonly width: number;
  /** Queries of a block. */
  readonly block: number;
}

/** The op `Attention` of core: softmax(scale · Q·Kᵀ) · V, for each example and head. */
const attention = defineKernel<Attrs>('Attention', ({ inputs: { query, key, value }, attrs, engine }) => {
  const sizes = sizesOf(query, key, value, attrs.causal);
  if (!sizes) return undefined;
  const { width } = sizes;
  const out = engine.allocate([...query.shape.slice(0, 3), width], 'float32');
  const weights = weightsOf(engine, query, key, sizes, attrs);
  timesRows(engine, weights, engine.block(value), engine.block(out), sizes, attrs.causal, width);
  return out;
});

/**
 * Its gradients with respect to query, key and value. The weights are computed again: they would fill far more memory than
 * what they come from.
 */
const attentionGrad = defineKernel<Attrs>('AttentionGrad', ({ inputs, attrs, engine }) => {
  const { dy, query, key, value } = inputs as { [name: string]: TensorInfo };
  const { causal } = attrs;
  const sizes = sizesOf(query, key, value, causal);
  if (!sizes || dy.dtype !== 'float32') return undefined;
  const { queries, keys, size, width } = sizes;
  if (!util.arraysEqual(dy.shape, [...query.shape.slice(0, 3), width])) return undefined;
  const dquery = engine.allocate(query.shape, 'float32');
  const dkey = engine.allocate(key.shape, 'float32');
  const dvalue = engine.allocate(value.shape, 'float32');
  const above = engine.block(dy);
  const weights = weightsOf(engine, query, key, sizes, attrs);
  timesColumns(engine, weights, above, engine.block(dvalue), sizes, causal, width);
  const scores = engine.scratch(4 * sizes.count * queries * keys);
  rowsTimes(engine, above, engine.block(value), scores, sizes, causal, width);
  launchRows(engine, 'attentionWeightsGrad', [weights, scores], scores, sizes, attrs);
  timesRows(engine, scores, engine.block(key), engine.block(dquery), sizes, causal, size);
  timesColumns(engine, scores, engine.block(query), engine.block(dkey), sizes, causal, size);
  return [dquery, dkey, dvalue];
});

function sizesOf(query: TensorInfo, key: TensorInfo, value: TensorInfo, causal: boolean): Sizes | undefined {
  for (const { dtype, shape } of [query, key, value]) {
    if (dtype !== 'float32' || shape.length !== 4) return undefined;
  }
  const [batch, heads, queries, size] = query.shape;
  const [, , keys, width] = value.shape;
  if (!util.arraysEqual(key.shape, [batch, heads, keys, size])) return undefined;
  if (value.shape[0] !== batch || value.shape[1] !== heads) return undefined;
  const block = causal
    ? Math.max(FEWEST_QUERIES, Math.ceil(queries / MOST_BLOCKS / 8) * 8)
    : Math.max(1, queries);
  return { count: batch * heads, queries, keys, size, width, block };
}

/** softmax(scale · Q·Kᵀ), [count, queries, keys]; of a causal one, only what the products below read. */
function weightsOf(engine: Engine, query: TensorInfo, key: TensorInfo, sizes: Sizes, attrs: Attrs): Block {
  const weights = engine.scratch(4 * sizes.count * sizes.queries * sizes.keys);
  rowsTimes(engine, engine.block(query), engine.block(key), weights, sizes, attrs.causal, sizes.size);
  launchRows(engine, 'attentionWeights', [weights], weights, sizes, attrs);
  return weights;
}

function launchRows(
  engine: Engine,
  kernel: 'attentionWeights' | 'attentionWeightsGrad',
  inputs: readonly Block[],
  output: Block,
  { count, queries, keys, block }: Sizes,
  { causal, scale }: Attrs,
): void {
  const rows = keys === 0 ? 0 : count * queries;
  const perPart = Math.max(1, Math.floor(PART_WEIGHTS / Math.max(1, keys)));
  const integers = [rows, queries, keys, block, Number(causal), floatBits(scale), perPart];
  engine.launch(kernel, Math.ceil(rows / perPart), inputs, [output], integers);
}

/** a·bᵀ, a [queries, inner] and b [keys, inner]: of a causal one, for each block of queries the keys that it sees. */
function rowsTimes(
  engine: Engine,
  a: Block,
  b: Block,
  out: Block,
  { count, queries, keys, block }: Sizes,
  causal: boolean,
  inner: number,
): void {
  for (let first = 0; first < queries; first += block) {
    const last = Math.min(first + block, queries);
    product(engine, {
      a,
      b,
      out,
      rows: last - first,
      inner,
      columns: causal ? Math.min(last, keys) : keys,
      transposeB: true,
      outRowStride: keys,
      aOffset: first * inner,
      outOffset: first * keys,
      batch: count,
      aStride: queries * inner,
      bStride: keys * inner,
      outStride: queries * keys,
    });
  }
}

/** a·b, a [queries, keys] and b [keys, columns]. */
function timesRows(
  engine: Engine,
  a: Block,
  b: Block,
  out: Block,
  { count, queries, keys, block }: Sizes,
  causal: boolean,
  columns: number,
): void {
  for (let first = 0; first < queries; first += block) {
    const last = Math.min(first + block, queries);
    product(engine, {
      a,
      b,
      out,
      rows: last - first,
      inner: causal ? Math.min(last, keys) : keys,
      columns,
      aRowStride: keys,
      aOffset: first * keys,
      outOffset: first * columns,
      batch: count,
      aStride: queries * keys,
      bStride: keys * columns,
      outStride: queries * columns,
    });
  }
}

/** aᵀ·b, a [queries, keys] and b [queries, columns]: of a causal one, for each block of keys the queries that see it. */
function timesColumns(
  engine: Engine,
  a: Block,
  b: Block,
  out: Block,
  { count, queries, keys, block }: Sizes,
  causal: boolean,
  columns: number,
): void {
  const length = causal ? block : Math.max(1, keys);
  for (let first = 0; first < keys; first += length) {
    const skipped = causal ? Math.min(first, queries) : 0;
    product(engine, {
      a,
      b,
      out,
      rows: Math.min(first + length, keys) - first,
      inner: queries - skipped,
      columns,
      transposeA: true,
      aRowStride: keys,
      aOffset: skipped * keys + first,
      bOffset: skipped * columns,
      outOffset: first * columns,
      batch: count,
      aStride: queries * keys,
      bStride: queries * columns,
      outStride: keys * columns,
    });
  }
}

export const attentionKernels: readonly Kernel[] = [attention, attentionGrad];
