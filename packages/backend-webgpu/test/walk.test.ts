process.env.VK_DRIVER_FILES = process.env.VK_ICD_FILENAMES = '/usr/lib/chromium/vk_swiftshader_icd.json';

import { compile, fromNested, read, scalar } from '@tenon-ml/core';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { webgpu } from '../src/index.js';

test('walks', async () => {
  const backend = webgpu();
  console.log(await backend.init());
  const f = compile(
    (a: tf.Tensor2D, b: tf.Tensor2D, c: tf.Tensor) => {
      const y = tf.relu(tf.add(tf.matMul(a, b), tf.mul(c, 2)));
      return { y, s: tf.sum(tf.square(y)), e: tf.exp(tf.neg(y)) };
    },
    { backend },
  );
  for (let i = 0; i < 4; i++) {
    const out = await read(
      f(
        fromNested([
          [1, 2],
          [3, 4],
        ]),
        fromNested([
          [1, i],
          [0, 1],
        ]),
        scalar(i),
      ),
    );
    console.log(JSON.stringify(out), f.explain());
  }
  console.log(backend.memory?.());
  await backend.dispose();
  expect(1).toBe(1);
});
