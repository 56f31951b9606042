import { compile, type NdArray, read, withBackend } from '@tenon-ml/core';
import {
  BitwiseAnd,
  DenseBincount,
  Einsum,
  getKernel,
  getKernelsForBackend,
  greater,
  multinomial,
  SearchSorted,
  SparseSegmentMean,
  SparseSegmentSum,
  sparse,
  type Tensor,
  type Tensor1D,
  Transform,
  tensor1d,
  tidy,
} from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { arrayOf, indicesOf } from '../backends/kernels/inputs.js';
import {
  type Agreement,
  backendPair,
  type Call,
  expectSame,
  randomArray,
  runKernelForAll,
} from '../backends/kernels/reference.js';

/** Kernels of tfjs's that no other backend of ours has any of its own for: on TensorFlow's ops, or on the host. */
const { ours, reference } = backendPair();

async function expectReference(call: Call, options: Agreement = { op: 'exact' }): Promise<void> {
  expectSame(await runKernelForAll(ours, call), await runKernelForAll(reference, call), options);
}

const size = (min: number, max: number) => fc.integer({ min, max });

/** Whole numbers from 0 to `count` − 1. */
function wholeNumbers(seed: number, shape: readonly number[], count: number): NdArray<'int32'> {
  return indicesOf(
    shape,
    Array.from(randomArray(seed, shape).data, (value) => Math.floor(Math.abs(value) * 100) % count),
  );
}

test('every kernel of tfjs-backend-cpu is there', () => {
  const names = getKernelsForBackend('cpu').map(({ kernelName }) => kernelName);
  expect(names.length).toBeGreaterThan(150);
  expect(names.filter((name) => !getKernel(name, ours.engineName))).toEqual([]);
});

test('DenseBincount counts, and sums weights, as the reference', async () => {
  const counts = fc.record({
    shape: fc.oneof(fc.tuple(size(0, 9)), fc.tuple(size(1, 4), size(0, 9))),
    bins: size(1, 6),
    weighted: fc.boolean(),
    binaryOutput: fc.boolean(),
    seed: fc.nat(),
  });
  await fc.assert(
    fc.asyncProperty(counts, async ({ shape, bins, weighted, seed, ...rest }) => {
      const binaryOutput = shape.length === 2 && !weighted && rest.binaryOutput;
      // Some are larger than there are bins.
      const x = wholeNumbers(seed, shape, bins + 2);
      const weights = randomArray(seed + 1, weighted ? shape : [0]);
      const call = { kernel: DenseBincount, inputs: { x, weights }, attrs: { size: bins, binaryOutput } };
      await expectReference(call, { op: 'sum', reduction: 9 });
    }),
  );
});

test('SearchSorted finds places as the reference', async () => {
  const searches = fc.record({
    rows: size(1, 3),
    length: size(1, 9),
    count: size(0, 9),
    side: fc.constantFrom('left', 'right'),
    seed: fc.nat(),
  });
  await fc.assert(
    fc.asyncProperty(searches, async ({ rows, length, count, side, seed }) => {
      const sorted = wholeNumbers(seed, [rows, length], 7);
      for (let row = 0; row < rows; row++) sorted.data.subarray(row * length, (row + 1) * length).sort();
      const values = wholeNumbers(seed + 1, [rows, count], 7);
      await expectReference({
        kernel: SearchSorted,
        inputs: { sortedSequence: sorted, values },
        attrs: { side },
      });
    }),
  );
});

test('BitwiseAnd is the reference', async () => {
  const inputs = { a: arrayOf(1, [5, 7], 'int32'), b: arrayOf(2, [7], 'int32') };
  await expectReference({ kernel: BitwiseAnd, inputs });
});

test('images are transformed as by the reference', async () => {
  const transforms = fc.record({
    interpolation: fc.constantFrom('nearest', 'bilinear'),
    fillMode: fc.constantFrom('constant', 'reflect', 'wrap', 'nearest'),
    outputShape: fc.option(fc.tuple(size(1, 6), size(1, 6)), { nil: undefined }),
    // Of quarters, and shifted by an eighth: no place is just between two pixels.
    matrix: fc.array(
      size(-4, 4).map((value) => value / 4),
      { minLength: 6, maxLength: 6 },
    ),
    seed: fc.nat(),
  });
  await fc.assert(
    fc.asyncProperty(transforms, async ({ matrix, seed, ...attrs }) => {
      // The reference ends after the first image.
      const image = randomArray(seed, [1, 5, 6, 2]);
      const inputs = {
        image,
        transforms: {
          dtype: 'float32' as const,
          shape: [1, 8],
          data: Float32Array.of(...matrix.map((value, i) => (i % 3 === 2 ? value + 1 / 8 : value)), 0, 0),
        },
      };
      await expectReference(
        { kernel: Transform, inputs, attrs: { ...attrs, fillValue: 0.5 } },
        { op: 'sum', reduction: 4 },
      );
    }),
  );
});

test.each([SparseSegmentSum, SparseSegmentMean])('%s is the reference', async (kernel) => {
  const segments = fc.record({ rows: size(1, 6), width: size(1, 5), picked: size(1, 9), seed: fc.nat() });
  await fc.assert(
    fc.asyncProperty(segments, async ({ rows, width, picked, seed }) => {
      const segmentIds = wholeNumbers(seed + 1, [picked], 5);
      segmentIds.data.sort();
      const data = randomArray(seed, [rows, width]);
      const inputs = { data, indices: wholeNumbers(seed + 2, [picked], rows), segmentIds };
      await expectReference({ kernel, inputs }, { op: 'sum', reduction: picked });
    }),
  );
});

test('Einsum is the reference, with batches that are broadcast', async () => {
  const equations = [
    'bij,jk->bik',
    'bhij,bjk->bhik',
    'ij,bhjk->bhik',
    'bij,bkj->bik',
    'bij,bij->ij',
    'i,j->ij',
    'bij->ji',
  ];
  const lengths = fc.record({ b: size(1, 4), h: size(1, 4), i: size(1, 9), j: size(1, 9), k: size(1, 9) });
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...equations), lengths, fc.nat(), async (equation, length, seed) => {
      const [terms] = equation.split('->');
      const operands = terms.split(',').map((labels, i) =>
        randomArray(
          seed + i,
          [...labels].map((label) => length[label as keyof typeof length]),
        ),
      );
      const call = { kernel: Einsum, inputs: operands as never, attrs: { equation } };
      await expectReference(call, { op: 'product', reduction: 81 });
    }),
  );
});

test('multinomial draws the same of the same seed, by the probabilities', async () => {
  const probabilities = [0.1, 0.2, 0.7];
  const draw = async (seed: number, normalized: boolean): Promise<number[]> => {
    const weights = normalized ? probabilities : probabilities.map(Math.log);
    const drawn = withBackend(ours, () => tidy(() => multinomial(tensor1d(weights), 4000, seed, normalized)));
    const counts = [0, 0, 0];
    for (const value of await drawn.data()) counts[value]++;
    drawn.dispose();
    return counts;
  };
  for (const normalized of [false, true]) {
    const counts = await draw(3, normalized);
    expect(await draw(3, normalized)).toEqual(counts);
    expect(await draw(4, normalized)).not.toEqual(counts);
    // Five standard deviations.
    for (const [i, count] of counts.entries()) {
      expect(Math.abs(count - 4000 * probabilities[i])).toBeLessThan(5 * Math.sqrt(4000 * 0.21));
    }
  }
});

test('strings are ordered', async () => {
  const larger = withBackend(ours, () => tidy(() => greater(['b', 'a', 'c'], ['a', 'b', 'c'])));
  expect(await larger.data()).toEqual(Uint8Array.of(1, 0, 0));
  larger.dispose();
});

test('a step that calls a kernel on the host is not recorded, and says which', async () => {
  const shaped = compile(
    (indices: Tensor, shape: Tensor) =>
      sparse.sparseReshape(indices as never, shape as Tensor1D, [6, -1]).outputIndices,
    { backend: ours },
  );
  for (let row = 0; row < 4; row++) {
    const { data } = await read(shaped(indicesOf([1, 2], [row, 1]), indicesOf([2], [4, 3])));
    const at = 3 * row + 1;
    expect([...data]).toEqual([Math.floor(at / 2), at % 2]);
  }
  expect(shaped.explain()).toMatchObject({ mode: 'eager', reason: 'SparseReshape computes on the host' });
});
