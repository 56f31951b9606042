import { defineKernel, type Kernel } from './kernel.js';

/** TensorFlow has the gradients of the first three as ops. */
export const activationKernels: readonly Kernel[] = [
  defineKernel('ReluGrad', ({ inputs: { dy, y }, ops }) => ops.map('ReluGrad', dy, y)),
  defineKernel('SigmoidGrad', ({ inputs: { dy, y }, ops }) => ops.map('SigmoidGrad', y, dy)),
  defineKernel('TanhGrad', ({ inputs: { dy, y }, ops }) => ops.map('TanhGrad', y, dy)),
];
