import {
  BitwiseAnd,
  Cast,
  type CastAttrs,
  ClipByValue,
  type ClipByValueAttrs,
  Exp,
  Greater,
  GreaterEqual,
  Less,
  LessEqual,
  Round,
  Sign,
  Step,
  type StepAttrs,
  type TensorInfo,
} from '@tensorflow/tfjs-core';
import { onHostWhere } from './host_kernel.js';
import { defineKernel, type Kernel } from './kernel.js';
import type { Ops } from './ops.js';

/** 1 of what is positive, −1 of what is negative; of NaN it is 0, as tfjs has it. */
const sign = defineKernel(Sign, ({ inputs: { x }, ops }) => {
  const signs = ops.map('Sign', x);
  if (x.dtype !== 'float32') return signs;
  return ops.map('SelectV2', isNaNOf(ops, x), ops.number(0), signs);
});

/** 1 of what is positive, `alpha` of the rest, NaN of NaN. */
const step = defineKernel<StepAttrs>(Step, ({ inputs: { x }, attrs: { alpha = 0 }, ops }) => {
  if (alpha === 0) return ops.map('Relu', ops.map('Sign', x));
  if (x.dtype !== 'float32') return undefined;
  const steps = ops.map('SelectV2', ops.map('Greater', x, ops.number(0)), ops.number(1), ops.number(alpha));
  return ops.map('SelectV2', isNaNOf(ops, x), x, steps);
});

function isNaNOf(ops: Ops, x: TensorInfo): TensorInfo {
  return ops.map('IsNan', x);
}

/** Halves go to the even side; integers stay, which TensorFlow takes for something else. */
const round = defineKernel(Round, ({ inputs: { x }, ops }) =>
  x.dtype === 'int32' ? ops.alias(x) : undefined,
);

/** The same values in another type; in their own, they are shared. */
const cast = defineKernel<CastAttrs>(Cast, ({ inputs: { x }, attrs: { dtype }, ops }) =>
  x.dtype === dtype ? ops.alias(x) : undefined,
);

/** tfjs-node's disposes of integers that it is given. */
const exp = defineKernel(Exp, ({ inputs: { x }, ops }) => ops.map('Exp', ops.float(x)));

const clip = defineKernel<ClipByValueAttrs>(
  ClipByValue,
  ({ inputs: { x }, attrs: { clipValueMin, clipValueMax }, ops }) => {
    if (x.dtype !== 'float32') return undefined;
    return ops.map('ClipByValue', x, ops.number(clipValueMin), ops.number(clipValueMax));
  },
);

const bitwiseAnd = defineKernel(BitwiseAnd, ({ inputs: { a, b }, ops }) => ops.map('BitwiseAnd', a, b));

/** TensorFlow orders no strings: these are compared on the host. */
const comparisons = [Greater, GreaterEqual, Less, LessEqual].map((kernelName) =>
  onHostWhere(
    defineKernel(kernelName, () => undefined),
    ({ inputs }) => (inputs.a as TensorInfo).dtype === 'string',
  ),
);

export const elementwiseKernels: readonly Kernel[] = [
  sign,
  step,
  round,
  cast,
  exp,
  clip,
  bitwiseAnd,
  ...comparisons,
];
