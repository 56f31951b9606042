import { util } from '@tensorflow/tfjs-core';
import { defineKernel } from './kernel.js';

/** Bytes of a part. */
const CHUNK = 2 ** 17;

/** core's op: a copy of one of two tensors, by a bool scalar, which is read where the copy is made. */
export const choose = defineKernel('Choose', ({ inputs: { condition, yes, no }, engine }) => {
  if (condition.dtype !== 'bool' || !['float32', 'int32', 'bool'].includes(yes.dtype)) return undefined;
  const out = engine.allocate(yes.shape, yes.dtype);
  const bytes = util.sizeFromShape(yes.shape) * (yes.dtype === 'bool' ? 1 : 4);
  engine.launch(
    'choose',
    Math.ceil(bytes / CHUNK),
    [engine.block(condition), engine.block(yes), engine.block(no)],
    [engine.block(out)],
    [bytes, CHUNK],
  );
  return out;
});
