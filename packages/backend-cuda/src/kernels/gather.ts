import {
  backend_util,
  GatherV2,
  type GatherV2Attrs,
  ScatterNd,
  type ScatterNdAttrs,
  SparseSegmentMean,
  SparseSegmentSum,
  type Tensor,
  UnsortedSegmentSum,
  type UnsortedSegmentSumAttrs,
  util,
} from '@tensorflow/tfjs-core';
import { intAttribute, typeAttribute } from '../binding.js';
import { defineKernel, type Kernel } from './kernel.js';

/**
 * Slices of x by their indices. Of an index out of range TensorFlow throws on a processor; on a GPU, where nothing can, it
 * gives zeros.
 */
const gather = defineKernel<GatherV2Attrs>(
  GatherV2,
  ({ inputs: { x, indices }, attrs: { axis, batchDims }, ops }) => {
    const [$axis] = util.parseAxisParam(axis, x.shape);
    backend_util.segment_util.collectGatherOpShapeInfo(x as Tensor, indices as Tensor, $axis, batchDims);
    const attributes = [
      intAttribute('batch_dims', batchDims),
      typeAttribute('Tparams', x.dtype),
      typeAttribute('Tindices', indices.dtype),
      typeAttribute('Taxis', 'int32'),
    ];
    try {
      return ops.one('GatherV2', attributes, [x, indices, ops.integers([$axis], [])]);
    } catch (error) {
      const [, index] = /= (-?\d+) is not in \[0, \d+\)/.exec((error as Error).message) ?? [];
      if (index === undefined) throw error;
      const last = x.shape[$axis] - 1;
      throw new Error(`GatherV2: the index value ${index} is not in [0, ${last}]`, { cause: error });
    }
  },
);

/** Sums of slices by the segment that each belongs to. Those of no segment are left out. */
const segmentSum = defineKernel<UnsortedSegmentSumAttrs>(
  UnsortedSegmentSum,
  ({ inputs: { x, segmentIds }, attrs: { numSegments }, ops }) => {
    const attributes = [
      typeAttribute('T', x.dtype),
      typeAttribute('Tindices', 'int32'),
      typeAttribute('Tnumsegments', 'int32'),
    ];
    const count = ops.integers([numSegments], []);
    // On a processor TensorFlow leaves out negative ones alone, and throws of the others.
    const ids = ops.isOnGpu
      ? segmentIds
      : ops.map('SelectV2', ops.map('Less', segmentIds, count), segmentIds, ops.integers([-1], []));
    return ops.one('UnsortedSegmentSum', attributes, [x, ids, count]);
  },
);

/** Zeros, with updates added at indices. A vector of indices is one of rows. */
const scatter = defineKernel<ScatterNdAttrs>(
  ScatterNd,
  ({ inputs: { indices, updates }, attrs: { shape }, ops }) => {
    const rows = indices.shape.length === 1 ? ops.reshape(indices, [indices.shape[0], 1]) : indices;
    const attributes = [typeAttribute('T', updates.dtype), typeAttribute('Tindices', 'int32')];
    return ops.one('ScatterNd', attributes, [rows, updates, ops.integers(shape)]);
  },
);

/** Sums or means of rows that are picked by indices, by the segments that they are for: how many those are the values say. */
const sparseSegmentKernels = [SparseSegmentSum, SparseSegmentMean].map((kernelName) =>
  defineKernel(kernelName, ({ inputs: { data, indices, segmentIds }, ops }) => {
    if (data.dtype !== 'float32') return undefined;
    const attributes = [
      typeAttribute('T', 'float32'),
      typeAttribute('Tidx', indices.dtype),
      typeAttribute('Tsegmentids', segmentIds.dtype),
    ];
    return ops.one(kernelName, attributes, [data, indices, segmentIds]);
  }),
);

export const gatherKernels: readonly Kernel[] = [gather, segmentSum, scatter, ...sparseSegmentKernels];
