import type { TensorInfo } from '@tensorflow/tfjs-core';
import { boolAttribute, floatAttribute, stringAttribute, typeAttribute } from '../binding.js';
import { defineKernel, type Kernel } from './kernel.js';
import type { Ops } from './ops.js';

interface Attrs {
  readonly epsilon: number;
}

const attributesOf = (epsilon: number, training: boolean) => [
  typeAttribute('T', 'float32'),
  typeAttribute('U', 'float32'),
  floatAttribute('epsilon', epsilon),
  stringAttribute('data_format', 'NHWC'),
  boolAttribute('is_training', training),
];

/** Rows of features as images of one pixel, which TensorFlow's ops are for. */
function pixels(ops: Ops, x: TensorInfo): TensorInfo {
  const [rows, features] = x.shape;
  return ops.reshape(x, [rows, 1, 1, features]);
}

export const normalizationKernels: readonly Kernel[] = [
  defineKernel<Attrs>('BatchNorm', ({ inputs, attrs: { epsilon }, ops }) => {
    const { x, mean, variance, scale, bias } = inputs;
    if (x.shape[0] === 0) return ops.reshape(x, x.shape);
    const given = [pixels(ops, x), scale, bias, mean, variance];
    return ops.reshape(ops.all('FusedBatchNormV3', attributesOf(epsilon, false), given, 6)[0], x.shape);
  }),
  defineKernel<Attrs>('BatchNormGrad', ({ inputs, attrs: { epsilon }, ops }) => {
    const { dy, x, scale, mean, variance } = inputs;
    // What the forward op keeps: the variance, or with cuDNN one over the deviation.
    const kept = ops.isOnGpu ? ops.map('Rsqrt', ops.map('Add', variance, ops.number(epsilon))) : variance;
    const given = [pixels(ops, dy), pixels(ops, x), scale, mean, kept, ops.number(0)];
    const [dx, dscale, dbias] = ops.all('FusedBatchNormGradV3', attributesOf(epsilon, true), given, 5);
    return [ops.reshape(dx, x.shape), dscale, dbias];
  }),
];
