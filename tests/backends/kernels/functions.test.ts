import type { NdArray } from '@tenon-ml/core';
import { expectClose } from '@tenon-ml/testkit';
import { expect, test } from 'vitest';
import { testedDevice } from '../../hosts/tested_backend.js';
import { evenly, functions } from './functions_cases.js';
import { backendPair, expectSame, runKernel } from './reference.js';

const { ours } = backendPair();

function arrayOf(data: Float32Array): NdArray {
  return { dtype: 'float32', shape: [data.length], data };
}

test.each(functions)('$kernel is the function, as close as the table has it', async (row) => {
  const { kernel, exact, from, to } = row;
  const x = evenly(from, to, 100_000);
  const y = (await runKernel(ours, { kernel, inputs: { x: arrayOf(x) } })).data as Float32Array;
  // In pieces, each measured by its own largest value: all at once would measure by the largest of all.
  const length = 50;
  for (let start = 0; start < x.length; start += length) {
    const wanted = Float32Array.from(x.subarray(start, start + length), exact);
    const name = `${kernel} from ${x[start]}`;
    const options = { op: 'transcendental', dtype: 'float32', device: testedDevice, name } as const;
    expectClose(y.subarray(start, start + length), wanted, options);
  }
});

test.each(functions)('$kernel is right at 0, the infinities and NaN', async ({ kernel, exact }) => {
  // A GPU need not know −0, whose inverse is another infinity, nor denormals.
  const few = testedDevice === 'gpu' ? [] : [-0, 1e-45, -1e-45];
  const data = Float32Array.of(0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN, ...few);
  const y = await runKernel(ours, { kernel, inputs: { x: arrayOf(data) } });
  expect(y.data).toHaveLength(data.length);
  expectSame(y, arrayOf(data.map(exact)), { op: 'transcendental' });
});

test.each(functions)('$kernel gives an element the same wherever it stands', async ({ kernel, from, to }) => {
  const data = evenly(from, to, 37);
  const whole = await runKernel(ours, { kernel, inputs: { x: arrayOf(data) } });
  for (let start = 1; start < 8; start++) {
    const part = await runKernel(ours, { kernel, inputs: { x: arrayOf(data.slice(start)) } });
    expectSame(part, arrayOf((whole.data as Float32Array).slice(start)), { op: 'transcendental' });
  }
});
