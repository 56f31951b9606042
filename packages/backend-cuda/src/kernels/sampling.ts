import { Multinomial, type MultinomialAttrs } from '@tensorflow/tfjs-core';
import { typeAttribute } from '../binding.js';
import { defineKernel, type Kernel } from './kernel.js';

/** Classes drawn by their logits, or (`normalized`) by their probabilities: the same ones of the same seed. */
const multinomial = defineKernel<MultinomialAttrs>(
  Multinomial,
  ({ inputs: { logits }, attrs: { numSamples, seed, normalized }, ops }) => {
    const attributes = [
      typeAttribute('T', logits.dtype),
      typeAttribute('Tseed', 'int32'),
      typeAttribute('output_dtype', 'int32'),
    ];
    // tfjs's seeds needn't be whole.
    const words = [...new Int32Array(Float64Array.of(seed).buffer)];
    const drawn = normalized ? ops.map('Log', logits) : logits;
    const inputs = [drawn, ops.integers([numSamples], []), ops.integers(words)];
    return ops.one('StatelessMultinomial', attributes, inputs);
  },
);

export const samplingKernels: readonly Kernel[] = [multinomial];
