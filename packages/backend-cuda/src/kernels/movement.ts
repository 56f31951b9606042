import { sizeOf } from '@tenon-ml/core';
import {
  backend_util,
  Concat,
  type ConcatAttrs,
  Diag,
  Reshape,
  type ReshapeAttrs,
  Slice,
  type SliceAttrs,
  slice_util,
  type TensorInfo,
  util,
} from '@tensorflow/tfjs-core';
import { defineKernel, type Kernel } from './kernel.js';

/** Another shape of the same values. */
const reshape = defineKernel<ReshapeAttrs>(Reshape, ({ inputs: { x }, attrs, ops }) => {
  const size = sizeOf(x.shape);
  const shape = util.inferFromImplicitShape(attrs.shape, size);
  if (sizeOf(shape) !== size) {
    throw new Error(
      `The new shape (${shape}) has ${sizeOf(shape)} elements and the old shape (${x.shape}) has ${size}: ` +
        'their numbers must match.',
    );
  }
  return util.arraysEqual(shape, x.shape) ? ops.alias(x) : ops.reshape(x, shape);
});

/** A box of an array: `size` elements along each axis, from `begin`. */
const slice = defineKernel<SliceAttrs>(Slice, ({ inputs: { x }, attrs, ops }) => {
  const [begin, size] = slice_util.parseSliceParams(x, attrs.begin, attrs.size);
  slice_util.assertParamsValid(x, begin, size);
  return util.arraysEqual(size, x.shape) ? ops.alias(x) : ops.slice(x, begin, size);
});

/** Arrays one after another along an axis; those without elements don't count. */
const concat = defineKernel<ConcatAttrs>(Concat, ({ inputs, attrs, ops }) => {
  const tensors = Object.values(inputs) as TensorInfo[];
  const [axis] = util.parseAxisParam(attrs.axis, tensors[0].shape);
  const shapes = tensors.map(({ shape }) => shape);
  backend_util.assertParamsConsistent(shapes, axis);
  const filled = tensors.filter(({ shape }) => sizeOf(shape) > 0);
  if (filled.length > 0) return ops.concat(filled, axis);
  const shape = backend_util.computeOutShape(shapes, axis);
  return util.arraysEqual(shape, shapes[0]) ? ops.alias(tensors[0]) : ops.reshape(tensors[0], shape);
});

/** A tensor with x on its diagonal. TensorFlow has none of bool. */
const diag = defineKernel(Diag, ({ inputs: { x }, ops }) =>
  x.dtype === 'bool' ? ops.cast(ops.map('Diag', ops.cast(x, 'int32')), 'bool') : undefined,
);

export const movementKernels: readonly Kernel[] = [reshape, slice, concat, diag];
