import { LeakyRelu, Prelu, type TensorInfo } from '@tensorflow/tfjs-core';
import { floatAttribute, typeAttribute } from '../binding.js';
import { defineKernel, type Kernel } from './kernel.js';
import type { Ops } from './ops.js';

/** What a fused kernel does to its product, by the names of tfjs's. */
export interface Epilogue {
  readonly bias?: TensorInfo;
  readonly preluActivationWeights?: TensorInfo;
  readonly activation?: string | null;
  readonly leakyreluAlpha?: number;
}

/** Adds a bias to a product, whose last axis is that of the channels, and applies an activation. */
export function finish(ops: Ops, product: TensorInfo, epilogue: Epilogue): TensorInfo {
  const { bias, activation, preluActivationWeights, leakyreluAlpha } = epilogue;
  const shifted = bias ? addBias(ops, product, bias) : product;
  switch (activation ?? 'linear') {
    case 'linear':
      return shifted;
    case 'relu':
      return ops.map('Relu', shifted);
    case 'relu6':
      return ops.map('Relu6', shifted);
    case 'elu':
      return ops.map('Elu', shifted);
    case 'sigmoid':
      return ops.map('Sigmoid', shifted);
    case 'leakyrelu':
      return leakyRelu(ops, shifted, leakyreluAlpha);
    case 'prelu':
      return prelu(ops, shifted, preluActivationWeights as TensorInfo);
    default:
      throw new Error(`There is no activation '${activation}' on this backend.`);
  }
}

function addBias(ops: Ops, product: TensorInfo, bias: TensorInfo): TensorInfo {
  const { shape } = product;
  const channels = shape[shape.length - 1];
  const isVector = bias.shape.length === 1 && bias.shape[0] === channels;
  return ops.map(isVector && shape.length > 1 ? 'BiasAdd' : 'AddV2', product, bias);
}

/** tfjs's default is 0.2, as TensorFlow's. Of integers it gives float32. */
function leakyRelu(ops: Ops, x: TensorInfo, alpha = 0.2): TensorInfo {
  const attributes = [floatAttribute('alpha', alpha), typeAttribute('T', 'float32')];
  return ops.one('LeakyRelu', attributes, [ops.float(x)]);
}

/** x where it is not negative, α · x elsewhere, also where one of them is infinite; float32. */
function prelu(ops: Ops, input: TensorInfo, alpha: TensorInfo): TensorInfo {
  const x = ops.float(input);
  const negative = ops.map('Less', x, ops.number(0));
  return ops.map('SelectV2', negative, ops.map('Mul', ops.float(alpha), x), x);
}

export const epilogueKernels: readonly Kernel[] = [
  defineKernel<{ readonly alpha?: number }>(LeakyRelu, ({ inputs: { x }, attrs: { alpha }, ops }) =>
    leakyRelu(ops, x, alpha),
  ),
  defineKernel(Prelu, ({ inputs: { x, alpha }, ops }) => prelu(ops, x, alpha)),
];
