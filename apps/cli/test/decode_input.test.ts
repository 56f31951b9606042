import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { isTenonError, type NdArray, type TensorSpec, type Tree, toNested } from '@tenon-ml/core';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decodeInputFile } from '../src/decode_input.js';

const rows: TensorSpec = { shape: [null, 3], dtype: 'float32' };
const images: TensorSpec = { shape: [null, 2, 2, 1], dtype: 'float32' };

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tenon-input-'));
});
afterAll(() => rm(folder, { recursive: true }));

function decode(name: string, text: string, spec: Tree<TensorSpec>): Promise<NdArray> {
  return decodeInputFile({ bytes: new TextEncoder().encode(text), name }, spec);
}

async function failure(name: string, text: string, spec: Tree<TensorSpec> = rows): Promise<string> {
  const error = await decode(name, text, spec).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!isTenonError(error)) throw new Error('It should have thrown a TenonError.', { cause: error });
  return `${error.code} ${error.message}`;
}

test('JSON: one example or a batch, told apart by the depth', async () => {
  const one = await decode('a.json', '[1, 2, 3.5]', rows);
  expect([one.dtype, one.shape, toNested(one)]).toEqual(['float32', [1, 3], [[1, 2, 3.5]]]);
  expect((await decode('a.json', '[[1, 2, 3], [4, 5, 6]]', rows)).shape).toEqual([2, 3]);
  const image = await decode('a.json', '[[[1], [2]], [[3], [4]]]', images);
  expect([image.shape, toNested(image)]).toEqual([
    [1, 2, 2, 1],
    [
      [
        [[1], [2]],
        [[3], [4]],
      ],
    ],
  ]);
  expect((await decode('a.json', '{ "inputs": [[1, 2, 3]] }', rows)).shape).toEqual([1, 3]);
  expect((await decode('a.json', '\ufeff[1, 2, 3]', rows)).shape).toEqual([1, 3]);
});

test('JSON: an axis whose size is free is as long as the first example has it', async () => {
  const free: TensorSpec = { shape: [null, null, 2], dtype: 'float32' };
  const batch = '[[[1, 2], [3, 4], [5, 6]], [[1, 2], [3, 4], [5, 6]]]';
  expect((await decode('a.json', batch, free)).shape).toEqual([2, 3, 2]);
  expect(await failure('a.json', '[[[1, 2], [3, 4]], [[1, 2]]]', free)).toBe(
    'DATA_INVALID a.json, [1]: expected an array of 2 arrays, got one of 1. An example is [any, 2].',
  );
});

test('JSON: scalars, and integers for models that take them', async () => {
  const scalars: TensorSpec = { shape: [null], dtype: 'float32' };
  expect((await decode('a.json', '3', scalars)).shape).toEqual([1]);
  expect(toNested(await decode('a.json', '[3, 4]', scalars))).toEqual([3, 4]);
  const tokens: TensorSpec = { shape: [null, 2], dtype: 'int32' };
  expect(await decode('a.json', '[1, 2]', tokens)).toEqual({
    dtype: 'int32',
    shape: [1, 2],
    data: Int32Array.of(1, 2),
  });
  expect(await failure('a.json', '[1, 2.5]', tokens)).toBe(
    'DTYPE_MISMATCH a.json, cast to int32: expected integers from -2147483648 to 2147483647, got 2.5 at index 1.',
  );
});

test.each([
  ['[[1, 2, 3], [4, 5]]', 'a.json, [1]: expected an array of 3 numbers, got one of 2. An example is [3].'],
  ['{ "inputs": [[1, 2, 3], [4, "5", 6]] }', 'a.json, inputs[1][1]: expected a number, got the text "5".'],
  ['[1, null, 3]', 'a.json, [1]: expected a number, got null.'],
  ['[1, 1e39, 3]', 'a.json, [1]: expected a number that float32 holds, got 1e+39.'],
  ['[1, [2], 3]', 'a.json, [1]: expected a number, got arrays nested 1 deep, [1].'],
  ['[[1, 2, 3], 4]', 'a.json, [1]: expected an array of 3 numbers, got the number 4. An example is [3].'],
  ['[]', 'a.json: expected at least one example, got an empty array.'],
  [
    '{ "input": [1, 2, 3] }',
    'a.json: expected nested arrays of numbers, one example [3] or a batch [batch, 3], got an object with input. Nest them 1 or 2 deep.',
  ],
  [
    '[[[1, 2, 3]]]',
    'a.json: expected nested arrays of numbers, one example [3] or a batch [batch, 3], got arrays nested 3 deep, [1, 1, 3]. Nest them 1 or 2 deep.',
  ],
  [`${'['.repeat(5000)}${']'.repeat(5000)}`, /got arrays nested 5000 deep\. Nest/],
  ['[1,\n2,\n]', /^a\.json:3: expected JSON, got Unexpected token '?]'?/],
  ['[1,\n2', /^a\.json:2: expected JSON, got /],
  ['', /^a\.json:1: expected JSON, got Unexpected end of JSON input\.$/],
])('JSON that does not fit: %j', async (text, message) => {
  const got = await failure('a.json', text);
  expect(got.startsWith('DATA_INVALID ')).toBe(true);
  if (typeof message === 'string') expect(got).toBe(`DATA_INVALID ${message}`);
  else expect(got.slice('DATA_INVALID '.length)).toMatch(message);
});

test('an image without its channels is explained', async () => {
  expect(await failure('a.json', '[[1, 2], [3, 4]]', images)).toBe(
    'DATA_INVALID a.json: expected nested arrays of numbers, one example [2, 2, 1] or a batch [batch, 2, 2, 1], got arrays nested 2 deep, [2, 2]. The last axis counts too: an array of one number.',
  );
});

test('CSV: a record an example, flattened; a header of names is skipped', async () => {
  const batch = await decode('a.csv', '1,2,3,4\n5,6,7,8\n', images);
  expect([batch.dtype, batch.shape]).toEqual(['float32', [2, 2, 2, 1]]);
  expect(Array.from(batch.data as Float32Array)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  expect(toNested(await decode('a.CSV', 'a,b,c\r\n1,-2,3e1\r\n', rows))).toEqual([[1, -2, 30]]);
});

test.each([
  ['', 'a.csv: expected at least one record, got none.'],
  ['1,2,3\n4,5\n', 'a.csv:2: expected 3 fields, got 2.'],
  ['1,2,3\n4,x,6\n', "a.csv:2, column_2: expected a number, got 'x'."],
  ['1,2,3\n4,,6\n', 'a.csv:2, column_2: expected a number, got an empty cell.'],
  ['nan,nan,nan\n1,2,3\n', "a.csv:1, column_1: expected a number, got 'nan'."],
  ['a,b,3\n', "a.csv:1, column_1: expected a number, got 'a'."],
  ['1,2\n', 'a.csv:1: expected 3 columns, the numbers of an example [3], got 2.'],
  ['1,2,3,9\n', 'a.csv:1: expected 3 columns, the numbers of an example [3], got 4. Leave out the label.'],
  [
    '1;2;3\n4;5;6\n',
    'a.csv:1: expected 3 columns, the numbers of an example [3], got 1. Columns are separated by commas.',
  ],
  ['a,b,c\n', 'a.csv: expected at least one record, got none.'],
])('CSV that does not fit: %j', async (text, message) => {
  expect(await failure('a.csv', text)).toBe(`DATA_INVALID ${message}`);
});

test('CSV cannot hold examples of a free size, nor anything a model of several inputs', async () => {
  expect(await failure('a.csv', '1,2\n', { shape: [null, null], dtype: 'float32' })).toMatch(
    /^USAGE a\.csv: expected JSON, for a model whose examples differ in size, got CSV\./,
  );
  expect(await failure('a.json', '[1]', { left: rows, right: rows })).toMatch(
    /^USAGE input: expected a model with one array as its input, got one with left, right\./,
  );
});

test('text that is none, and formats that are not known', async () => {
  const bytes = Uint8Array.of(0x5b, 0xff, 0x5d);
  await expect(decodeInputFile({ bytes, name: 'a.json' }, rows)).rejects.toThrow(
    'a.json: expected UTF-8 text, got bytes that are none.',
  );
  expect(await failure('photos/a.png', '')).toBe(
    "INVALID_ARGUMENT photos/a.png: expected a file of examples, .json or .csv, got 'a.png'. JSON holds nested arrays, one example or a batch; CSV one example a line.",
  );
});

test('files: read, decompressed, and named where they are not there', async () => {
  const path = join(folder, 'one.csv');
  await writeFile(path, '1,2,3\n');
  await writeFile(`${path}.gz`, gzipSync('1,2,3\n4,5,6\n'));
  expect((await decodeInputFile(path, rows)).shape).toEqual([1, 3]);
  expect((await decodeInputFile(`${path}.gz`, rows)).shape).toEqual([2, 3]);
  const missing = join(folder, 'none.json');
  await expect(decodeInputFile(missing, rows)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await expect(decodeInputFile(missing, rows)).rejects.toThrow(missing);
});

test('whatever the shape, JSON and CSV give the same batch', async () => {
  const shapes = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 });
  const float = fc.float({ noNaN: true, noDefaultInfinity: true });
  await fc.assert(
    fc.asyncProperty(
      shapes,
      fc.integer({ min: 1, max: 5 }),
      fc.infiniteStream(float),
      async (shape, n, stream) => {
        const size = shape.reduce((a, b) => a * b, 1);
        const values = [...stream.take(n * size)];
        const nest = (at: number, axis: number): unknown => {
          if (axis === shape.length) return values[at];
          const stride = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
          return Array.from({ length: shape[axis] }, (_, i) => nest(at + i * stride, axis + 1));
        };
        const json = JSON.stringify(Array.from({ length: n }, (_, i) => nest(i * size, 0)));
        const csv = Array.from({ length: n }, (_, i) =>
          values.slice(i * size, (i + 1) * size).join(','),
        ).join('\n');
        const spec: TensorSpec = { shape: [null, ...shape], dtype: 'float32' };
        const expected = {
          dtype: 'float32',
          shape: [n, ...shape],
          data: Float32Array.from(values, (x) => x + 0),
        };
        expect(await decode('a.json', json, spec)).toEqual(expected);
        expect(await decode('a.csv', csv, spec)).toEqual(expected);
      },
    ),
  );
});
