import fc from 'fast-check';
import { type DType, dtypes, type NdArray, sizeOf } from '../src/index.js';

/** Shapes of up to four axes and 256 elements, scalars and empty ones among them. */
export const anyShape: fc.Arbitrary<number[]> = fc.array(fc.nat({ max: 4 }), { maxLength: 4 });

export interface NdArrayConstraints {
  /** No NaN and no infinities. */
  readonly finite?: boolean;
  /** No int64 beyond ±2⁵³. */
  readonly safe?: boolean;
  /** The least size of each axis; empty arrays come up by default. */
  readonly minLength?: number;
}

function elements(
  dtype: DType,
  { finite = false, safe = false }: NdArrayConstraints,
): fc.Arbitrary<number | bigint> {
  const limits = { noNaN: finite, noDefaultInfinity: finite };
  if (dtype === 'float64') return fc.double(limits);
  if (dtype === 'float32') return fc.float(limits);
  if (dtype === 'int64')
    return safe ? fc.maxSafeInteger().map(BigInt) : fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
  const [min, max] = dtypes[dtype].range as [number, number];
  return fc.integer({ min, max });
}

/** Arrays of every dtype. */
export function anyNdArray(constraints: NdArrayConstraints = {}): fc.Arbitrary<NdArray> {
  const { minLength = 0 } = constraints;
  const shapes = fc.array(fc.integer({ min: minLength, max: 4 }), { maxLength: 4 });
  return fc.constantFrom(...(Object.keys(dtypes) as DType[])).chain((dtype) =>
    shapes.chain((shape) =>
      fc
        .array(elements(dtype, constraints), { minLength: sizeOf(shape), maxLength: sizeOf(shape) })
        .map((values) => {
          const data = dtypes[dtype].create(values.length);
          for (const [i, value] of values.entries()) data[i] = value;
          return { dtype, shape, data } as NdArray;
        }),
    ),
  );
}

/** Names that a tree may have, those that objects have already and integers among them. */
export const anyName: fc.Arbitrary<string> = fc
  .oneof(
    { weight: 4, arbitrary: fc.string({ minLength: 1, maxLength: 8 }) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        'constructor',
        'toString',
        'hasOwnProperty',
        'length',
        '0',
        '10',
        'shape',
        'dtype',
        'data',
      ),
    },
  )
  .filter((name) => !name.includes('.') && name !== '__proto__');
