import { typeAttribute } from '../binding.js';
import { defineKernel, type Kernel } from './kernel.js';

export const crossEntropyKernels: readonly Kernel[] = [
  // It also gives a gradient, which is for targets that add up to 1: ours need not.
  defineKernel('SoftmaxCrossEntropy', ({ inputs: { logits, target }, ops }) => {
    const attributes = [typeAttribute('T', 'float32')];
    return ops.all('SoftmaxCrossEntropyWithLogits', attributes, [logits, target], 2)[0];
  }),
  defineKernel('SoftmaxCrossEntropyGrad', ({ inputs: { dy, logits, target }, ops }) => {
    const weight = ops.reduce('Sum', target, [1], true);
    const slope = ops.map('Sub', ops.map('Mul', ops.map('Softmax', logits), weight), target);
    return ops.map('Mul', ops.reshape(dy, [dy.shape[0], 1]), slope);
  }),
];
