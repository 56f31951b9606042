import { sizeOf } from '@tenon-ml/core';
import { backend_util, Mean, type MeanAttrs, util } from '@tensorflow/tfjs-core';
import { defineKernel, type Kernel } from './kernel.js';

/** The mean over axes, in float32; of nothing it is 0, as tfjs has it. */
const mean = defineKernel<MeanAttrs>(Mean, ({ inputs: { x }, attrs: { axis, keepDims }, ops }) => {
  const axes = util.parseAxisParam(axis, x.shape);
  const [outShape, reduced] = backend_util.computeOutAndReduceShapes(x.shape, axes);
  if (sizeOf(reduced) === 0) {
    return ops.fill(keepDims ? backend_util.expandShapeToKeepDim(outShape, axes) : outShape, 0);
  }
  return ops.reduce('Mean', ops.float(x), axes, keepDims);
});

export const reductionKernels: readonly Kernel[] = [mean];
