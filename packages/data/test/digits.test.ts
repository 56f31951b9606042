import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { bytesOf } from '@tenon-ml/core';
import { expect, test } from 'vitest';
import { digits, digitsInfo } from '../src/digits/index.js';
import { parseCsv } from '../src/index.js';

const original = join(import.meta.dirname, '../../../../shared/data/digits/digits.csv.gz');

async function arrays() {
  const [all] = await digits().batch(1797).toArray();
  return all;
}

test('1797 images of 8 × 8 with their labels', async () => {
  const data = digits();
  expect(data.length).toBe(1797);
  const [first] = await data.take(1).toArray();
  expect([first.input.dtype, first.input.shape]).toEqual(['uint8', [8, 8, 1]]);
  expect(first.target).toEqual({ dtype: 'int32', shape: [], data: Int32Array.of(0) });
  // The zero that begins the file.
  expect([...first.input.data.subarray(0, 16)]).toEqual([
    0, 0, 5, 13, 9, 1, 0, 0, 0, 0, 13, 15, 10, 15, 5, 0,
  ]);
  const { target } = await arrays();
  const counts = Array.from(
    { length: 10 },
    (_, label) => target.data.filter((value) => value === label).length,
  );
  expect(counts).toEqual([178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
});

test('the bytes are those that were embedded', async () => {
  const { input, target } = await arrays();
  const hash = createHash('sha256')
    .update(bytesOf(input.data))
    .update(bytesOf(Uint8Array.from(target.data)));
  expect(hash.digest('hex')).toBe('87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826');
});

test('they are those of the published file', async ({ skip }) => {
  skip(!existsSync(original), 'the file is not beside the repository; the checksum stands for it');
  const { rows } = parseCsv(gunzipSync(readFileSync(original)).toString(), { header: false });
  const { input, target } = await arrays();
  expect([...input.data]).toEqual(rows.flatMap((row) => row.slice(0, 64).map(Number)));
  expect([...target.data]).toEqual(rows.map((row) => Number(row[64])));
});

test('the terms and the source are there', () => {
  expect(digitsInfo).toMatchObject({ licence: 'CC-BY-4.0' });
  expect(digitsInfo.citation).toContain('10.24432/C50P49');
  expect(digitsInfo.classNames).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
});
