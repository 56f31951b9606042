import { type TensorInfo, util } from '@tensorflow/tfjs-core';
import { defineKernel, floatBits, type Kernel } from './kernel.js';
import { PART_VECTORS, partsOf, vectorsOf } from './parts.js';

interface AdamAttrs {
  readonly count: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly biasCorrection: boolean;
}

/** Core's op: Adam's moments, and the updates made of them, of all parameters. */
const adamMoments = defineKernel<AdamAttrs>('AdamMoments', ({ inputs, attrs, engine }) => {
  const { count, beta1, beta2, epsilon, biasCorrection } = attrs;
  const rootScale = biasCorrection ? engine.block(inputs.rootScale) : null;
  const added = biasCorrection ? engine.block(inputs.epsilon) : null;
  const rates = [floatBits(1 - beta1), floatBits(1 - beta2), floatBits(epsilon)];
  const results: TensorInfo[] = new Array(3 * count);
  for (let i = 0; i < count; i++) {
    const update = inputs[`update${i}`];
    const vectors = vectorsOf(util.sizeFromShape(update.shape));
    for (let slot = 0; slot < 3; slot++) results[slot * count + i] = engine.allocate(update.shape, 'float32');
    engine.launch(
      'adamMoments',
      partsOf(vectors),
      [
        engine.block(update),
        engine.block(inputs[`first${i}`]),
        engine.block(inputs[`second${i}`]),
        rootScale,
        added,
      ],
      [engine.block(results[i]), engine.block(results[count + i]), engine.block(results[2 * count + i])],
      [vectors, PART_VECTORS, ...rates],
    );
  }
  return results;
});

/** Core's op: whether every element of all the inputs is finite, as a bool scalar. */
const allFinite = defineKernel('AllFinite', ({ inputs, engine }) => {
  const out = engine.allocate([], 'bool');
  const tensors = Object.values(inputs);
  const sizes = tensors.map(({ shape }) => util.sizeFromShape(shape));
  const total = sizes.reduce((sum, size) => sum + partsOf(vectorsOf(size)), 0);
  const doubts = engine.scratch(4 * total);
  let first = 0;
  for (const [i, size] of sizes.entries()) {
    const parts = partsOf(vectorsOf(size));
    engine.launch('findNotFinite', parts, [engine.block(tensors[i])], [doubts], [size, PART_VECTORS, first]);
    first += parts;
  }
  engine.launch('noDoubt', 1, [doubts], [engine.block(out)], [total]);
  return [out];
});

export const optimizerKernels: readonly Kernel[] = [adamMoments, allFinite];
