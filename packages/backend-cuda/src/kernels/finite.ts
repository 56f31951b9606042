import type { TensorInfo } from '@tensorflow/tfjs-core';
import { boolAttribute, intAttribute, typeAttribute } from '../binding.js';
import { defineKernel, type Kernel } from './kernel.js';
import type { Ops } from './ops.js';

export const finiteKernels: readonly Kernel[] = [
  defineKernel('AllFinite', ({ inputs, ops }) => {
    const each = Object.values(inputs).map((x) =>
      all(ops, ops.one('IsFinite', [typeAttribute('T', 'float32')], [x]), x.shape.length),
    );
    if (each.length === 0) return ops.cast(ops.number(1), 'bool');
    const attributes = [intAttribute('N', each.length), typeAttribute('T', 'bool'), intAttribute('axis', 0)];
    return all(ops, ops.one('Pack', attributes, each), 1);
  }),
];

/** Whether all elements are true. */
function all(ops: Ops, x: TensorInfo, rank: number): TensorInfo {
  const axes = ops.integers(Array.from({ length: rank }, (_, axis) => axis));
  return ops.one('All', [boolAttribute('keep_dims', false), typeAttribute('Tidx', 'int32')], [x, axes]);
}
