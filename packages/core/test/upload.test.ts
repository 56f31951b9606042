import { engine } from '@tensorflow/tfjs-core';
import { afterEach, expect, test, vi } from 'vitest';
import { release, tensorCount, upload, zeros } from '../src/index.js';
import { cpu } from './support.js';

afterEach(() => vi.restoreAllMocks());

test('an upload that fails in the middle frees what it had uploaded', async () => {
  const backend = await cpu();
  const before = tensorCount();
  const tfjs = engine();
  const make = tfjs.makeTensor.bind(tfjs);
  let calls = 0;
  vi.spyOn(tfjs, 'makeTensor').mockImplementation((...args) => {
    if (++calls === 3) throw new Error('out of memory');
    return make(...args);
  });
  const tree = { a: zeros([2]), b: zeros([2]), c: zeros([2]) };
  expect(() => upload(tree, backend)).toThrow('out of memory');
  expect(tensorCount()).toBe(before);
  const tensors = upload(tree, backend);
  expect(tensorCount()).toBe(before + 3);
  release(tensors);
  expect(tensorCount()).toBe(before);
});
