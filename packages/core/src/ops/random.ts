import type { Tensor } from '@tensorflow/tfjs-core';
import type { RandomSource } from '../context.js';
import { STEP_DOMAIN } from '../key.js';
import { sizeOf } from '../ndarray.js';
import { defineOp, type OpDefinition } from '../op.js';
import { philoxWords, unitFloat } from '../philox.js';

type Inputs = { readonly key: Tensor };
type Attrs = { readonly site: number; readonly shape: readonly number[] };

/**
 * Uniform numbers in [0, 1) from (key, site, index): element i is the upper 24 bits of word i mod 4 of
 * Philox4x32-10 at the counter (⌊i/4⌋, 0, site, 5), times 2⁻²⁴. Equal on every backend.
 */
export const philoxUniformDefinition: OpDefinition<Inputs, Attrs> = {
  name: 'PhiloxUniform',
  host({ key }, { site, shape }) {
    const words: readonly [number, number] = [Number(key.data[0]) >>> 0, Number(key.data[1]) >>> 0];
    const bits = philoxWords(words, site, STEP_DOMAIN, sizeOf(shape));
    return { dtype: 'float32', shape, data: Float32Array.from(bits, unitFloat) };
  },
};

const philoxUniform = defineOp(philoxUniformDefinition);

/**
 * Uniform float32 numbers in [0, 1) of a shape, inside a step: `randomUniform(context.random, input.shape)`. A layer
 * that draws more than once in a call tells the draws apart by `draw`.
 */
export function randomUniform(random: RandomSource, shape: readonly number[], draw = 0): Tensor {
  const site = draw === 0 ? random.site : (random.site ^ Math.imul(draw, 0x9e3779b1)) >>> 0;
  return philoxUniform({ key: random.key }, { site, shape });
}
