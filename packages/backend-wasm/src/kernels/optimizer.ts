import { type TensorInfo, util } from '@tensorflow/tfjs-core';
import { LIGHT } from './elementwise.js';
import { type Block, defineKernel, floatBits, type Kernel } from './kernel.js';

/** Elements with those that fill up the last sixteen: what a tensor takes in the sequence that parts are cut from. */
function padded(size: number): number {
  return Math.ceil(size / 16) * 16;
}

interface AdamAttrs {
  readonly count: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly biasCorrection: boolean;
}

/** Seven streams of memory: 30 µs or more. */
const ADAM_CHUNK = 2 ** 14;

/** core's primitive: Adam's moments and updates, of all parameters in one launch. */
const adamMoments = defineKernel<AdamAttrs>('AdamMoments', ({ inputs, attrs, engine }) => {
  const { count, beta1, beta2, epsilon, biasCorrection } = attrs;
  const read: (Block | null)[] = biasCorrection
    ? [engine.block(inputs.rootScale), engine.block(inputs.epsilon)]
    : [null, null];
  const updates: TensorInfo[] = [];
  const firsts: TensorInfo[] = [];
  const seconds: TensorInfo[] = [];
  const written: Block[][] = [[], [], []];
  const words = [floatBits(1 - beta1), floatBits(1 - beta2), floatBits(epsilon), ADAM_CHUNK];
  let total = 0;
  for (let i = 0; i < count; i++) {
    const update = inputs[`update${i}`];
    const first = inputs[`first${i}`];
    const second = inputs[`second${i}`];
    const { shape } = update;
    updates.push(engine.allocate(shape, 'float32'));
    firsts.push(engine.allocate(shape, 'float32'));
    seconds.push(engine.allocate(shape, 'float32'));
    const size = util.sizeFromShape(shape);
    if (size === 0) continue;
    read.push(engine.block(update), engine.block(first), engine.block(second));
    written[0].push(engine.block(updates[i]));
    written[1].push(engine.block(firsts[i]));
    written[2].push(engine.block(seconds[i]));
    words.push(size);
    total += padded(size);
  }
  read.push(null);
  engine.launch('adamMoments', Math.ceil(total / ADAM_CHUNK), read, written.flat(), words);
  return [...updates, ...firsts, ...seconds];
});

/** core's primitive: whether every element of x0 … is finite. Integers are. */
const allFinite = defineKernel<{ readonly count: number }>('AllFinite', ({ inputs, attrs, engine }) => {
  const read: (Block | null)[] = [];
  const words = [LIGHT];
  let total = 0;
  for (let i = 0; i < attrs.count; i++) {
    const x = inputs[`x${i}`];
    const size = util.sizeFromShape(x.shape);
    if (size === 0 || x.dtype !== 'float32') continue;
    read.push(engine.block(x));
    words.push(size);
    total += padded(size);
  }
  read.push(null);
  const parts = Math.ceil(total / LIGHT);
  const verdicts = engine.scratch(Math.max(1, parts) * 4);
  engine.launch('finiteParts', parts, read, [verdicts], words);
  const out = engine.allocate([], 'bool');
  engine.launch('allTrue', 1, [verdicts], [engine.block(out)], [parts]);
  return [out];
});

export const optimizerKernels: readonly Kernel[] = [adamMoments, allFinite];
