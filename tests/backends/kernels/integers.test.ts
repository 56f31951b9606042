import type { NdArray } from '@tenon-ml/core';
import { Abs, FloorDiv, Mod, Neg, Relu, Sign, Square } from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { testedDevice } from '../../hosts/tested_backend.js';
import { backendPair, runKernelForAll } from './reference.js';

const { ours, reference } = backendPair();

function integers(...values: number[]): NdArray {
  return { dtype: 'int32', shape: [values.length], data: Int32Array.from(values) };
}

/** Those that float32 doesn't hold are among them. */
const x = integers(0, 1, -1, 7, -7, 2 ** 24 + 1, -(2 ** 24) - 1, 2 ** 31 - 1, -(2 ** 31) + 1);

test.each([Neg, Relu, Sign])('%s of int32 is exact', async (kernel) => {
  const call = { kernel, inputs: { x } };
  expect(await runKernelForAll(ours, call)).toEqual(await runKernelForAll(reference, call));
});

test.each([
  { kernel: Abs, exact: Math.abs, values: [0, 7, -7, 2 ** 24 + 1, -(2 ** 24) - 1, -(2 ** 31) + 1] },
  { kernel: Square, exact: (value: number) => value * value, values: [0, 3, -3, 4097, 46340, -46340] },
])('$kernel of int32 is exact', async ({ kernel, exact, values }) => {
  // On processors tfjs's kernels compute these in float32.
  const all = values.filter((value) => testedDevice === 'gpu' || exact(value) < 2 ** 24);
  const call = { kernel, inputs: { x: integers(...all) } };
  expect(await runKernelForAll(ours, call)).toEqual([integers(...all.map(exact))]);
});

test.each([FloorDiv, Mod])('%s of int32 rounds to −∞, and is exact', async (kernel) => {
  for (const divisor of [1, -1, 2, -2, 3, -3, 7, 2 ** 24 + 3]) {
    const call = { kernel, inputs: { a: x, b: integers(divisor) } };
    expect(await runKernelForAll(ours, call)).toEqual(await runKernelForAll(reference, call));
  }
});
