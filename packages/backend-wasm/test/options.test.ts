import { compile, fromNested, read } from '@tenon-ml/core';
import { matMul, type Tensor, type Tensor2D } from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { type WasmOptions, wasm } from '../src/index.js';

const x = fromNested([
  [1, 1],
  [0, 1],
]);

/** The results of four calls of x · x, and how they ran. */
async function squares(options: WasmOptions): Promise<{ results: number[][]; replayed: number }> {
  const backend = wasm(options);
  await backend.init();
  const square = compile((a: Tensor) => matMul(a as Tensor2D, a as Tensor2D), { backend });
  const results: number[][] = [];
  for (let i = 0; i < 4; i++) results.push([...(await read(square(x))).data].map(Number));
  const { replayed } = square.explain();
  await backend.dispose();
  return { results, replayed };
}

test('profile is told of every kernel, eager or replayed, and changes nothing', async () => {
  const seen: string[] = [];
  const { results, replayed } = await squares({
    profile: (kernel, milliseconds) => {
      expect(milliseconds).toBeGreaterThanOrEqual(0);
      seen.push(kernel);
    },
  });
  expect(results).toEqual(Array(4).fill([1, 2, 0, 1]));
  expect(replayed).toBe(2);
  expect(seen.filter((kernel) => kernel === 'gemm')).toHaveLength(4);
});

test('record: false runs every call eagerly', async () => {
  const { results, replayed } = await squares({ record: false });
  expect(results).toEqual(Array(4).fill([1, 2, 0, 1]));
  expect(replayed).toBe(0);
});

test('dryRun runs no kernel', async () => {
  const { results, replayed } = await squares({ dryRun: true, poison: true });
  expect(results).not.toContainEqual([1, 2, 0, 1]);
  expect(replayed).toBe(2);
});
