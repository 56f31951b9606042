import { util } from '@tensorflow/tfjs-core';
import { defineKernel, type Kernel } from './kernel.js';

/** Elements of a part: some 20 µs. */
const PART = 2 ** 14;

/** The domain of draws inside of steps, core's STEP_DOMAIN. */
const STEP_DOMAIN = 5;

interface PhiloxUniformAttrs {
  readonly site: number;
  readonly shape: readonly number[];
}

/** The op `PhiloxUniform` of core: the same bits. The key is read when the kernel runs, so that a step can be replayed. */
const philoxUniform = defineKernel<PhiloxUniformAttrs>(
  'PhiloxUniform',
  ({ inputs: { key }, attrs: { site, shape }, engine }) => {
    const out = engine.allocate(shape, 'float32');
    const size = util.sizeFromShape(shape as number[]);
    engine.launch(
      'philoxUniform',
      Math.ceil(size / PART),
      [engine.block(key)],
      [engine.block(out)],
      [size, site | 0, STEP_DOMAIN, PART],
    );
    return out;
  },
);

export const randomKernels: readonly Kernel[] = [philoxUniform];
