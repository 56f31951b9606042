import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bytesOf,
  dtypes,
  fromNested,
  type NdArray,
  ndarray,
  readSafetensors,
  sameBits,
  scalar,
  toNested,
  writeSafetensors,
  zeros,
} from '../src/index.js';
import { anyNdArray } from './arbitraries.js';
import { expectError } from './support.js';

const fixtureUrl = (name: string): URL => new URL(`fixtures/${name}`, import.meta.url);
const fixture = (name: string): Buffer => readFileSync(fixtureUrl(name));
const names = fc
  .string({ unit: 'grapheme', maxLength: 12 })
  .filter((n) => n !== '__proto__' && n !== '__metadata__');
const files = fc.dictionary(names, anyNdArray(), { maxKeys: 6, noNullPrototype: true });
const notes = fc.dictionary(names, fc.string({ unit: 'grapheme' }), { maxKeys: 3, noNullPrototype: true });

/** A safetensors file from its header and its data, for what the writer wouldn't write. */
function fileOf(header: string, data: Uint8Array): Uint8Array {
  const text = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + text.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  bytes.set(data, 8 + text.length);
  return bytes;
}

describe('writeSafetensors and readSafetensors', () => {
  it('round trip over every dtype and shape, to the bit', () => {
    fc.assert(
      fc.property(files, notes, (tensors, metadata) => {
        const result = readSafetensors(writeSafetensors(tensors, metadata));
        expect(result.metadata).toEqual(metadata);
        expect(Object.keys(result.tensors).sort()).toEqual(Object.keys(tensors).sort());
        for (const [name, array] of Object.entries(tensors)) {
          expect(sameBits(result.tensors[name], array), name).toBe(true);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('gives the same bytes for the same content, in whatever order', () => {
    fc.assert(
      fc.property(files, notes, (tensors, metadata) => {
        const reversed = <T>(record: Record<string, T>): Record<string, T> =>
          Object.fromEntries(Object.entries(record).reverse());
        expect(writeSafetensors(reversed(tensors), reversed(metadata))).toEqual(
          writeSafetensors(tensors, metadata),
        );
      }),
    );
  });

  it('aligns each array to its elements, with the header padded by spaces to 8 bytes', () => {
    fc.assert(
      fc.property(files, (tensors) => {
        const bytes = writeSafetensors(tensors);
        const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
        expect(length % 8).toBe(0);
        const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
        for (const [name, { data_offsets }] of Object.entries<{ data_offsets: number[] }>(header)) {
          expect(data_offsets[0] % dtypes[tensors[name].dtype].bytes).toBe(0);
        }
      }),
    );
  });

  it('writes what a view sees, not the array under it', () => {
    const whole = fromNested([1, 2, 3, 4]);
    const view = ndarray('float32', [2], (whole.data as Float32Array).subarray(1, 3));
    expect(toNested(readSafetensors(writeSafetensors({ view })).tensors.view)).toEqual([2, 3]);
  });

  it('copies, from a Buffer too, wherever it begins', () => {
    const bytes = writeSafetensors({ a: fromNested([1, 2]), b: scalar(3, 'int32') });
    const pool = Buffer.concat([Buffer.alloc(5, 7), bytes]);
    const { a, b } = readSafetensors(pool.subarray(5)).tensors;
    pool.fill(0);
    expect([toNested(a), toNested(b)]).toEqual([[1, 2], 3]);
    expect(a.data.buffer).not.toBe(pool.buffer);
  });

  it('keeps names that objects have already', () => {
    const tensors = { constructor: scalar(1), toString: scalar(2), 10: scalar(3), 2: scalar(4) };
    const result = readSafetensors(writeSafetensors(tensors)).tensors;
    expect(
      Object.fromEntries(Object.entries(result).map(([name, array]) => [name, toNested(array)])),
    ).toEqual({
      constructor: 1,
      toString: 2,
      10: 3,
      2: 4,
    });
  });

  it('refuses to write what could not be read', async () => {
    await expectError(
      () => writeSafetensors({ __metadata__: scalar(1) }),
      'SAFETENSORS_INVALID',
      '__metadata__',
    );
    const proto = Object.fromEntries([['__proto__', scalar(1)]]);
    await expectError(() => writeSafetensors(proto), 'SAFETENSORS_INVALID', '__proto__');
    const short: NdArray = { dtype: 'float32', shape: [3], data: new Float32Array(2) };
    await expectError(
      () => writeSafetensors({ fine: zeros([1]), short }),
      'SHAPE_MISMATCH',
      'short: ',
      '3 elements',
    );
    const wrong = { dtype: 'float64', shape: [2], data: new Float32Array(2) } as unknown as NdArray;
    await expectError(() => writeSafetensors({ wrong }), 'DTYPE_MISMATCH', 'wrong: ');
    const metadata = { step: 3 as unknown as string };
    await expectError(() => writeSafetensors({}, metadata), 'SAFETENSORS_INVALID', 'text', 'step');
  });
});

describe("Python's safetensors", () => {
  it('writes what we read', () => {
    const { tensors, metadata } = readSafetensors(fixture('python.safetensors'));
    expect(metadata).toEqual({ format: 'np', note: 'quotes " and 🎲' });
    const f = Math.fround;
    const expected: Record<string, NdArray> = {
      float64: ndarray('float64', [2, 2], Float64Array.of(0.1, -2.5, 1e300, -0)),
      float32: ndarray('float32', [4], Float32Array.of(0.1, Infinity, -Infinity, 1e-45)),
      float16: ndarray('float32', [4], Float32Array.of(0.0999755859375, 65504, 2 ** -24, -0)),
      bfloat16: ndarray('float32', [3], Float32Array.of(1, -2.5, f(3.140625))),
      int64: ndarray('int64', [2], BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n)),
      int32: ndarray('int32', [2], Int32Array.of(-(2 ** 31), 2 ** 31 - 1)),
      int16: ndarray('int16', [3, 1], Int16Array.of(-(2 ** 15), 2 ** 15 - 1, 3)),
      int8: ndarray('int8', [3], Int8Array.of(-128, 127, 5)),
      uint32: ndarray('uint32', [1], Uint32Array.of(2 ** 32 - 1)),
      uint16: ndarray('uint16', [1], Uint16Array.of(2 ** 16 - 1)),
      uint8: ndarray('uint8', [3], Uint8Array.of(255, 0, 7)),
      bool: ndarray('bool', [3], Uint8Array.of(1, 0, 1)),
      scalar: scalar(42),
      empty: zeros([3, 0, 2]),
      'stem.conv1 "kernel" \\ schön 🎲': ndarray('uint8', [1], Uint8Array.of(1)),
    };
    expect(Object.keys(tensors).sort()).toEqual(Object.keys(expected).sort());
    for (const [name, array] of Object.entries(expected)) {
      expect(sameBits(tensors[name], array), name).toBe(true);
    }
  });

  it('reads what we write: these very bytes, by `fixtures/reference.py check`', () => {
    const bytes = writeSafetensors(
      {
        float64: ndarray('float64', [2, 2], Float64Array.of(0.1, -0, 1e300, -Infinity)),
        float32: ndarray('float32', [2], Float32Array.of(0.1, 1e-45)),
        int64: ndarray('int64', [2], BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n)),
        int32: ndarray('int32', [2], Int32Array.of(-(2 ** 31), 2 ** 31 - 1)),
        int16: ndarray('int16', [2, 1], Int16Array.of(-(2 ** 15), 2 ** 15 - 1)),
        int8: ndarray('int8', [3], Int8Array.of(-128, 127, 5)),
        uint32: ndarray('uint32', [1], Uint32Array.of(2 ** 32 - 1)),
        uint16: ndarray('uint16', [1], Uint16Array.of(2 ** 16 - 1)),
        uint8: ndarray('uint8', [3], Uint8Array.of(255, 0, 7)),
        bool: fromNested([true, false, true]),
        scalar: scalar(42),
        empty: zeros([3, 0, 2]),
        'stem.conv1 schön 🎲': ndarray('uint8', [1], Uint8Array.of(1)),
      },
      { note: 'quotes " and 🎲', format: 'tenon' },
    );
    // To write it anew, and then have Python check it.
    if (process.env.TENON_WRITE_FIXTURES) writeFileSync(fixtureUrl('ours.safetensors'), bytes);
    expect(Buffer.from(bytes).equals(fixture('ours.safetensors'))).toBe(true);
  });
});

describe('half precision', () => {
  const every = new Uint8Array(Uint16Array.from({ length: 65536 }, (_, i) => i).buffer);
  const read = (code: string): Float32Array => {
    const header = JSON.stringify({ x: { dtype: code, shape: [65536], data_offsets: [0, 131072] } });
    const { x } = readSafetensors(fileOf(header, every)).tensors;
    expect([x.dtype, ...x.shape]).toEqual(['float32', 65536]);
    return x.data as Float32Array;
  };

  it('F16: every value is that of its bits, exactly', () => {
    const values = read('F16');
    for (let bits = 0; bits < 65536; bits++) {
      const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
      // IEEE 754 binary16, in units of its smallest number, 2⁻²⁴: all integers.
      const units = exponent === 0 ? fraction : (1024 + fraction) * 2 ** (exponent - 1);
      const expected = exponent < 31 ? sign * units * 2 ** -24 : fraction ? Number.NaN : sign * Infinity;
      if (!Object.is(values[bits], expected)) expect(values[bits], bits.toString(16)).toBe(expected);
    }
    // And by NumPy, with one NaN for all (fixtures/reference.py).
    const canonical = values.map((x) => (Number.isNaN(x) ? Number.NaN : x));
    expect(createHash('sha256').update(bytesOf(canonical)).digest('hex')).toBe(
      '385ff5fe69182797cda5f1827e20cf423f4416bc9246f27d0eec27cac9039259',
    );
  });

  it('BF16: the bits are the upper half of float32', () => {
    const words = new Uint32Array(read('BF16').buffer);
    expect(words.every((word, bits) => word === (bits << 16) >>> 0)).toBe(true);
  });
});
