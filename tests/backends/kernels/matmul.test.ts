import { _FusedMatMul, BatchMatMul } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { expectSameBits, inPieces, mostParts } from './parts.js';
import { backendPair, expectAgreement, randomArray, runKernel } from './reference.js';

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
])('BatchMatMul is the reference: $name', ({ special }) => {
  fc.assert(
    fc.property(products, fc.boolean(), fc.boolean(), (product, singleA, singleB) => {
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
      expectAgreement(runKernel(ours, call), runKernel(reference, call), {
        op: 'product',
        reduction: Math.max(1, inner),
      });
    }),
  );
});

test('BatchMatMul broadcasts any batch: each matrix is the product of its two', () => {
  const axis = fc.record({ length: fc.integer({ min: 1, max: 3 }), a: fc.boolean(), b: fc.boolean() });
  const axes = fc.array(axis, { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(products, axes, fc.nat(), (product, batch, dropped) => {
      const { seed, rows, inner, columns, transposeA, transposeB } = product;
      const aBatch = batch.map(({ length, a }) => (a ? length : 1));
      const bBatch = batch.map(({ length, b }) => (b ? length : 1)).slice(dropped % (batch.length + 1));
      const shapes = operandShapes(product, aBatch, bBatch);
      const inputs = { a: randomArray(seed, shapes.a), b: randomArray(seed + 1, shapes.b) };
      const attrs = { transposeA, transposeB };
      const result = runKernel(ours, { kernel: BatchMatMul, inputs, attrs });
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
        const single = runKernel(ours, {
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
        expect(result.data.slice(n * rows * columns, (n + 1) * rows * columns)).toEqual(single.data);
      }
    }),
  );
});

test('_FusedMatMul gives the bits of its parts, and is the reference', () => {
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
  fc.assert(
    fc.property(products, activation, fc.boolean(), (product, name, biased) => {
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
      const result = runKernel(ours, fused);
      expectAgreement(result, runKernel(reference, fused), { op: 'product', reduction: Math.max(1, inner) });
      if (!biased && (name === 'linear' || name === undefined)) {
        expect(result).toEqual(runKernel(ours, { kernel: BatchMatMul, inputs: operands, attrs }));
      }
    }),
  );
});

test('pieces of a product give the same bits', () => {
  const shapes = [
    { a: [150, 700], b: [700, 130] },
    { a: [3, 70, 33], b: [33, 65] },
    { a: [2, 1, 9, 300], b: [3, 300, 260] },
  ];
  for (const { a, b } of shapes) {
    for (const transposeA of [false, true]) {
      for (const transposeB of [false, true]) {
        const turned = (shape: number[], turn: boolean): number[] =>
          turn ? [...shape.slice(0, -2), shape[shape.length - 1], shape[shape.length - 2]] : shape;
        const call = {
          kernel: BatchMatMul,
          inputs: { a: randomArray(1, turned(a, transposeA)), b: randomArray(2, turned(b, transposeB)) },
          attrs: { transposeA, transposeB },
        };
        const whole = runKernel(ours, call);
        expect(mostParts(ours, () => runKernel(ours, call))).toBeGreaterThan(2);
        expectSameBits(
          inPieces(ours, 1, () => runKernel(ours, call)),
          whole,
        );
        expectSameBits(
          inPieces(ours, 2, () => runKernel(ours, call)),
          whole,
        );
      }
    }
  }
});

test('products of one row, of long sums and of many panels are the reference', () => {
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
    expectAgreement(runKernel(ours, call), runKernel(reference, call), options);
  }
});
