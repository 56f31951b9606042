import { choose, compile, fromNested, ndarray, read } from '@tenon-ml/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { backendPair, expectBits, randomArray } from './reference.js';

const { ours, reference } = backendPair();

test('Choose gives the bits of one of its inputs, whatever is in the other, on every backend', async () => {
  const on = (backend: typeof ours) =>
    compile((condition: Tensor, yes: Tensor, no: Tensor) => choose(condition, yes, no), { backend });
  const functions = [on(ours), on(reference)];
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat({ max: 4 }), { maxLength: 4 }),
      fc.boolean(),
      fc.nat(),
      async (shape, condition, seed) => {
        const yes = randomArray(seed, shape, true);
        const no = randomArray(seed + 1, shape, true);
        for (const f of functions) {
          const chosen = await read(f(fromNested(condition, 'bool'), yes, no));
          expectBits(chosen, condition ? yes : no);
        }
      },
    ),
  );
});

test('Choose refuses what is not of one shape and dtype, and a condition that is no scalar', () => {
  const f = compile((condition: Tensor, yes: Tensor, no: Tensor) => choose(condition, yes, no), {
    backend: ours,
  });
  const yes = fromNested([1, 2], 'float32');
  const condition = fromNested(true, 'bool');
  expect(() => f(condition, yes, fromNested([1, 2, 3], 'float32'))).toThrow(
    'choose: expected a bool scalar as the condition',
  );
  expect(() => f(condition, yes, ndarray('int32', [2], Int32Array.of(1, 2)))).toThrow('int32 [2]');
  expect(() => f(fromNested([true, false], 'bool'), yes, yes)).toThrow('bool [2]');
});
