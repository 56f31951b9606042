import { type NdArray, sizeOf } from '@tenon-ml/core';
import { expect, test } from 'vitest';
import { arrayOf } from './inputs.js';
import { largeTransposes, longRuns, movements } from './movement_cases.js';
import { backendPair, expectBits, runKernelForAll } from './reference.js';

const { ours, reference } = backendPair();

test.each(movements)('$name', async ({ check }) => {
  await check(async (call) => {
    expectBits(await runKernelForAll(ours, call), await runKernelForAll(reference, call));
  });
});

test.each(largeTransposes)('Transpose of $shape by $perm', async ({ shape, perm }) => {
  const x = arrayOf(1, shape);
  const [{ data }] = await runKernelForAll(ours, { kernel: 'Transpose', inputs: { x }, attrs: { perm } });
  const inverse = perm.map((_, i) => perm.indexOf(i));
  const back = perm.map((axis) => shape[axis]);
  const y = { dtype: 'float32', shape: back, data } as NdArray;
  const call = { kernel: 'Transpose', inputs: { x: y }, attrs: { perm: inverse } };
  expectBits(await runKernelForAll(ours, call), [x]);
  // That it isn't the identity.
  const stride = sizeOf(shape.slice(perm[perm.length - 1] + 1));
  expect(data[1]).toEqual(x.data[stride]);
});

test('Slice refuses what is outside, as the reference', async () => {
  const call = { kernel: 'Slice', inputs: { x: arrayOf(1, [3, 4]) }, attrs: { begin: [1, 2], size: [2, 3] } };
  await expect(runKernelForAll(ours, call)).rejects.toThrow('begin[1] + size[1] (5) would overflow');
});

test('Concat of unlike shapes or dtypes is refused as by the reference', async () => {
  const other = [arrayOf(1, [2, 3]), arrayOf(2, [3, 3])];
  const call = { kernel: 'Concat', inputs: other as never, attrs: { axis: 1 } };
  await expect(runKernelForAll(ours, call)).rejects.toThrow('does not match the shape of the rest');
});

function array(shape: readonly number[], data: Float32Array): NdArray {
  return { dtype: 'float32', shape, data };
}

test('long runs: copies, joins and padding', async () => {
  const [x, y] = [longRuns.x.data as Float32Array, longRuns.y.data as Float32Array];
  const all = new Float32Array(4 * 70_001);
  all.set(x);
  all.set(y, 3 * 70_001);
  expectBits(await runKernelForAll(ours, longRuns.concat), [array([4, 70_001], all)]);
  expectBits(await runKernelForAll(ours, longRuns.slice), [array([2, 70_001], x.slice(70_001))]);
  const framed = new Float32Array(6 * 70_001).fill(7);
  framed.set(x, 70_001);
  expectBits(await runKernelForAll(ours, longRuns.pad), [array([6, 70_001], framed)]);
});
