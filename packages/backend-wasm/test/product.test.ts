import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Matrix, multiply } from '../src/product.js';

const size = fc.integer({ min: 0, max: 13 });

/** A rows × columns matrix somewhere in an array, in either order, with gaps, and its elements. */
function matrix(
  rows: number,
  columns: number,
): fc.Arbitrary<{ matrix: Matrix; at: (i: number, j: number) => number }> {
  return fc
    .record({ offset: fc.nat({ max: 3 }), gap: fc.nat({ max: 2 }), transposed: fc.boolean() })
    .chain(({ offset, gap, transposed }) => {
      const rowStride = transposed ? 1 : columns + gap;
      const columnStride = transposed ? rows + gap : 1;
      const length = offset + rows * rowStride + columns * columnStride;
      return fc
        .array(fc.integer({ min: -8, max: 8 }), { minLength: length, maxLength: length })
        .map((values) => {
          const data = Float32Array.from(values);
          return {
            matrix: { data, offset, rowStride, columnStride },
            at: (i: number, j: number) => data[offset + i * rowStride + j * columnStride],
          };
        });
    });
}

test('multiply is the sum of products, and writes nothing outside of the result', () => {
  const cases = fc.tuple(size, size, size).chain(([rows, inner, columns]) =>
    fc.record({
      rows: fc.constant(rows),
      inner: fc.constant(inner),
      columns: fc.constant(columns),
      a: matrix(rows, inner),
      b: matrix(inner, columns),
      accumulate: fc.boolean(),
      before: fc.nat({ max: 3 }),
    }),
  );
  fc.assert(
    fc.property(cases, ({ rows, inner, columns, a, b, accumulate, before }) => {
      const out = new Float32Array(before + rows * columns + 3).fill(5);
      multiply(a.matrix, b.matrix, rows, inner, columns, out, before, accumulate);
      const expected = new Float32Array(out.length).fill(5);
      for (let i = 0; i < rows; i++) {
        for (let j = 0; j < columns; j++) {
          let sum = accumulate ? 5 : 0;
          // Small integers: every order of summation gives the same.
          for (let k = 0; k < inner; k++) sum += a.at(i, k) * b.at(k, j);
          expected[before + i * columns + j] = sum;
        }
      }
      expect(out).toEqual(expected.map((value) => value + 0));
    }),
  );
});

test('sums run in float64: a small term survives between large ones', () => {
  const a = { data: Float32Array.of(1e8, 1, -1e8), offset: 0, rowStride: 3, columnStride: 1 };
  const b = { data: Float32Array.of(1, 1, 1), offset: 0, rowStride: 1, columnStride: 1 };
  const out = new Float32Array(1);
  multiply(a, b, 1, 3, 1, out, 0);
  expect(out[0]).toBe(1);
});

test('NaN and Inf stay in their own row and column', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 9 }),
      fc.nat(),
      (rows, columns, at) => {
        const a = new Float32Array(rows).fill(1);
        a[at % rows] = Number.NaN;
        const b = new Float32Array(columns).fill(1);
        const out = new Float32Array(rows * columns);
        const left = { data: a, offset: 0, rowStride: 1, columnStride: 1 };
        const right = { data: b, offset: 0, rowStride: columns, columnStride: 1 };
        multiply(left, right, rows, 1, columns, out, 0);
        for (const [i, value] of out.entries()) {
          if (Math.floor(i / columns) === at % rows) expect(value).toBeNaN();
          else expect(value).toBe(1);
        }
      },
    ),
  );
});
