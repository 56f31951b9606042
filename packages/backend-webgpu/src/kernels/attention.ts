import { type TensorInfo, util } from '@tensorflow/tfjs-core';
import { floatBits } from '../data.js';
import type { GpuBackend } from '../gpu_backend.js';
import { linearGroups } from '../graph.js';
import type { Program } from '../program.js';
import type { Subgroups } from '../subgroups.js';
import { overRows } from './attention_rows.js';
import {
  blocked,
  CHUNK,
  chunks,
  PITCH,
  rowsTimesRows,
  TILE,
  TILES,
  tileTimesRows,
} from './attention_tiles.js';
import { variantOf } from './join.js';
import { defineKernel, type Kernel } from './kernel.js';
import { WORKGROUP } from './layout.js';

interface Attrs {
  readonly causal: boolean;
  readonly scale: number;
}

/** Sizes of a call: `count` matrices, one for each example and head. */
interface Sizes {
  readonly count: number;
  readonly queries: number;
  readonly keys: number;
  /** Of a query and a key. */
  readonly size: number;
  /** Of a value. */
  readonly width: number;
}

const UNIFORMS = ['count', 'queries', 'keys', 'size', 'width', 'causal', 'blocks', 'columnGroups']
  .map((name) => `${name}: u32`)
  .concat('scale: f32');

/** Tiles, and the weights of scores. */
const DECLARATIONS = `
  ${TILES}
  fn largestOf(scores: vec4f) -> f32 {
    return maximum(maximum(scores.x, scores.y), maximum(scores.z, scores.w));
  }
  fn isLowest(x: f32) -> bool { return bitcast<u32>(x) == 0xff800000u; }
  // e^(score − high). Where all scores so far are −∞, none has a weight yet.
  fn weightOf(score: f32, high: f32) -> f32 {
    if (isLowest(high)) { return 0f; }
    return exponential(score - high);
  }
  fn weightsOf(scores: vec4f, high: f32) -> vec4f {
    return vec4f(weightOf(scores.x, high), weightOf(scores.y, high), weightOf(scores.z, high), weightOf(scores.w, high));
  }`;

/** Begins a program whose workgroups each have a block of queries. */
const ofQueries = (count: number): string => `
  ${blocked(count)}
  let query = begin + row;
  // Keys beyond are hidden from the row, and from all rows of the block.
  let seen = select(u.keys, min(query + 1u, u.keys), u.causal != 0u);
  let end = select(0u, select(u.keys, min(begin + ${TILE}u, u.keys), u.causal != 0u), matrix < u.count);`;

/** Scores of the block's queries with the keys from `start` on; those that are hidden are −∞. */
const SCORES = `
  var scores = vec4f();
  ${rowsTimesRows('scores', { name: 'query', first: 'begin', size: 'size' }, { name: 'key', first: 'start', size: 'size' })}
  let key = vec4u(start + column) + vec4u(0u, 8u, 16u, 24u);
  let shown = key < vec4u(seen);
  scores = select(vec4f(-infinity()), scores * u.scale, shown);`;

const ABOVE = `
  var above = vec4f();
  ${rowsTimesRows('above', { name: 'dy', first: 'begin', size: 'width' }, { name: 'value', first: 'start', size: 'width' })}`;

/** Weights that a tile of scores has so far, the sums of a row rescaled where a higher score comes. */
const ONLINE = `
  let higher = maximum(high, largestOfRow(lane, scores));
  let rescaling = weightOf(high, higher);
  high = higher;
  let weights = weightsOf(scores, high);
  total = total * rescaling + dot(weights, vec4f(1f));`;

function program(
  subgroups: Subgroups | undefined,
  name: string,
  count: number,
  inputs: readonly string[],
  outputs: number,
  body: string,
  stores = false,
): Program {
  const names = inputs.map((input, k) => [new RegExp(`\\b${input}Data\\b`, 'g'), `x${k}`] as const);
  return {
    key: `${name} ${count}${variantOf(subgroups)}`,
    outputs: Array(outputs).fill('f32'),
    inputs: inputs.map(() => 'f32'),
    uniforms: UNIFORMS,
    workgroup: [WORKGROUP, 1, 1],
    stores,
    ...(name !== 'attentionStatistics' && { float16: 'makes' }),
    declarations: `${DECLARATIONS}\n${overRows(subgroups)}`,
    body: names.reduce((text, [pattern, binding]) => text.replace(pattern, binding), body),
  };
}

/**
 * softmax(scale · Q·Kᵀ) · V, a block of queries a workgroup, which passes over the keys in blocks: weights are relative to
 * the largest score so far, and what was summed is rescaled where a larger one comes. Milakov and Gimelshein 2018, "Online
 * normalizer calculation for softmax"; Dao et al. 2022, "FlashAttention".
 */
function forwardProgram(count: number, subgroups: Subgroups | undefined): Program {
  const all = chunks(count);
  return program(
    subgroups,
    'attention',
    count,
    ['query', 'key', 'value'],
    1,
    `
    ${ofQueries(count)}
    var high = -infinity();
    var total = 0f;
    ${all.map((c) => `var out${c} = vec4f();`).join(' ')}
    for (var start = 0u; start < end; start += ${TILE}u) {
      ${SCORES}
      ${ONLINE}
      for (var j = 0u; j < 4u; j++) { weight[row * ${PITCH}u + column + 8u * j] = weights[j]; }
      ${all.map((c) => `out${c} = out${c} * rescaling;`).join(' ')}
      ${tileTimesRows(count, 'out', 'weight', { name: 'value', first: 'start', size: 'width' })}
    }
    total = sumOfRow(lane, total);
    ${all
      .map(
        (c) => `for (var j = 0u; j < 4u; j++) {
          let at = firstColumn + ${c * CHUNK}u + column + 8u * j;
          if (matrix < u.count && query < u.queries && at < u.width) {
            store((matrix * u.queries + query) * u.width + at, select(out${c}[j] / total, nan(), isLowest(high)));
          }
        }`,
      )
      .join('\n')}`,
    true,
  );
}

/** What the gradient needs of each query: its largest score, Σ e^(score − largest), and Σ P∘dP. */
function statisticsProgram(_: number, subgroups: Subgroups | undefined): Program {
  return program(
    subgroups,
    'attentionStatistics',
    1,
    ['dy', 'query', 'key', 'value'],
    1,
    `
    ${ofQueries(1)}
    var high = -infinity();
    var total = 0f;
    var tilt = 0f;
    for (var start = 0u; start < end; start += ${TILE}u) {
      ${SCORES}
      ${ABOVE}
      ${ONLINE}
      tilt = tilt * rescaling + dot(select(vec4f(), weights * above, shown), vec4f(1f));
    }
    total = sumOfRow(lane, total);
    tilt = sumOfRow(lane, tilt);
    if (matrix < u.count && query < u.queries && column == 0u) {
      let at = 3u * (matrix * u.queries + query);
      y0[at] = high;
      y0[at + 1u] = total;
      y0[at + 2u] = tilt / total;
    }`,
  );
}

/** dquery = scale · dS·K, with dS = P ∘ (dP − Σ P∘dP), of a block of queries. */
function queryGradProgram(count: number, subgroups: Subgroups | undefined): Program {
  const all = chunks(count);
  return program(
    subgroups,
    'attentionQueryGrad',
    count,
    ['dy', 'query', 'key', 'value', 'known'],
    1,
    `
    ${ofQueries(count)}
    let at = 3u * (matrix * u.queries + query);
    let high = knownData[at];
    let total = knownData[at + 1u];
    let tilt = knownData[at + 2u];
    ${all.map((c) => `var out${c} = vec4f();`).join(' ')}
    for (var start = 0u; start < end; start += ${TILE}u) {
      ${SCORES}
      ${ABOVE}
      let slopes = select(vec4f(), weightsOf(scores, high) / total * (above - tilt) * u.scale, shown);
      for (var j = 0u; j < 4u; j++) { weight[row * ${PITCH}u + column + 8u * j] = slopes[j]; }
      ${tileTimesRows(count, 'out', 'weight', { name: 'key', first: 'start', size: 'size' })}
    }
    ${all
      .map(
        (c) => `for (var j = 0u; j < 4u; j++) {
          let place = firstColumn + ${c * CHUNK}u + column + 8u * j;
          if (matrix < u.count && query < u.queries && place < u.size) {
            store((matrix * u.queries + query) * u.size + place, out${c}[j]);
          }
        }`,
      )
      .join('\n')}`,
    true,
  );
}

/** dkey = scale · dSᵀ·Q and dvalue = Pᵀ·dy, of a block of keys, which passes over the queries that see it. */
function keyGradProgram(count: number, subgroups: Subgroups | undefined): Program {
  const all = chunks(count);
  const written = (name: string, output: string, size: string): string =>
    all
      .map(
        (c) => `for (var j = 0u; j < 4u; j++) {
          let place = firstColumn + ${c * CHUNK}u + column + 8u * j;
          if (matrix < u.count && key < u.keys && place < u.${size}) {
            ${output}[(matrix * u.keys + key) * u.${size} + place] = ${name}${c}[j];
          }
        }`,
      )
      .join('\n');
  return program(
    subgroups,
    'attentionKeyGrad',
    count,
    ['dy', 'query', 'key', 'value', 'known'],
    2,
    `
    ${blocked(count)}
    let key = begin + row;
    let end = select(0u, u.queries, matrix < u.count);
    ${all.map((c) => `var dkey${c} = vec4f(); var dvalue${c} = vec4f();`).join(' ')}
    for (var start = select(0u, begin, u.causal != 0u); start < end; start += ${TILE}u) {
      var scores = vec4f();
      ${rowsTimesRows('scores', { name: 'key', first: 'begin', size: 'size' }, { name: 'query', first: 'start', size: 'size' })}
      var above = vec4f();
      ${rowsTimesRows('above', { name: 'value', first: 'begin', size: 'width' }, { name: 'dy', first: 'start', size: 'width' })}
      // The last products have to be done with the tile that is written here.
      workgroupBarrier();
      for (var j = 0u; j < 4u; j++) {
        let query = start + column + 8u * j;
        var share = 0f;
        var slope = 0f;
        if (query < u.queries && key < u.keys && (u.causal == 0u || key <= query)) {
          let at = 3u * (matrix * u.queries + query);
          share = weightOf(scores[j] * u.scale, knownData[at]) / knownData[at + 1u];
          slope = share * (above[j] - knownData[at + 2u]) * u.scale;
        }
        weight[row * ${PITCH}u + column + 8u * j] = share;
        left[row * ${PITCH}u + column + 8u * j] = slope;
      }
      ${tileTimesRows(count, 'dvalue', 'weight', { name: 'dy', first: 'start', size: 'width' })}
      ${tileTimesRows(count, 'dkey', 'left', { name: 'query', first: 'start', size: 'size' })}
    }
    ${written('dkey', 'y0', 'size')}
    ${written('dvalue', 'y1', 'width')}`,
  );
}

/** The chunks of columns that a workgroup makes: all of them, up to the registers' limit. */
const MOST_CHUNKS = 4;

/** Runs a program on blocks of so many rows, which makes columns of some sizes. */
function launch(
  gpu: GpuBackend,
  of: (count: number, subgroups: Subgroups | undefined) => Program,
  inputs: readonly TensorInfo[],
  outputs: readonly TensorInfo[],
  { sizes, attrs, rows, columns }: { sizes: Sizes; attrs: Attrs; rows: number; columns: number },
): void {
  const { count, queries, keys, size, width } = sizes;
  const all = Math.max(1, Math.ceil(columns / CHUNK));
  const held = Math.min(all, MOST_CHUNKS);
  const columnGroups = Math.ceil(all / held);
  const blocks = Math.ceil(rows / TILE);
  if (count * blocks === 0) return;
  gpu.launch(
    of(held, gpu.subgroups),
    inputs,
    outputs,
    [count, queries, keys, size, width, Number(attrs.causal), blocks, columnGroups, floatBits(attrs.scale)],
    linearGroups(count * blocks * columnGroups, 1),
  );
}

function sizesOf({ shape }: TensorInfo, value: TensorInfo): Sizes {
  const [batch, heads, queries, size] = shape;
  const [, , keys, width] = value.shape;
  return { count: batch * heads, queries, keys, size, width };
}

/** The op `Attention` of core: softmax(scale · Q·Kᵀ) · V, for each example and head. */
const attention = defineKernel<Attrs>('Attention', ({ inputs: { query, key, value }, attrs, gpu }) => {
  const sizes = sizesOf(query, value);
  const { queries, keys, width } = sizes;
  const shape = [...query.shape.slice(0, 3), width];
  if (keys === 0 || width === 0) return gpu.map(shape, 'float32', [], '0f');
  const out = gpu.allocate(shape, 'float32');
  launch(gpu, forwardProgram, [query, key, value], [out], { sizes, attrs, rows: queries, columns: width });
  return out;
});

/** Its gradients with respect to query, key and value, from weights that are computed again. */
const attentionGrad = defineKernel<Attrs>('AttentionGrad', ({ inputs, attrs, gpu }) => {
  const { dy, query, key, value } = inputs;
  const sizes = sizesOf(query, value);
  const { count, queries, keys, size, width } = sizes;
  if (queries * keys * size * width === 0) {
    return [query, key, value].map(({ shape }) => gpu.map(shape, 'float32', [], '0f'));
  }
  const results = [query, key, value].map(({ shape }) => gpu.allocate(shape, 'float32'));
  if (util.sizeFromShape(query.shape) === 0) return results;
  const known = gpu.allocate([count * queries, 3], 'float32');
  const given = [dy, query, key, value];
  const call = { sizes, attrs, rows: queries };
  launch(gpu, statisticsProgram, given, [known], { ...call, columns: 1 });
  launch(gpu, queryGradProgram, [...given, known], [results[0]], { ...call, columns: size });
  const columns = Math.max(size, width);
  launch(gpu, keyGradProgram, [...given, known], results.slice(1), { sizes, attrs, rows: keys, columns });
  gpu.disposeData(known.dataId);
  return results;
});

export const attentionKernels: readonly Kernel[] = [attention, attentionGrad];
