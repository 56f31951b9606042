import { intAttribute, typeAttribute } from '../binding.js';
import { defineKernel, type Kernel } from './kernel.js';

export const finiteKernels: readonly Kernel[] = [
  // x·0 is 0 for every finite x and NaN for the others, so a sum asks about all of a tensor, and can't overflow. That is
  // quicker than All of IsFinite, which TensorFlow computes one by one.
  defineKernel('AllFinite', ({ inputs, ops }) => {
    const zero = ops.number(0);
    const doubts = Object.values(inputs).map((x) =>
      ops.reduce(
        'Sum',
        ops.map('Mul', x, zero),
        x.shape.map((_, axis) => axis),
      ),
    );
    if (doubts.length === 0) return ops.cast(ops.number(1), 'bool');
    const all = ops.one('AddN', [intAttribute('N', doubts.length), typeAttribute('T', 'float32')], doubts);
    return ops.one('IsFinite', [typeAttribute('T', 'float32')], [all]);
  }),
];
