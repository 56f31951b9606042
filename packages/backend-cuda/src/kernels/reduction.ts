import { sizeOf } from '@tenon-ml/core';
import {
  ArgMax,
  type ArgMaxAttrs,
  ArgMin,
  backend_util,
  Mean,
  type MeanAttrs,
  util,
} from '@tensorflow/tfjs-core';
import { typeAttribute } from '../binding.js';
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

/** Where the largest or the least is along an axis: the first of several. tfjs-node's takes no bools. */
const extremeKernels = [ArgMax, ArgMin].map((kernelName) =>
  defineKernel<ArgMaxAttrs>(kernelName, ({ inputs: { x }, attrs: { axis }, ops }) => {
    const numbers = x.dtype === 'bool' ? ops.cast(x, 'int32') : x;
    const attributes = [
      typeAttribute('T', numbers.dtype),
      typeAttribute('Tidx', 'int32'),
      typeAttribute('output_type', 'int32'),
    ];
    const [$axis] = util.parseAxisParam(axis, x.shape);
    return ops.one(kernelName, attributes, [numbers, ops.integers([$axis], [])]);
  }),
);

export const reductionKernels: readonly Kernel[] = [mean, ...extremeKernels];
