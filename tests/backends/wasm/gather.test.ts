import { compile, type NdArray, read } from '@tenon-ml/core';
import { gather, type Tensor } from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { indicesOf } from '../kernels/inputs.js';
import { backendPair, randomArray, runKernel, runKernelForAll } from '../kernels/reference.js';
import { expectCut } from './parts.js';

const { ours, reference } = backendPair({ poison: true });

test('GatherV2 refuses an index out of bounds, as the reference', async () => {
  for (const index of [-1, 4]) {
    const inputs = { x: randomArray(1, [4, 3]), indices: indicesOf([2], [0, index]) };
    const call = { kernel: 'GatherV2', inputs, attrs: { axis: 0, batchDims: 0 } };
    for (const backend of [ours, reference]) {
      await expect(runKernel(backend, call)).rejects.toThrow(`the index value ${index} is not in [0, 3]`);
    }
  }
});

test('a replayed GatherV2 gives NaN for an index out of bounds', async () => {
  const lookUp = compile((x: Tensor, indices: Tensor) => gather(x, indices as never), { backend: ours });
  const x = randomArray(1, [5, 3]);
  const at = async (index: number): Promise<NdArray> =>
    (await read(lookUp(x, indicesOf([2], [index, 1])))) as unknown as NdArray;
  for (let index = 0; index < 3; index++) await at(index);
  expect(lookUp.explain().mode).toBe('replayed');
  const expected = Float32Array.of(...new Float32Array(3).fill(Number.NaN), ...x.data.slice(3, 6));
  expect((await at(5)).data).toEqual(expected);
  expect((await at(-1)).data).toEqual(expected);
});

test('GatherV2 of many slices, cut', async () => {
  const indices = indicesOf(
    [3000],
    Array.from({ length: 3000 }, (_, i) => (i * 7919) % 300),
  );
  const inputs = { x: randomArray(1, [300, 65], true), indices };
  const call = { kernel: 'GatherV2', inputs, attrs: { axis: 0, batchDims: 0 } };
  await expectCut(ours, () => runKernelForAll(ours, call), { parts: 3 });
});

test.each([
  { rows: 2000, columns: 100, segments: 65 },
  { rows: 900, columns: 40, segments: 4001 },
  { rows: 70_000, columns: 1, segments: 300 },
  { rows: 100, columns: 3000, segments: 3 },
])('UnsortedSegmentSum of $rows × $columns to $segments, cut', async ({ rows, columns, segments }) => {
  const ids = Array.from({ length: rows }, (_, i) => ((i * 7919) % (segments + 1)) - 1);
  const inputs = { x: randomArray(1, [rows, columns], true), segmentIds: indicesOf([rows], ids) };
  const call = { kernel: 'UnsortedSegmentSum', inputs, attrs: { numSegments: segments } };
  await expectCut(ours, () => runKernelForAll(ours, call), { parts: 1 });
});
