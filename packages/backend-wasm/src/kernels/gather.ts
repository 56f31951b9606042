import {
  backend_util,
  GatherV2,
  type GatherV2Attrs,
  type TensorInfo,
  UnsortedSegmentSum,
  type UnsortedSegmentSumAttrs,
  util,
} from '@tensorflow/tfjs-core';
import { defineKernel, floatBits, type Kernel } from './kernel.js';
import { cut, isMovable, widthOf } from './runs.js';

/** Additions that make a part: some 20 µs. */
const PART_ADDITIONS = 2 ** 16;
/** The fewest columns that are worth a part of their own: a cache line. */
const FEWEST_COLUMNS = 16;
/** The most ranges of segments: each of them reads all ids. */
const MOST_RANGES = 16;

/**
 * Slices along an axis, by int32 indices. An index out of bounds is an error, as in tfjs-backend-cpu; where a recorded
 * step meets one, when nobody can be told at once, its slice is NaN (0 of other dtypes than float32).
 */
const gather = defineKernel<GatherV2Attrs>(GatherV2, ({ inputs: { x, indices }, attrs, engine }) => {
  if (!isMovable(x) || indices.dtype !== 'int32') return undefined;
  const [axis] = util.parseAxisParam(attrs.axis, x.shape);
  const length = x.shape[axis];
  // The original throws.
  if (!engine.holds(indices, 0, length - 1)) return undefined;
  const info = backend_util.segment_util.collectGatherOpShapeInfo(
    x as never,
    indices as never,
    axis,
    attrs.batchDims ?? 0,
  );
  const { batchSize, outerSize, sliceSize } = info;
  const out = engine.allocate(info.outputShape, x.dtype);
  const perBatch = batchSize === 0 ? 0 : util.sizeFromShape(indices.shape) / batchSize;
  const rows = batchSize * outerSize * perBatch;
  const bytes = sliceSize * widthOf(x);
  if (rows * bytes === 0) return out;
  const { perPart } = cut(rows, bytes);
  engine.launch(
    'gatherRows',
    Math.ceil(rows / perPart),
    [engine.block(x), engine.block(indices)],
    [engine.block(out)],
    [rows, perPart, perBatch, outerSize, length, bytes, x.dtype === 'float32' ? NAN_BITS : 0],
  );
  return out;
});

const NAN_BITS = floatBits(Number.NaN);

/**
 * Sums of rows by the segment that each belongs to: the gradient of `gather`. float32 sums in the order of the rows. Ids
 * that are no segment are left out. (In tfjs-backend-cpu, which multiplies by masks, a NaN is in every segment; here only
 * in its own.)
 */
const unsortedSegmentSum = defineKernel<UnsortedSegmentSumAttrs>(
  UnsortedSegmentSum,
  ({ inputs, attrs: { numSegments: segments }, engine }) => {
    const { x, segmentIds } = inputs as { x: TensorInfo; segmentIds: TensorInfo };
    const [rows] = x.shape;
    const fits = segmentIds.shape.length === 1 && segmentIds.shape[0] === rows;
    if (x.dtype !== 'float32' || segmentIds.dtype !== 'int32' || !fits || segments <= 0) return undefined;
    const slice = x.shape.slice(1);
    const columns = util.sizeFromShape(slice);
    const out = engine.allocate([segments, ...slice], 'float32');
    if (columns === 0) return out;
    const parts = Math.ceil(((rows + segments) * columns) / PART_ADDITIONS);
    const groups = Math.min(parts, Math.ceil(columns / FEWEST_COLUMNS));
    const perGroup = Math.ceil(columns / groups / FEWEST_COLUMNS) * FEWEST_COLUMNS;
    const ranges = Math.min(Math.ceil(parts / groups), MOST_RANGES, segments);
    const perRange = Math.ceil(segments / ranges);
    engine.launch(
      'segmentSums',
      Math.ceil(segments / perRange) * Math.ceil(columns / perGroup),
      [engine.block(x), engine.block(segmentIds)],
      [engine.block(out)],
      [rows, columns, segments, perRange, perGroup],
    );
    return out;
  },
);

export const gatherKernels: readonly Kernel[] = [gather, unsortedSegmentSum];
