import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { type NdArray, TenonError } from '@tenon-ml/core';
import { storageError } from '@tenon-ml/core/node';
import { type CsvDataset, type CsvDatasetOptions, fromCsv } from '../csv.js';

/**
 * The dataset of a CSV file, plain or compressed with gzip: `fromCsv` of its text, with the path in messages.
 *
 * Throws `NOT_FOUND`, `PERMISSION_DENIED`, `DATA_INVALID` for what isn't gzip (in a file that begins like it) or UTF-8,
 * and what `fromCsv` throws.
 */
export async function readCsv(
  path: string,
  options: CsvDatasetOptions & { readonly target: string | number | readonly (string | number)[] },
): Promise<CsvDataset>;
export async function readCsv(
  path: string,
  options?: CsvDatasetOptions,
): Promise<CsvDataset<{ readonly input: NdArray }>>;
export async function readCsv(
  path: string,
  options: CsvDatasetOptions = {},
): Promise<CsvDataset<{ readonly input: NdArray }>> {
  return fromCsv(await readCsvText(path), { file: path, ...options });
}

/** The text of a file, decompressed if it begins as gzip does: for `parseCsv`. Throws as `readCsv` does. */
export async function readCsvText(path: string): Promise<string> {
  const bytes = await readBytes(path);
  const isGzip = bytes[0] === 0x1f && bytes[1] === 0x8b;
  const plain = isGzip ? await decompress(bytes, path) : bytes;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(plain);
  } catch (cause) {
    throw new TenonError({
      code: 'DATA_INVALID',
      where: path,
      expected: 'UTF-8 text',
      got: 'bytes that are none',
      hint: 'Save it as UTF-8.',
      cause,
    });
  }
}

async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    throw storageError(error, path, 'read');
  }
}

async function decompress(bytes: Uint8Array, path: string): Promise<Uint8Array> {
  try {
    return await promisify(gunzip)(bytes);
  } catch (cause) {
    throw new TenonError({
      code: 'DATA_INVALID',
      where: path,
      expected: 'a whole gzip file',
      got: `one that does not decompress: ${(cause as Error).message}`,
      cause,
    });
  }
}
