import '@tensorflow/tfjs-backend-cpu';
import { memory, setBackend, tensor, tidy } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { euclideanNorm } from '../src/index.js';

beforeAll(async () => {
  await setBackend('cpu');
});

describe('euclideanNorm', () => {
  it('is the square root of the sum of squares', () => {
    const value = fc.float({ min: -10, max: 10, noNaN: true });
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 30 }), (values) => {
        const norm = tidy(() => euclideanNorm(tensor(values)).arraySync());
        expect(norm).toBeCloseTo(Math.hypot(...values), 3);
      }),
    );
  });

  it('refuses other dtypes, and leaves no tensor behind', () => {
    const integers = tensor([1, 2], [2], 'int32');
    const before = memory().numTensors;
    expect(() => euclideanNorm(integers)).toThrow(/euclideanNorm: expected a float32 tensor, got int32/);
    expect(memory().numTensors).toBe(before);
    integers.dispose();
  });
});
