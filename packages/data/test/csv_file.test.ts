import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { toNested } from '@tenon-ml/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readCsv, readCsvText } from '../src/node/index.js';
import { rejection } from './support.js';

let folder = '';
const text = '\ufeffx,label\r\n1,é\r\n2,b\r\n';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tenon-data-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function file(name: string, bytes: string | Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, bytes);
  return path;
}

describe('readCsv', () => {
  test('reads plain and compressed files', async () => {
    for (const path of [await file('plain.csv', text), await file('packed.csv.gz', gzipSync(text))]) {
      const { examples, classNames } = await readCsv(path, { target: 'label' });
      expect(classNames).toEqual(['b', 'é']);
      expect(
        (await examples.toArray()).map(({ input, target }) => [toNested(input), toNested(target)]),
      ).toEqual([
        [[1], 1],
        [[2], 0],
      ]);
    }
  });

  test('names the file and the line of a broken row', async () => {
    const path = await file('broken.csv', 'x,label\n1,a\n2\n');
    expect((await rejection(readCsv(path, { target: 'label' }))).message).toBe(
      `${path}:3: expected 2 fields, got 1.`,
    );
    const named = await rejection(readCsv(path, { target: 'label', file: 'broken.csv' }));
    expect(named.message).toBe('broken.csv:3: expected 2 fields, got 1.');
  });

  test('says what is wrong with a file', async () => {
    const missing = await rejection(readCsv(join(folder, 'none.csv')));
    expect(missing).toMatchObject({ code: 'NOT_FOUND', where: join(folder, 'none.csv') });
    expect(await rejection(readCsv(folder))).toMatchObject({ code: 'STORAGE_FAILED' });
    const cut = gzipSync(text.repeat(50)).subarray(0, 40);
    expect(await rejection(readCsv(await file('cut.csv.gz', cut)))).toMatchObject({ code: 'DATA_INVALID' });
    const latin = await rejection(
      readCsvText(await file('latin.csv', Uint8Array.of(0x78, 0x0a, 0xe9, 0x0a))),
    );
    expect(latin).toMatchObject({ code: 'DATA_INVALID', expected: 'UTF-8 text' });
  });

  test.skipIf(process.platform === 'win32')('a file without permission', async () => {
    const path = await file('secret.csv', text);
    await chmod(path, 0);
    // Root may read everything: for this one read, we are nobody.
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) process.seteuid?.(65534);
    const error = await rejection(readCsv(path)).finally(() => isRoot && process.seteuid?.(0));
    expect(error).toMatchObject({ code: 'PERMISSION_DENIED', where: path });
  });
});
