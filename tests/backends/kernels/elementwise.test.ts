import { Relu, Sqrt, Step } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { backendPair, randomArray, runKernel } from './reference.js';

const { ours, reference } = backendPair();

const shapes = fc.array(fc.nat({ max: 5 }), { maxLength: 5 });

test.each([
  { kernel: Relu, attrs: {} },
  { kernel: Sqrt, attrs: {} },
  { kernel: Step, attrs: { alpha: 0 } },
  { kernel: Step, attrs: { alpha: 0.25 } },
])('$kernel gives the bits of the reference: $attrs', ({ kernel, attrs }) => {
  fc.assert(
    fc.property(shapes, fc.nat(), fc.boolean(), (shape, seed, special) => {
      const call = { kernel, inputs: { x: randomArray(seed, shape, special) }, attrs };
      expect(runKernel(ours, call)).toEqual(runKernel(reference, call));
    }),
  );
});
