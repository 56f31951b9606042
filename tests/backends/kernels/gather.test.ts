import { compile, type NdArray, read, sizeOf } from '@tenon-ml/core';
import { gather, type Tensor } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { indicesOf } from './inputs.js';
import {
  backendPair,
  expectAgreement,
  expectBits,
  expectSame,
  manyRuns,
  randomArray,
  runKernel,
  runKernelForAll,
} from './reference.js';

const { ours, reference } = backendPair();

const lengths = fc.integer({ min: 0, max: 6 });

test('GatherV2, along every axis, with batches', async () => {
  const cases = fc
    .record({
      batch: fc.array(lengths, { maxLength: 2 }),
      outer: fc.array(lengths, { maxLength: 1 }),
      length: fc.integer({ min: 1, max: 9 }),
      slice: fc.array(fc.oneof(lengths, fc.constant(19)), { maxLength: 2 }),
      list: fc.array(lengths, { maxLength: 2 }),
    })
    .chain((parts) =>
      fc.record({
        parts: fc.constant(parts),
        dtype: fc.constantFrom('float32', 'int32', 'bool'),
        seed: fc.nat(),
        batched: fc.boolean(),
      }),
    );
  await fc.assert(
    fc.asyncProperty(
      cases,
      async ({ parts: { batch, outer, length, slice, list }, dtype, seed, batched }) => {
        // The reference divides by an empty batch.
        fc.pre(!batched || !batch.includes(0));
        const before = [...batch, ...outer];
        const batchDims = batched ? batch.length : 0;
        const values = randomArray(seed, [...before, length, ...slice], dtype === 'float32');
        const converted =
          dtype === 'bool'
            ? Uint8Array.from(values.data, (v) => Number(v > 0))
            : Int32Array.from(values.data, (v) => 100 * v);
        const x = (dtype === 'float32' ? values : { ...values, dtype, data: converted }) as NdArray;
        const shape = [...batch.slice(0, batchDims), ...list];
        const random = randomArray(seed + 1, shape).data;
        const indices = indicesOf(
          shape,
          Array.from(random, (v) => Math.floor(Math.abs(v) * 100) % length),
        );
        const call = {
          kernel: 'GatherV2',
          inputs: { x, indices },
          attrs: { axis: before.length, batchDims },
        };
        expectBits(await runKernelForAll(ours, call), await runKernelForAll(reference, call));
      },
    ),
    manyRuns(200),
  );
});

test('a replayed GatherV2 looks up new indices', async () => {
  const lookUp = compile((x: Tensor, indices: Tensor) => gather(x, indices as never), { backend: ours });
  const x = randomArray(1, [5, 3]);
  const at = async (index: number): Promise<NdArray> =>
    (await read(lookUp(x, indicesOf([2], [index, 1])))) as unknown as NdArray;
  const row = (index: number) => x.data.slice(3 * index, 3 * index + 3);
  for (let index = 0; index < 5; index++) {
    expect((await at(index)).data).toEqual(Float32Array.of(...row(index), ...row(1)));
  }
  expect(lookUp.explain().mode).toBe('replayed');
});

test('GatherV2 of many slices', async () => {
  const x = randomArray(1, [300, 65], true);
  const indices = indicesOf(
    [3000],
    Array.from({ length: 3000 }, (_, i) => (i * 7919) % 300),
  );
  const call = { kernel: 'GatherV2', inputs: { x, indices }, attrs: { axis: 0, batchDims: 0 } };
  const data = Float32Array.from({ length: 3000 * 65 }, (_, i) => {
    const row = indices.data[Math.floor(i / 65)];
    return x.data[65 * row + (i % 65)];
  });
  expectBits(await runKernel(ours, call), { dtype: 'float32', shape: [3000, 65], data });
});

test('UnsortedSegmentSum is the reference', async () => {
  const cases = fc.record({
    rows: fc.integer({ min: 0, max: 12 }),
    slice: fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 2 }),
    segments: fc.integer({ min: 1, max: 8 }),
    seed: fc.nat(),
  });
  await fc.assert(
    fc.asyncProperty(cases, async ({ rows, slice, segments, seed }) => {
      const random = randomArray(seed + 1, [rows]).data;
      // From −1 to one more than there are.
      const ids = Array.from(random, (v) => (Math.floor(Math.abs(v) * 100) % (segments + 2)) - 1);
      const inputs = { x: randomArray(seed, [rows, ...slice]), segmentIds: indicesOf([rows], ids) };
      const call = { kernel: 'UnsortedSegmentSum', inputs, attrs: { numSegments: segments } };
      const options = { op: 'sum', reduction: Math.max(1, rows) } as const;
      expectAgreement(await runKernel(ours, call), await runKernel(reference, call), options);
    }),
    manyRuns(200),
  );
});

/** Which NaN a sum is, is the processor's matter: here all are the same. */
function withOneNaN(values: NdArray['data']): NdArray {
  const data = Float32Array.from(values as Float32Array, (value) =>
    Number.isNaN(value) ? Number.NaN : value,
  );
  return { dtype: 'float32', shape: [data.length], data };
}

test('UnsortedSegmentSum adds in the order of rows; NaN and Inf stay in their segments', async () => {
  for (const [rows, columns, segments] of [
    [2000, 100, 65],
    [900, 40, 4001],
    [70_000, 1, 300],
    [100, 3000, 3],
  ]) {
    const x = randomArray(1, [rows, columns], true);
    const ids = Array.from({ length: rows }, (_, i) => ((i * 7919) % (segments + 1)) - 1);
    const inputs = { x, segmentIds: indicesOf([rows], ids) };
    const call = { kernel: 'UnsortedSegmentSum', inputs, attrs: { numSegments: segments } };
    const expected = new Float32Array(segments * columns);
    for (let row = 0; row < rows; row++) {
      if (ids[row] < 0) continue;
      for (let j = 0; j < columns; j++) {
        const at = ids[row] * columns + j;
        expected[at] = Math.fround(expected[at] + x.data[row * columns + j]);
      }
    }
    const { data } = await runKernel(ours, call);
    const options = { op: 'sum', reduction: Math.ceil(rows / segments) } as const;
    expectSame(withOneNaN(data), withOneNaN(expected), options);
  }
});

test('UnsortedSegmentSum of nothing is zeros', async () => {
  const inputs = { x: randomArray(1, [0, 3]), segmentIds: indicesOf([0], []) };
  const result = await runKernel(ours, { kernel: 'UnsortedSegmentSum', inputs, attrs: { numSegments: 2 } });
  expect(result.shape).toEqual([2, 3]);
  expect(result.data).toEqual(new Float32Array(sizeOf([2, 3])));
});
