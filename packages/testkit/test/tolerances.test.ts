import { fromNested, ndarray } from '@tenon-ml/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  allowedDifference,
  type CloseOptions,
  expectClose,
  gpuFactors,
  type OpFamily,
  tolerances,
} from '../src/index.js';

const precisions = ['float32', 'float64'] as const;
const families = Object.keys(tolerances.float32) as OpFamily[];
const rounding = { float32: 2 ** -24, float64: 2 ** -53 };

function failure(run: () => void): string {
  try {
    run();
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('expected a failure');
}

describe('the table', () => {
  test.each(precisions)('has the same rows for %s, of finite numbers of at least 0', (precision) => {
    expect(Object.keys(tolerances[precision])).toEqual(families);
    for (const { rtol, atol } of Object.values(tolerances[precision])) {
      expect(rtol).toBeGreaterThanOrEqual(0);
      expect(atol).toBeGreaterThanOrEqual(0);
      expect(Number.isFinite(rtol + atol)).toBe(true);
    }
  });

  test.each(precisions)('admits one rounding in every inexact row of %s', (precision) => {
    for (const family of families) {
      if (family === 'exact') continue;
      expect(tolerances[precision][family].rtol, family).toBeGreaterThan(rounding[precision]);
    }
  });

  test('lets no float32 row but the difference quotient hide an error of one in ten thousand', () => {
    for (const family of families) {
      if (family === 'centralDifference') continue;
      const { rtol, atol } = tolerances.float32[family];
      expect((gpuFactors[family] ?? 1) * (rtol + atol), family).toBeLessThan(1e-4);
    }
  });

  test('is tighter for float64 than for float32 in every inexact row', () => {
    for (const family of families) {
      if (family === 'exact') continue;
      expect(tolerances.float64[family].rtol).toBeLessThan(tolerances.float32[family].rtol / 1000);
      expect(tolerances.float64[family].atol).toBeLessThan(tolerances.float32[family].atol / 1000);
    }
  });

  test('has a few rows for mixed precision, and refuses to guess the others', () => {
    for (const { rtol } of Object.values(tolerances['mixed-float16'])) {
      expect(rtol).toBeGreaterThan(2 ** -11);
      expect(rtol).toBeLessThan(1e-2);
    }
    const options = { op: 'optimizer', dtype: 'mixed-float16' } as const;
    expect(() => allowedDifference(1, options)).toThrow('no tolerance for optimizer in mixed-float16');
  });
});

describe('allowedDifference', () => {
  test('is (atol + rtol · max|reference|) · √reduction', () => {
    const { rtol, atol } = tolerances.float32.product;
    const reference = [1, -8, 0.5];
    expect(allowedDifference(reference, { op: 'product', dtype: 'float32' })).toBe(atol + rtol * 8);
    expect(allowedDifference(reference, { op: 'product', dtype: 'float32', reduction: 9 })).toBe(
      (atol + rtol * 8) * 3,
    );
  });

  test('is larger on a GPU by the factor that was measured, where one was', () => {
    for (const op of families) {
      const options = { op, dtype: 'float32', reduction: 4 } as const;
      const factor = gpuFactors[op] ?? 1;
      expect(factor, op).toBeGreaterThanOrEqual(1);
      const gpu = allowedDifference([3], { ...options, device: 'gpu' });
      expect(gpu, op).toBe(factor * allowedDifference([3], options));
    }
  });

  test('takes its scale from the finite elements', () => {
    const options = { op: 'loss', dtype: 'float32' } as const;
    expect(allowedDifference([2, Number.POSITIVE_INFINITY, Number.NaN], options)).toBe(
      allowedDifference([2], options),
    );
  });

  test.each([0, -4, 0.5, Number.NaN, Number.POSITIVE_INFINITY])('rejects a reduction of %s', (reduction) => {
    expect(() => allowedDifference([1], { op: 'sum', dtype: 'float32', reduction })).toThrow(/reduction/);
  });
});

describe('expectClose', () => {
  const product: CloseOptions = { op: 'product', dtype: 'float32' };

  test('draws the line at what is allowed, for any values, row and reduction', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 20 }),
        fc.nat(),
        fc.constantFrom(...families.filter((family) => family !== 'exact')),
        fc.constantFrom(...precisions),
        fc.integer({ min: 1, max: 10_000 }),
        fc.boolean(),
        (reference, at, op, dtype, reduction, up) => {
          const options = { op, dtype, reduction };
          const allowed = allowedDifference(reference, options) * (up ? 1 : -1);
          const index = at % reference.length;
          const moved = (by: number): number[] => reference.map((v, i) => (i === index ? v + by : v));
          // A fifth on either side covers the rounding of v + by itself.
          expectClose(moved(allowed * 0.8), reference, options);
          expect(() => expectClose(moved(allowed * 1.2), reference, options)).toThrow(/worst/);
        },
      ),
    );
  });

  test('measures by the largest reference, so that a small element may be off by as much', () => {
    expectClose([1000, 1e-4], [1000, 0], product);
    expect(() => expectClose([1, 1e-4], [1, 0], product)).toThrow(/worst/);
  });

  test('allows nothing in the row exact', () => {
    expectClose([1, -0], [1, 0], { op: 'exact', dtype: 'float32' });
    expect(() =>
      expectClose([1 + Number.EPSILON], [1], { op: 'exact', dtype: 'float32', reduction: 1e6 }),
    ).toThrow(/worst/);
  });

  test.each([
    ['NaN for a number', [1, Number.NaN], [1, 2]],
    ['a number for NaN', [1, 2], [1, Number.NaN]],
    ['NaN for NaN', [Number.NaN], [Number.NaN]],
    ['a number for infinity', [1, 1e300], [1, Number.POSITIVE_INFINITY]],
    ['infinity for a number', [Number.POSITIVE_INFINITY, 1], [1e300, 1]],
    ['infinity of the other sign', [Number.NEGATIVE_INFINITY], [Number.POSITIVE_INFINITY]],
  ])('refuses %s', (_, actual, reference) => {
    expect(() => expectClose(actual, reference, product)).toThrow(/worst/);
  });

  test('accepts equal infinities', () => {
    expectClose([Number.NEGATIVE_INFINITY, 1], [Number.NEGATIVE_INFINITY, 1], product);
  });

  test('names the worst element, its values, the row and how many are off', () => {
    const reference = fromNested(
      [
        [1, 2, 3],
        [4, 5, 6],
      ],
      'float64',
    );
    const actual = ndarray('float32', [2, 3], Float32Array.of(1, 2.5, 3, 4, 5, 7));
    const message = failure(() =>
      expectClose(actual, reference, { op: 'product', reduction: 4, name: 'dense: output' }),
    );
    expect(message).toContain('dense: output: 2 of 6 elements');
    expect(message).toContain('at [1, 2]: got 7, reference 6, difference 1.00e+0');
    expect(message).toContain('product in float32');
    expect(message).toContain('reduction 4)');
    const onGpu = failure(() => expectClose(actual, reference, { op: 'product', device: 'gpu' }));
    expect(onGpu).toContain('reduction 1, on a GPU)');
  });

  test('calls NaN the worst, whatever else is off', () => {
    expect(failure(() => expectClose([Number.NaN, 1e9], [0, 0], product))).toContain('at [0]: got NaN');
  });

  test('compares shapes where both have one', () => {
    const row = ndarray('float32', [1, 4], new Float32Array(4));
    const square = ndarray('float64', [2, 2], new Float64Array(4));
    expect(() => expectClose(row, square, { op: 'sum' })).toThrow('expected the shape [2, 2], got [1, 4]');
    expect(() => expectClose([1, 2], [1], product)).toThrow('expected 1 elements, got 2');
  });

  test("takes the precision from the result's dtype, not from the reference's", () => {
    const single = ndarray('float32', [1], Float32Array.of(1 / 3));
    const double = ndarray('float64', [1], Float64Array.of(1 / 3));
    expectClose(single, double, { op: 'elementwise' });
    expect(() => expectClose(double, single, { op: 'elementwise' })).toThrow(/elementwise in float64/);
    expect(() => expectClose([1], [1], { op: 'sum' })).toThrow(/option dtype/);
  });

  test('compares integers of 64 bits, and numbers alone', () => {
    expectClose(ndarray('int64', [2], BigInt64Array.of(3n, -4n)), [3, -4], { op: 'exact' });
    expectClose(2, 2, product);
    expect(() => expectClose(2, 2.1, product)).toThrow(/worst, at \[0\]/);
  });
});
