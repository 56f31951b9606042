import {
  _FusedMatMul,
  type _FusedMatMulAttrs,
  BatchMatMul,
  type BatchMatMulAttrs,
  Einsum,
  type EinsumAttrs,
} from '@tensorflow/tfjs-core';
import { finish } from './epilogue.js';
import { defineKernel, type Kernel } from './kernel.js';

const fusedMatMul = defineKernel<_FusedMatMulAttrs>(_FusedMatMul, ({ inputs, attrs, ops }) => {
  const { a, b, bias, preluActivationWeights } = inputs;
  const { transposeA, transposeB, activation, leakyreluAlpha } = attrs;
  const product = ops.matMul(a, b, { transposeA, transposeB });
  return finish(ops, product, { bias, preluActivationWeights, activation, leakyreluAlpha });
});

const batchMatMul = defineKernel<BatchMatMulAttrs>(BatchMatMul, ({ inputs: { a, b }, attrs, ops }) => {
  if (a.shape.includes(0) || b.shape.includes(0)) return undefined;
  return ops.matMul(a, b, attrs);
});

/** TensorFlow takes a label that no input has for an axis of one element; tfjs for a mistake. */
const einsum = defineKernel<EinsumAttrs>(Einsum, ({ attrs: { equation } }) => {
  const [from, to = ''] = equation.split('->');
  for (const label of to.match(/[a-z]/gi) ?? []) {
    if (from.includes(label)) continue;
    throw new Error(`Output subscripts contain the label ${label} not present in the input subscripts.`);
  }
  return undefined;
});

export const matmulKernels: readonly Kernel[] = [batchMatMul, fusedMatMul, einsum];
