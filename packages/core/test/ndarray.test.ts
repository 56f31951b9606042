import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bytesOf,
  cast,
  type DType,
  deviceDType,
  dtypes,
  formatShape,
  fromNested,
  full,
  isDType,
  isNdArray,
  type NdArray,
  type NestedNumbers,
  ndarray,
  reshaped,
  rows,
  sameBits,
  sameShape,
  scalar,
  scalars,
  sizeOf,
  toNested,
  zeros,
} from '../src/index.js';
import { anyNdArray, anyShape } from './arbitraries.js';
import { expectError } from './support.js';

const names = Object.keys(dtypes) as DType[];

describe('ndarray', () => {
  it('takes the array it is given, and copies the shape', () => {
    const data = new Int32Array(6);
    const shape = [2, 3];
    const array = ndarray('int32', shape, data);
    shape.push(9);
    expect(array.data).toBe(data);
    expect(array.shape).toEqual([2, 3]);
  });

  it.each([[[2, -1]], [[1.5]], [[Number.NaN]]])('refuses the shape %j', async (shape) => {
    await expectError(
      () => ndarray('float32', shape, new Float32Array(2)),
      'SHAPE_MISMATCH',
      formatShape(shape),
    );
    await expectError(() => zeros(shape), 'SHAPE_MISMATCH');
    await expectError(() => full(shape, 1), 'SHAPE_MISMATCH');
  });

  it('refuses a length that is not the product of the shape, and an array of another class', async () => {
    await expectError(
      () => ndarray('float32', [2, 2], new Float32Array(3)),
      'SHAPE_MISMATCH',
      '4 elements',
      'got 3',
    );
    await expectError(
      () => ndarray('float32', [1], new Float64Array(1) as unknown as Float32Array),
      'DTYPE_MISMATCH',
      'Float32Array',
      'Float64Array',
    );
    await expectError(
      () => ndarray('bool', [1], new Int8Array(1) as unknown as Uint8Array),
      'DTYPE_MISMATCH',
    );
  });

  it('is told from trees and specs', () => {
    expect(isNdArray(zeros([2]))).toBe(true);
    for (const other of [
      null,
      3,
      [],
      {},
      { dtype: 'float32', shape: [1] },
      { dtype: 'x', shape: [1], data: new Uint8Array(1) },
    ])
      expect(isNdArray(other)).toBe(false);
  });
});

describe('nested arrays', () => {
  it('round trip over every dtype and shape', () => {
    fc.assert(
      fc.property(anyNdArray({ finite: true, safe: true, minLength: 1 }), (array) => {
        const again = fromNested(toNested(array), array.dtype);
        // A negative zero survives in floats only, which the bits say.
        expect(sameBits(again, array)).toBe(true);
      }),
    );
  });

  it('have a shape also where they are empty', () => {
    expect(fromNested([]).shape).toEqual([0]);
    expect(fromNested([[], []]).shape).toEqual([2, 0]);
    expect(toNested(zeros([2, 0]))).toEqual([[], []]);
    expect(toNested(zeros([0, 2]))).toEqual([]);
    expect(fromNested(7).shape).toEqual([]);
  });

  it('default to float32, and to bool for booleans', () => {
    expect(fromNested([1]).dtype).toBe('float32');
    expect(fromNested([[true, false]])).toEqual({ dtype: 'bool', shape: [1, 2], data: Uint8Array.of(1, 0) });
    expect(toNested(fromNested([true, false]))).toEqual([true, false]);
    expect(fromNested([0.1]).data[0]).toBe(Math.fround(0.1));
  });

  it.each([
    [[[1, 2], [3]], '2 elements'],
    [[[1], 2], '1 elements'],
    [[1, [2]], 'a number'],
    [[[], [1]], '0 elements'],
  ] as [NestedNumbers, string][])('refuse the ragged %j', async (values, expected) => {
    await expectError(() => fromNested(values), 'SHAPE_MISMATCH', expected, 'same length');
  });

  it.each([[[1, undefined]], [[null]], [['1']], [[1n]]])(
    'refuse elements that are no numbers: %s',
    async (values) => {
      await expectError(() => fromNested(values as unknown as NestedNumbers), 'DTYPE_MISMATCH');
    },
  );

  it('refuse what the dtype does not hold', async () => {
    await expectError(() => fromNested([1.5], 'int32'), 'DTYPE_MISMATCH', '1.5 at index 0');
    await expectError(
      () => fromNested([0, 256], 'uint8'),
      'DTYPE_MISMATCH',
      '256 at index 1',
      'from 0 to 255',
    );
    await expectError(() => fromNested([true, 2 as unknown as boolean]), 'DTYPE_MISMATCH', '2 at index 1');
    await expectError(() => scalar(2 ** 31, 'int32'), 'DTYPE_MISMATCH');
  });

  it('of int64 throw beyond 2^53 rather than round', async () => {
    const exact = ndarray('int64', [2], BigInt64Array.of(2n ** 53n - 1n, -5n));
    expect(toNested(exact)).toEqual([Number.MAX_SAFE_INTEGER, -5]);
    await expectError(
      () => toNested(ndarray('int64', [1], BigInt64Array.of(2n ** 53n + 1n))),
      'DTYPE_MISMATCH',
    );
  });
});

describe('full', () => {
  it.each(names)('fills %s', (dtype) => {
    expect(toNested(full([2], 1, dtype))).toEqual(dtype === 'bool' ? [true, true] : [1, 1]);
  });

  it('narrows nothing in silence', async () => {
    await expectError(() => full([2], 300, 'uint8'), 'DTYPE_MISMATCH', '300');
    await expectError(() => full([2], 0.5, 'int32'), 'DTYPE_MISMATCH', '0.5');
    await expectError(() => full([2], 0.5, 'int64'), 'DTYPE_MISMATCH', '0.5');
    expect(full([1], 0.1).data[0]).toBe(Math.fround(0.1));
  });
});

it('scalars are float32, by name', () => {
  expect(scalars({ rate: 0.1, 'a.b': 2 })).toEqual({ rate: scalar(0.1), 'a.b': scalar(2) });
});

describe('cast', () => {
  it('is the identity to the same dtype', () => {
    const array = zeros([2]);
    expect(cast(array, 'float32')).toBe(array);
  });

  it('to integers gives the same values or throws', () => {
    fc.assert(
      fc.property(anyNdArray(), fc.constantFrom(...names), (array, dtype) => {
        const values = Array.from(array.data, Number);
        const { range } = dtypes[dtype];
        const fits = !range || values.every((x) => Number.isInteger(x) && x >= range[0] && x <= range[1]);
        if (!fits && array.dtype !== dtype) {
          expect(() => cast(array, dtype)).toThrow(/integers from/);
          return;
        }
        const result = cast(array, dtype);
        expect(result.dtype).toBe(dtype);
        expect(result.shape).toEqual(array.shape);
        expect(result.data.constructor).toBe(dtypes[dtype].create(0).constructor);
        const round = dtype === 'float32' ? Math.fround : (x: number) => x;
        // Integers know no negative zero.
        const expected = values.map((x) => (range ? round(x) + 0 : round(x)));
        expect(Array.from(result.data, Number)).toEqual(expected);
      }),
      { numRuns: 500 },
    );
  });

  it('of int64 compares the whole integer, not its rounded value', async () => {
    const big = ndarray('int64', [1], BigInt64Array.of(2n ** 32n + 5n));
    await expectError(() => cast(big, 'int32'), 'DTYPE_MISMATCH', '4294967301');
    await expectError(() => cast(big, 'uint32'), 'DTYPE_MISMATCH');
    expect(cast(fromNested([-3, 2 ** 40], 'int64'), 'float64').data).toEqual(Float64Array.of(-3, 2 ** 40));
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, -0.5, 2])('refuses %s as bool', async (value) => {
    await expectError(() => cast(scalar(value, 'float64'), 'bool'), 'DTYPE_MISMATCH');
  });

  it('rounds to nearest between floats', () => {
    expect(cast(scalar(1 + 2 ** -24, 'float64'), 'float32').data[0]).toBe(1);
    expect(cast(scalar(1e300, 'float64'), 'float32').data[0]).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('deviceDType', () => {
  it('never narrows', async () => {
    expect(names.filter((dtype) => dtypes[dtype].device === null)).toEqual(['float64', 'int64', 'uint32']);
    for (const dtype of ['float64', 'int64', 'uint32'] as const)
      await expectError(() => deviceDType(dtype, 'here'), 'DTYPE_MISMATCH', 'here', dtype, 'cast(array');
    expect([deviceDType('uint16'), deviceDType('bool'), deviceDType('float32')]).toEqual([
      'int32',
      'bool',
      'float32',
    ]);
    expect(isDType('float32')).toBe(true);
    expect(['float16', 'toString', '__proto__', 3, null].some(isDType)).toBe(false);
  });

  it.each(names)('the table row of %s is right about its array', (dtype) => {
    const { bytes, create, view } = dtypes[dtype];
    const array = create(3);
    expect(array).toHaveLength(3);
    expect(array.BYTES_PER_ELEMENT).toBe(bytes);
    expect(view(new ArrayBuffer(8 * bytes), bytes, 2)).toHaveLength(2);
    expect(view(new ArrayBuffer(8 * bytes), bytes, 2).byteOffset).toBe(bytes);
  });
});

describe('rows and reshaped', () => {
  it('are views', () => {
    const array = fromNested([
      [1, 2],
      [3, 4],
      [5, 6],
    ]);
    expect(toNested(rows(array, 1, 3))).toEqual([
      [3, 4],
      [5, 6],
    ]);
    expect(rows(array, 1, 3).data.buffer).toBe(array.data.buffer);
    expect(toNested(rows(array, 1, 1))).toEqual([]);
    expect(toNested(reshaped(array, [2, 3]))).toEqual([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    expect(reshaped(array, [6]).data).toBe(array.data);
  });

  it.each([
    [-1, 2],
    [0, 4],
    [2, 1],
    [0.5, 1],
  ])('refuse rows %d to %d of three', async (begin, end) => {
    await expectError(() => rows(zeros([3, 2]), begin, end), 'SHAPE_MISMATCH', '3');
  });

  it('refuse the rows of a scalar, and another size', async () => {
    await expectError(() => rows(scalar(1), 0, 1), 'SHAPE_MISMATCH');
    await expectError(() => reshaped(zeros([3]), [2]), 'SHAPE_MISMATCH', '2 elements');
  });
});

describe('sameBits', () => {
  it('is equality of dtype, shape and every byte', () => {
    fc.assert(
      fc.property(anyNdArray(), fc.nat(), (array, at) => {
        const copy = { ...array, data: array.data.slice() } as NdArray;
        expect(sameBits(array, copy)).toBe(true);
        const bytes = bytesOf(copy.data);
        if (bytes.length === 0) return;
        bytes[at % bytes.length] ^= 1;
        expect(sameBits(array, copy)).toBe(false);
      }),
    );
  });

  it('takes NaN for NaN, and tells 0 from -0, shapes and dtypes apart', () => {
    expect(sameBits(scalar(Number.NaN), scalar(Number.NaN))).toBe(true);
    expect(sameBits(scalar(0), scalar(-0))).toBe(false);
    expect(sameBits(zeros([2, 1]), zeros([1, 2]))).toBe(false);
    expect(sameBits(zeros([1]), zeros([1], 'int32'))).toBe(false);
    expect(sameBits(zeros([1], 'uint8'), zeros([1], 'bool'))).toBe(false);
  });

  it('reads views at their offset', () => {
    const whole = fromNested([
      [1, 2],
      [1, 2],
      [3, 4],
    ]);
    expect(sameBits(rows(whole, 0, 1), rows(whole, 1, 2))).toBe(true);
    expect(sameBits(rows(whole, 0, 1), rows(whole, 2, 3))).toBe(false);
  });
});

describe('shapes', () => {
  it('have a size', () => {
    fc.assert(
      fc.property(anyShape, (shape) => {
        expect(sizeOf(shape)).toBe(zeros(shape).data.length);
        expect(sameShape(shape, [...shape])).toBe(true);
        expect(sameShape(shape, [...shape, 1])).toBe(false);
      }),
    );
    expect(sizeOf([])).toBe(1);
  });

  it('are written with the free axes named', () => {
    expect(formatShape([null, 8, null])).toBe('[batch, 8, any]');
    expect(formatShape([])).toBe('[]');
    expect(sameShape([null, 2], [null, 2])).toBe(true);
  });
});
