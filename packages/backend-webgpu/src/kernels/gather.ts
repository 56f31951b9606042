import {
  backend_util,
  GatherV2,
  type GatherV2Attrs,
  type TensorInfo,
  UnsortedSegmentSum,
  type UnsortedSegmentSumAttrs,
  util,
} from '@tensorflow/tfjs-core';
import { linearGroups } from '../graph.js';
import { elementOf, type Program } from '../program.js';
import { defineKernel, type Kernel } from './kernel.js';
import { powerOfTwo, WORKGROUP } from './layout.js';
import { sumInto } from './reduction.js';

function gatherProgram(element: 'f32' | 'i32', float16: Program['float16'] = 'passes'): Program {
  return {
    key: `gather ${element} ${float16}`,
    outputs: [element],
    inputs: [element, 'i32'],
    uniforms: ['size: u32', 'slice: u32', 'perBatch: u32', 'outer: u32', 'length: u32'],
    workgroup: [WORKGROUP, 1, 1],
    stores: true,
    float16,
    // What is before the first slice is, as an unsigned number, beyond the last one.
    body: `
      let i = (group.y * groups.x + group.x) * ${WORKGROUP}u + lane;
      if (i >= u.size) { return; }
      let place = i / u.slice;
      let block = place / u.perBatch;
      let index = u32(x1[block / u.outer * u.perBatch + place % u.perBatch]);
      var value = ${element === 'f32' ? 'nan()' : '0i'};
      if (index < u.length) { value = x0[(block * u.length + index) * u.slice + i % u.slice]; }
      store(i, value);`,
  };
}

/**
 * Slices along an axis, by int32 indices. A slice whose index is out of bounds is NaN (0 of other dtypes than float32):
 * on a GPU nobody can be told at once, as tfjs-backend-cpu does.
 */
const gather = defineKernel<GatherV2Attrs>(GatherV2, ({ inputs: { x, indices }, attrs, gpu }) => {
  if (!['float32', 'int32', 'bool'].includes(x.dtype) || indices.dtype !== 'int32') return undefined;
  const [axis] = util.parseAxisParam(attrs.axis, x.shape);
  const info = backend_util.segment_util.collectGatherOpShapeInfo(
    x as never,
    indices as never,
    axis,
    attrs.batchDims ?? 0,
  );
  const { batchSize, outerSize, sliceSize, outputShape } = info;
  const out = gpu.allocate(outputShape, x.dtype);
  const perBatch = batchSize === 0 ? 0 : util.sizeFromShape(indices.shape) / batchSize;
  const size = batchSize * outerSize * perBatch * sliceSize;
  if (size === 0) return out;
  const words = [size, sliceSize, perBatch, outerSize, x.shape[axis]];
  gpu.launch(gatherProgram(elementOf(x.dtype)), [x, indices], [out], words, linearGroups(size));
  return out;
});

/** core's op: rows of a table, as embeddings are. In mixed precision they become float16, though the table is a weight. */
const gatherRows = defineKernel('GatherRows', ({ inputs: { table, ids }, gpu }) => {
  const [length, width] = table.shape;
  const [count] = ids.shape;
  const out = gpu.allocate([count, width], 'float32');
  const size = count * width;
  if (size === 0) return out;
  const words = [size, width, count, 1, length];
  gpu.launch(gatherProgram('f32', 'makes'), [table, ids], [out], words, linearGroups(size));
  return out;
});

/** Ids that a workgroup looks at in one go. */
const TILE = 1024;
const WORDS = TILE / 32;
/** Below so many workgroups, each has fewer segments; and if there are still fewer, the rows are cut. */
const WANTED_GROUPS = 256;
/** The most numbers in sums of parts: 16 MB. */
const MOST_PARTIAL = 2 ** 22;

/**
 * Sums of the rows of some segments and columns, by a workgroup that goes through all ids of its part of the rows. It
 * marks those of its segments in a set of bits, which all invocations then go through in order: no id costs more than a
 * comparison, and each sum is made in the order of the rows, whatever runs first.
 */
function segmentSumsProgram(width: number, each: number): Program {
  const teams = WORKGROUP / width;
  const segments = teams * each;
  return {
    key: `segmentSums ${width} ${each}`,
    outputs: ['f32'],
    inputs: ['f32', 'i32'],
    uniforms: [
      'rows: u32',
      'columns: u32',
      'segments: u32',
      'columnBlocks: u32',
      'ranges: u32',
      'chunk: u32',
      'parts: u32',
    ],
    workgroup: [WORKGROUP, 1, 1],
    stores: true,
    declarations: `
      var<workgroup> marks: array<atomic<u32>, ${WORDS}>;
      var<workgroup> ids: array<u32, ${TILE}>;
      var<workgroup> any: atomic<u32>;
      var<workgroup> sums: array<f32, ${width * segments}>;`,
    body: `
      let block = group.y * groups.x + group.x;
      let column = block % u.columnBlocks * ${width}u + lane % ${width}u;
      let first = block / u.columnBlocks % u.ranges * ${segments}u;
      let part = block / u.columnBlocks / u.ranges;
      let team = lane / ${width}u;
      let end = min((part + 1u) * u.chunk, u.rows);
      for (var tile = part * u.chunk; tile < end; tile += ${TILE}u) {
        if (lane < ${WORDS}u) { atomicStore(&marks[lane], 0u); }
        if (lane == 0u) { atomicStore(&any, 0u); }
        workgroupBarrier();
        for (var k = lane; k < ${TILE}u && tile + k < end; k += ${WORKGROUP}u) {
          let id = u32(x1[tile + k]);
          let own = id - first;
          if (own < ${segments}u && id < u.segments) {
            ids[k] = own;
            atomicOr(&marks[k / 32u], 1u << (k % 32u));
            atomicStore(&any, 1u);
          }
        }
        workgroupBarrier();
        if (atomicLoad(&any) != 0u && column < u.columns) {
          for (var word = 0u; word < ${WORDS}u; word++) {
            for (var bits = atomicLoad(&marks[word]); bits != 0u; bits &= bits - 1u) {
              let k = word * 32u + firstTrailingBit(bits);
              let own = ids[k];
              if (own % ${teams}u == team) {
                sums[own * ${width}u + lane % ${width}u] += x0[(tile + k) * u.columns + column];
              }
            }
          }
        }
        workgroupBarrier();
      }
      if (column < u.columns && part < u.parts) {
        for (var own = team; own < ${segments}u && first + own < u.segments; own += ${teams}u) {
          store((part * u.segments + first + own) * u.columns + column, sums[own * ${width}u + lane % ${width}u]);
        }
      }`,
  };
}

/**
 * Sums of rows by the segment that each belongs to: the gradient of `gather`. In an order that depends on shapes only, so
 * they repeat bit for bit. Ids that are no segment are left out. (In tfjs-backend-cpu, which multiplies by masks, a NaN is
 * in every segment; here only in its own.)
 */
const unsortedSegmentSum = defineKernel<UnsortedSegmentSumAttrs>(
  UnsortedSegmentSum,
  ({ inputs, attrs: { numSegments: segments }, gpu }) => {
    const { x, segmentIds } = inputs as { x: TensorInfo; segmentIds: TensorInfo };
    const [rows] = x.shape;
    const fits = segmentIds.shape.length === 1 && segmentIds.shape[0] === rows;
    if (x.dtype !== 'float32' || segmentIds.dtype !== 'int32' || !fits || segments <= 0) return undefined;
    const slice = x.shape.slice(1);
    const columns = util.sizeFromShape(slice);
    const out = gpu.allocate([segments, ...slice], 'float32');
    if (columns === 0) return out;
    const width = Math.min(64, powerOfTwo(columns));
    const columnBlocks = Math.ceil(columns / width);
    const teams = WORKGROUP / width;
    const each = columnBlocks * Math.ceil(segments / (4 * teams)) >= WANTED_GROUPS ? 4 : 1;
    const ranges = Math.ceil(segments / (each * teams));
    const mostParts = Math.min(Math.ceil(rows / WORKGROUP), Math.floor(MOST_PARTIAL / (segments * columns)));
    const wanted = Math.max(1, Math.min(mostParts, Math.ceil(WANTED_GROUPS / (columnBlocks * ranges))));
    const chunk = Math.max(1, Math.ceil(rows / wanted));
    const parts = Math.max(1, Math.ceil(rows / chunk));
    const target = parts === 1 ? out : gpu.allocate([parts, segments, columns], 'float32');
    gpu.launch(
      segmentSumsProgram(width, each),
      [x, segmentIds],
      [target],
      [rows, columns, segments, columnBlocks, ranges, chunk, parts],
      linearGroups(columnBlocks * ranges * parts, 1),
    );
    if (parts > 1) {
      sumInto(gpu, target, out, { outer: 1, count: parts, inner: segments * columns });
      gpu.disposeData(target.dataId);
    }
    return out;
  },
);

export const gatherKernels: readonly Kernel[] = [gather, gatherRows, unsortedSegmentSum];
