import { Transform, type TransformAttrs } from '@tensorflow/tfjs-core';
import { stringAttribute, typeAttribute } from '../binding.js';
import { defineKernel, type Kernel } from './kernel.js';

/** Images seen through a projection each, or all through one. */
const transform = defineKernel<TransformAttrs>(
  Transform,
  ({ inputs: { image, transforms }, attrs: { interpolation, fillMode, fillValue, outputShape }, ops }) => {
    const [, height, width] = image.shape;
    const attributes = [
      typeAttribute('dtype', image.dtype),
      stringAttribute('interpolation', interpolation.toUpperCase()),
      stringAttribute('fill_mode', fillMode.toUpperCase()),
    ];
    const size = ops.integers(outputShape ?? [height, width]);
    const inputs = [image, transforms, size, ops.number(fillValue)];
    return ops.one('ImageProjectiveTransformV3', attributes, inputs);
  },
);

export const imageKernels: readonly Kernel[] = [transform];
