import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromNested, isTenonError, readSafetensors, scalar, writeSafetensors, zeros } from '../src/index.js';
import { expectError } from './support.js';

/** A file from its header, as text or bytes, and its data; `length` is what it claims the header's to be. */
function fileOf(header: string | Uint8Array, data: number | Uint8Array = 0, length?: bigint): Uint8Array {
  const text = typeof header === 'string' ? new TextEncoder().encode(header) : header;
  const body = typeof data === 'number' ? new Uint8Array(data) : data;
  const bytes = new Uint8Array(8 + text.length + body.length);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(text.length), true);
  bytes.set(text, 8);
  bytes.set(body, 8 + text.length);
  return bytes;
}

const entry = (dtype: unknown, shape: unknown, offsets: unknown) => ({ dtype, shape, data_offsets: offsets });
const f32 = (shape: unknown, offsets: unknown) => entry('F32', shape, offsets);
const file = (header: unknown, data: number | Uint8Array = 0): Uint8Array =>
  fileOf(JSON.stringify(header), data);

/** Reads, expecting to be refused with these words. */
const refuse = (bytes: Uint8Array, ...parts: string[]) =>
  expectError(
    () => readSafetensors(bytes, 'model.safetensors'),
    'SAFETENSORS_INVALID',
    'model.safetensors',
    ...parts,
  );

describe('a header length that lies', () => {
  it.each([
    ['beyond the file', 1000n, 'claims 1000'],
    ['by one', 3n, 'claims 3'],
    ['hugely', 2n ** 62n, 'claims 4611686018427387904'],
    ['negatively, read as signed', 2n ** 64n - 1n, 'claims 18446744073709551615'],
    ['as the product of a file and a header limit', 100_000_001n, 'claims 100000001'],
  ])('%s', async (_, length, message) => {
    await refuse(fileOf('{}', 0, length), message, 'at most 2 bytes');
  });

  it('within the file', async () => {
    await refuse(fileOf('{}', 8, 1n), "don't parse");
    await refuse(fileOf('{}', 8, 0n), "don't parse");
    await refuse(fileOf('{"x":{}}', 0, 2n), "don't parse");
  });

  it.each([0, 1, 7])('in a file of %d bytes', async (length) => {
    await refuse(new Uint8Array(length), 'at least 8 bytes', `got ${length}`);
  });
});

describe('a header that is none', () => {
  it.each([
    ['an array', '[]'],
    ['a number', '3'],
    ['null', 'null'],
    ['text', '"{}"'],
    ['nothing', ''],
    ['broken', '{"x": '],
    ['with text behind it', '{} x'],
    ['behind spaces', '  {}'],
    ['behind a byte order mark', '\ufeff{}'],
  ])('%s', async (_, header) => {
    await refuse(fileOf(header), 'JSON');
  });

  it('in invalid UTF-8', async () => {
    await refuse(fileOf(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d)), "don't parse");
  });

  it('nested without end', async () => {
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
    for (const header of [
      `{"x":${deep}}`,
      `{"x":{"dtype":${deep},"shape":[],"data_offsets":[0,4]}}`,
      `{"x":{"dtype":"F32","shape":${deep},"data_offsets":[0,4]}}`,
      `{"x":{"dtype":"F32","shape":[],"data_offsets":${deep}}}`,
      `{"__metadata__":{"a":${deep}}}`,
      `{"x":${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}}`,
    ]) {
      await refuse(fileOf(header, 4));
    }
  });

  it('with names and notes of many megabytes', async () => {
    const long = 'n'.repeat(12_000_000);
    const { metadata } = readSafetensors(file({ __metadata__: { long } }));
    expect(metadata.long).toHaveLength(long.length);
    const error = await refuse(file({ [long]: 3 }));
    expect(error.message.length).toBeLessThan(500);
  });
});

describe('an entry that lies', () => {
  it.each([
    ['about its size', { x: f32([2], [0, 4]) }, 4, '8 bytes for F32 of shape [2]'],
    ['about its size, with data to spare', { x: f32([1], [0, 8]) }, 8, '4 bytes'],
    ['beyond the data', { x: f32([2], [0, 8]) }, 4, 'within the 4 bytes'],
    ['backwards', { x: f32([0], [4, 0]) }, 4, 'data_offsets'],
    ['negatively', { x: f32([1], [-4, 0]) }, 4, 'data_offsets'],
    ['in fractions', { x: f32([1], [0, 4.5]) }, 8, 'data_offsets'],
    ['in three offsets', { x: f32([1], [0, 4, 4]) }, 4, 'data_offsets'],
    ['without offsets', { x: { dtype: 'F32', shape: [1] } }, 4, 'data_offsets'],
    ['with a negative size', { x: f32([-1], [0, 4]) }, 4, 'shape'],
    ['with a fraction of a size', { x: f32([0.5, 2], [0, 4]) }, 4, 'shape'],
    ['with a size in text', { x: f32(['1'], [0, 4]) }, 4, 'shape'],
    ['without a shape', { x: { dtype: 'F32', data_offsets: [0, 4] } }, 4, 'shape'],
    ['with sizes beyond 2^53', { x: f32([2 ** 53, 1], [0, 4]) }, 4, 'shape'],
    ['with a product beyond 2^53', { x: f32([2 ** 30, 2 ** 30], [0, 4]) }, 4, 'fewer than 2^53 bytes'],
    ['with a product that wraps round to its bytes', { x: f32([2 ** 32, 2 ** 32, 1], [0, 0]) }, 0, '2^53'],
    ['with a product beyond 2^53, times 0', { x: f32([2 ** 52, 2 ** 52, 0], [0, 0]) }, 0, '2^53'],
    ['with a product of infinity, times 0', { x: f32([...Array(30).fill(2 ** 52), 0], [0, 0]) }, 0, '2^53'],
    ['about its dtype', { x: entry('F128', [1], [0, 16]) }, 16, '"F128"'],
    ['with a dtype that objects inherit', { x: entry('toString', [], [0, 4]) }, 4, '"toString"'],
    ['with a number for a dtype', { x: entry(3, [1], [0, 4]) }, 4, 'dtypes'],
    ['by being null', { x: null }, 0, 'an object'],
    ['by being text', { x: 'F32' }, 0, 'an object'],
    ['by being an array', { x: ['F32', [1], [0, 4]] }, 4, 'dtypes'],
  ] as [string, object, number, string][])('%s', async (_, header, data, message) => {
    await refuse(file(header, data), 'x: ', message);
  });
});

describe('data that is not what the header says', () => {
  const two = { a: f32([1], [0, 4]), b: f32([1], [4, 8]) };

  it('cut off, at every length', async () => {
    const bytes = writeSafetensors(
      { a: fromNested([1, 2]), b: scalar(1, 'uint8'), c: zeros([0]) },
      { note: 'x' },
    );
    for (let length = 0; length < bytes.length; length++) await refuse(bytes.subarray(0, length));
    expect(() => readSafetensors(bytes)).not.toThrow();
  });

  it('with something appended', async () => {
    await refuse(file(two, 9), '8 bytes of data', 'got 9', 'cut off, or has something appended');
    await refuse(file({}, 1), '0 bytes of data');
  });

  it.each([
    ['that overlaps', { a: f32([1], [0, 4]), b: f32([1], [2, 6]) }, 6, 'begins at 4'],
    ['that is shared', { a: f32([1], [0, 4]), b: f32([1], [0, 4]) }, 4, 'begins at 4'],
    ['with a gap', { a: f32([1], [0, 4]), b: f32([1], [8, 12]) }, 12, 'begins at 4'],
    ['with a gap at the front', { a: f32([1], [4, 8]) }, 8, 'begins at 0'],
    ['with an empty array inside another', { a: f32([2], [0, 8]), b: f32([0], [4, 4]) }, 8, 'begins at 8'],
  ] as [string, object, number, string][])('%s', async (_, header, data, message) => {
    await refuse(file(header, data), message);
  });

  it('takes any order of entries, and empty arrays between them', () => {
    const header = {
      b: f32([1], [4, 8]),
      empty: f32([0, 7], [4, 4]),
      a: f32([1], [0, 4]),
      last: f32([0], [8, 8]),
    };
    const { tensors } = readSafetensors(file(header, new Uint8Array(Float32Array.of(1, 2).buffer)));
    expect(Object.values(tensors).map(({ data }) => [...data])).toEqual([[2], [], [1], []]);
  });

  it('with booleans that are neither 0 nor 1', async () => {
    await refuse(file({ x: entry('BOOL', [3], [0, 3]) }, Uint8Array.of(0, 1, 2)), 'x: ', 'got 2');
  });
});

describe('names', () => {
  const one = JSON.stringify(f32([1], [0, 4]));
  const other = JSON.stringify(f32([1], [4, 8]));

  it.each([
    ['twice', `{"a":${one},"a":${one}}`],
    ['twice, once escaped', `{"a":${one},"\\u0061":${one}}`],
    ['twice, with quotes in them', `{"\\"a\\\\":${one},"\\"a\\\\":${one}}`],
    ['twice, with space before the colon', `{"a" \n:${one},"b":${other},"b":${other}}`],
    ['of metadata twice', `{"__metadata__":{},"__metadata__":{"a":"b"},"a":${one}}`],
    ['in metadata twice', `{"__metadata__":{"k":"1","k":"2"},"a":${one}}`],
    ['in an entry twice', '{"a":{"dtype":"F32","shape":[2],"shape":[1],"data_offsets":[0,4]}}'],
  ])('%s', async (_, header) => {
    await refuse(fileOf(header, 4), 'every name once', 'twice');
  });

  it('are not taken for doubled where text looks like it', () => {
    const header = `{"__metadata__":{"k":"\\"a\\":1,\\"a\\":","{":"}: \\\\"},"a:\\"":${one},"a":${other}}`;
    expect(Object.keys(readSafetensors(fileOf(header, 8)).tensors)).toEqual(['a:"', 'a']);
  });

  it('that set a prototype', async () => {
    await refuse(fileOf(`{"__proto__":${one}}`, 4), '__proto__');
    await refuse(fileOf(`{"a":${one},"__proto__":${other}}`, 8), '__proto__');
    await refuse(fileOf(`{"a":{"__proto__":${one}}}`, 4), 'a: ');
    const { metadata } = readSafetensors(fileOf('{"__metadata__":{"__proto__":"x"}}'));
    expect(Object.getPrototypeOf(metadata)).toBe(Object.prototype);
  });
});

describe('metadata', () => {
  it.each([[3], [null], ['text'], [['a']], [{ a: 1 }], [{ a: null }], [{ a: { b: 'c' } }]])(
    'of %j is refused',
    async (metadata) => {
      await refuse(file({ __metadata__: metadata }), '__metadata__ with text values');
    },
  );

  it('may be empty, and may lack', () => {
    expect(readSafetensors(file({ __metadata__: {} })).metadata).toEqual({});
    expect(readSafetensors(file({}))).toEqual({ tensors: {}, metadata: {} });
  });
});

describe('any change to a file', () => {
  const original = writeSafetensors(
    {
      'conv.kernel': zeros([2, 3]),
      labels: fromNested([1, 2, 3], 'int64'),
      mask: fromNested([true]),
      empty: zeros([0]),
    },
    { format: 'tenon', note: 'a "quoted" note' },
  );
  const headerEnd = 8 + Number(new DataView(original.buffer).getBigUint64(0, true));

  /** Reads it, or is refused; holds no more than the file has, whatever the header says. */
  function readOrRefuse(bytes: Uint8Array): void {
    try {
      const { tensors } = readSafetensors(bytes);
      const held = Object.values(tensors).reduce((total, { data }) => total + data.byteLength, 0);
      // F16 and BF16 double.
      expect(held).toBeLessThanOrEqual(2 * bytes.length);
    } catch (error) {
      if (!isTenonError(error) || error.code !== 'SAFETENSORS_INVALID') throw error;
    }
  }

  it('of one byte', () => {
    for (let at = 0; at < original.length; at++) {
      for (const change of [1, 2, 4, 8, 16, 32, 64, 128, 255]) {
        const bytes = original.slice();
        bytes[at] ^= change;
        readOrRefuse(bytes);
      }
    }
  });

  it('of many', () => {
    const header = [...'{}[]",:0123456789eF-truenull\\ _'].map((c) => c.charCodeAt(0));
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(
            fc.nat({ max: headerEnd - 1 }),
            fc.oneof(fc.constantFrom(...header), fc.nat({ max: 255 })),
          ),
          {
            minLength: 1,
            maxLength: 8,
          },
        ),
        (changes) => {
          const bytes = original.slice();
          for (const [at, byte] of changes) bytes[at] = byte;
          readOrRefuse(bytes);
        },
      ),
      { numRuns: 5000 },
    );
  });

  it('for any bytes at all, and any JSON for a header', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), readOrRefuse), { numRuns: 1000 });
    fc.assert(
      fc.property(fc.json(), fc.nat({ max: 16 }), (header, data) => readOrRefuse(fileOf(header, data))),
      { numRuns: 1000 },
    );
    const wild = fc.oneof(fc.constantFrom('F32', 'I64', 'BOOL', 'F16'), fc.jsonValue());
    const counts = fc.oneof(fc.array(fc.nat({ max: 20 }), { maxLength: 3 }), fc.jsonValue());
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.tuple(wild, counts, counts)),
        fc.nat({ max: 40 }),
        (entries, data) => {
          const header = Object.fromEntries(
            Object.entries(entries).map(([name, parts]) => [name, entry(...parts)]),
          );
          readOrRefuse(file(header, data));
        },
      ),
      { numRuns: 2000 },
    );
  });
});
