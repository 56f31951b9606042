import { compile, fromNested, read } from '@tenon-ml/core';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { started, testedBackend } from '../hosts/tested_backend.js';

const [recording] = started(testedBackend());

/** Calls enough for a recording, and some that are replayed. */
const CALLS = 4;

test('the same expression is another program for another dtype', async () => {
  const product = compile((a: tf.Tensor, b: tf.Tensor) => tf.mul(a, b), { backend: recording });
  for (let i = 0; i < CALLS; i++) {
    for (const dtype of ['float32', 'int32'] as const) {
      const result = await read(product(fromNested([2, i], dtype), fromNested([4, 5], dtype)));
      expect([...result.data]).toEqual([8, 5 * i]);
    }
  }
  expect(product.explain().replayed).toBe(2 * (CALLS - 2));
});
