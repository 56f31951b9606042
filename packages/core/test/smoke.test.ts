import '@tensorflow/tfjs-backend-cpu';
import { add, matMul, mul, relu, sum, type Tensor, type Tensor2D } from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { compile, createKey, fromNested, philox4x32, read, scalar, tensorCount, tfjsBackend, toNested, valueAndGrad } from '../src/index.js';

test('smoke', async () => {
  const out = new Uint32Array(4);
  philox4x32(0, 0, 0, 0, 0, 0, out, 0);
  expect([...out].map((x) => x.toString(16))).toEqual(['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']);
  const backend = tfjsBackend('cpu');
  await backend.init();
  const before = tensorCount();
  const step = compile(
    (params: { w: Tensor }, x: Tensor, lr: Tensor) => {
      const { value, grads } = valueAndGrad((p: { w: Tensor }) => sum(relu(matMul(x as Tensor2D, p.w as Tensor2D))))(params);
      return { params: { w: add(params.w, mul(lr, grads.w)) }, loss: value };
    },
    { backend, donate: [0] },
  );
  let params: Parameters<typeof step>[0] = { w: createKey(1).normal([2, 3]) };
  const x = fromNested([[1, 2]]);
  for (let i = 0; i < 3; i++) {
    const { params: next, loss } = step(params, x, scalar(0.1));
    params = next;
    console.log(toNested(await read(loss)));
  }
  expect(tensorCount()).toBe(before + 1);
});
