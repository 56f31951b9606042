import { _FusedMatMul, BatchMatMul } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { backendPair, expectAgreement, expectSame, randomArray, runKernel } from './reference.js';

const { ours, reference } = backendPair();

const size = fc.integer({ min: 0, max: 11 });

const products = fc.record({
  batch: fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 2 }),
  rows: size,
  inner: size,
  columns: size,
  transposeA: fc.boolean(),
  transposeB: fc.boolean(),
  seed: fc.nat(),
});

function operandShapes(
  { rows, inner, columns, transposeA, transposeB }: typeof products extends fc.Arbitrary<infer T> ? T : never,
  aBatch: readonly number[],
  bBatch: readonly number[],
): { a: number[]; b: number[] } {
  return {
    a: [...aBatch, ...(transposeA ? [inner, rows] : [rows, inner])],
    b: [...bBatch, ...(transposeB ? [columns, inner] : [inner, columns])],
  };
}

test.each([
  { name: 'finite', special: false },
  { name: 'NaN, Inf and denormals', special: true },
])('BatchMatMul is the reference: $name', async ({ special }) => {
  await fc.assert(
    fc.asyncProperty(products, fc.boolean(), fc.boolean(), async (product, singleA, singleB) => {
      const { batch, seed, inner, transposeA, transposeB } = product;
      const aBatch = singleA ? batch.map(() => 1) : batch;
      const bBatch = singleB ? batch.map(() => 1) : batch;
      const shapes = operandShapes(product, aBatch, bBatch);
      // The reference takes a remainder by the number of matrices.
      fc.pre(!batch.includes(0) || (!singleA && !singleB));
      const call = {
        kernel: BatchMatMul,
        inputs: { a: randomArray(seed, shapes.a, special), b: randomArray(seed + 1, shapes.b, special) },
        attrs: { transposeA, transposeB },
      };
      expectAgreement(await runKernel(ours, call), await runKernel(reference, call), {
        op: 'product',
        reduction: Math.max(1, inner),
      });
    }),
  );
});

test('BatchMatMul broadcasts any batch: each matrix is the product of its two', async () => {
  const axis = fc.record({ length: fc.integer({ min: 1, max: 3 }), a: fc.boolean(), b: fc.boolean() });
  const axes = fc.array(axis, { minLength: 1, maxLength: 3 });
  await fc.assert(
    fc.asyncProperty(products, axes, fc.nat(), async (product, batch, dropped) => {
      const { seed, rows, inner, columns, transposeA, transposeB } = product;
      const aBatch = batch.map(({ length, a }) => (a ? length : 1));
      const bBatch = batch.map(({ length, b }) => (b ? length : 1)).slice(dropped % (batch.length + 1));
      const shapes = operandShapes(product, aBatch, bBatch);
      const inputs = { a: randomArray(seed, shapes.a), b: randomArray(seed + 1, shapes.b) };
      const attrs = { transposeA, transposeB };
      const result = await runKernel(ours, { kernel: BatchMatMul, inputs, attrs });
      const padded = [...batch.slice(bBatch.length).map(() => 1), ...bBatch];
      const outBatch = aBatch.map((length, i) => Math.max(length, padded[i]));
      expect(result.shape).toEqual([...outBatch, rows, columns]);

      const matrixAt = (own: readonly number[], index: readonly number[]): number =>
        own.reduce((at, length, i) => at * length + (length === 1 ? 0 : index[i]), 0);
      const matrices = outBatch.reduce((count, length) => count * length, 1);
      for (let n = 0; n < matrices; n++) {
        let rest = n;
        const index = outBatch.map((_, i) => {
          const stride = outBatch.slice(i + 1).reduce((count, length) => count * length, 1);
          const at = Math.floor(rest / stride);
          rest %= stride;
          return at;
        });
        const i = matrixAt(aBatch, index) * rows * inner;
        const j = matrixAt(padded, index) * inner * columns;
        const single = await runKernel(ours, {
          kernel: BatchMatMul,
          inputs: {
            a: {
              dtype: 'float32',
              shape: shapes.a.slice(-2),
              data: inputs.a.data.subarray(i, i + rows * inner),
            },
            b: {
              dtype: 'float32',
              shape: shapes.b.slice(-2),
              data: inputs.b.data.subarray(j, j + inner * columns),
            },
          },
          attrs,
        });
        const data = (result.data as Float32Array).slice(n * rows * columns, (n + 1) * rows * columns);
        const options = { op: 'product', reduction: Math.max(1, inner) } as const;
        expectSame({ dtype: 'float32', shape: [rows, columns], data }, single, options);
      }
    }),
  );
});

test('_FusedMatMul gives what its parts give, and is the reference', async () => {
  const activation = fc.constantFrom(
    'linear',
    'relu',
    'relu6',
    'elu',
    'sigmoid',
    'leakyrelu',
    'prelu',
    undefined,
  );
  await fc.assert(
    fc.asyncProperty(products, activation, fc.boolean(), async (product, name, biased) => {
      const { seed, inner, columns, transposeA, transposeB } = product;
      fc.pre(columns > 0);
      const shapes = operandShapes(product, [], []);
      const operands = { a: randomArray(seed, shapes.a), b: randomArray(seed + 1, shapes.b) };
      const bias = biased ? { bias: randomArray(seed + 2, [columns]) } : {};
      const alpha = name === 'prelu' ? { preluActivationWeights: randomArray(seed + 3, [columns]) } : {};
      const attrs = { transposeA, transposeB };
      const fused = {
        kernel: _FusedMatMul,
        inputs: { ...operands, ...bias, ...alpha },
        attrs: { ...attrs, activation: name, leakyreluAlpha: 0.3 },
      };
      const result = await runKernel(ours, fused);
      const options = { op: 'product', reduction: Math.max(1, inner) } as const;
      expectAgreement(result, await runKernel(reference, fused), options);
      if (!biased && (name === 'linear' || name === undefined)) {
        expectSame(result, await runKernel(ours, { kernel: BatchMatMul, inputs: operands, attrs }), options);
      }
    }),
  );
});

test('products of one row, of long sums and of many panels are the reference', async () => {
  const cases = [
    [1, 50, 77],
    [1, 900, 64],
    [2, 385, 100],
    [17, 641, 33],
    [65, 8, 131],
  ];
  for (const [rows, inner, columns] of cases) {
    const call = {
      kernel: BatchMatMul,
      inputs: { a: randomArray(rows, [rows, inner]), b: randomArray(columns, [inner, columns]) },
      attrs: { transposeA: false, transposeB: false },
    };
    const options = { op: 'product', reduction: inner } as const;
    expectAgreement(await runKernel(ours, call), await runKernel(reference, call), options);
  }
});
