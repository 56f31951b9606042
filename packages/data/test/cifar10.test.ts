import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import {
  chmod,
  mkdir,
  mkdtemp,
  open,
  readFile,
  rm,
  symlink,
  truncate,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toNested } from '@tenon-ml/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cifar10Info, parseCifar10 } from '../src/cifar10/index.js';
import { cifar10 } from '../src/node/index.js';
import { rejection } from './support.js';

const RECORD = 3073;
const files = [1, 2, 3, 4, 5].map((n) => `data_batch_${n}.bin`).concat('test_batch.bin');
const original = join(import.meta.dirname, '../../../../shared/data/cifar-10-batches-bin');

/** A record whose red, green and blue planes are 0, 1, 2, …, then 100, 101, …, then 200, 201, … modulo 256. */
function record(label: number): Uint8Array {
  const bytes = new Uint8Array(RECORD);
  bytes[0] = label;
  for (let p = 0; p < 1024; p++) for (let c = 0; c < 3; c++) bytes[1 + 1024 * c + p] = 100 * c + p;
  return bytes;
}

let folder = '';
/** A folder of the layout: black images of class 0, but for some records. */
let whole = '';

/** Writes some bytes into a file. */
async function patch(path: string, position: number, bytes: Uint8Array): Promise<void> {
  const handle = await open(path, 'r+');
  await handle.write(bytes, 0, bytes.length, position);
  await handle.close();
}

/** A folder of links to the files of `whole`, those aside that the test brings itself. */
async function variant(name: string, own: readonly string[]): Promise<string> {
  const path = join(folder, name);
  await mkdir(path);
  for (const file of [...files, 'batches.meta.txt'])
    if (!own.includes(file)) await symlink(join(whole, file), join(path, file));
  return path;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tenon-cifar10-'));
  whole = join(folder, 'cifar-10-batches-bin');
  await mkdir(whole);
  for (const [i, name] of files.entries()) {
    const path = join(whole, name);
    await writeFile(path, '');
    // Sparse: the disk holds only what is patched in.
    await truncate(path, 10_000 * RECORD);
    await patch(path, 17 * RECORD, record(i + 1));
  }
  await writeFile(join(whole, 'batches.meta.txt'), `${cifar10Info.classNames.join('\n')}\n\n`);
});
afterAll(() => rm(folder, { recursive: true }));

describe('parseCifar10', () => {
  test('labels, and planes as the last axis', () => {
    const { input, target } = parseCifar10(Buffer.concat([record(3), record(9)]), 'two.bin');
    expect([input.dtype, input.shape, target.dtype]).toEqual(['uint8', [2, 32, 32, 3], 'int32']);
    expect([...target.data]).toEqual([3, 9]);
    const images = toNested(input) as number[][][][];
    expect(images[1][0][0]).toEqual([0, 100, 200]);
    expect(images[1][0][5]).toEqual([5, 105, 205]);
    expect(images[1][2][1]).toEqual([65, 165, (200 + 65) % 256]);
  });

  test('a label of 17: the file and the record', () => {
    expect(() => parseCifar10(Buffer.concat([record(3), record(17)]), 'two.bin')).toThrow(
      'two.bin, record 1: expected a label from 0 to 9 (byte 3073), got 17.',
    );
  });

  test('a file that ends within a record', () => {
    expect(() => parseCifar10(record(3).subarray(0, 3000), 'cut.bin')).toThrow(
      'cut.bin: expected records of 3073 bytes, got 3000 bytes, which end within record 0.',
    );
  });
});

describe('a folder', () => {
  test('all images, in the order of the files', async () => {
    // The folder above will do as well.
    const { train, test: held, info } = await cifar10({ path: folder });
    expect([train.length, held.length]).toEqual([50_000, 10_000]);
    expect(info.classNames).toEqual(cifar10Info.classNames);
    const marked = await train.skip(30_000).take(20).batch(20).toArray();
    expect(marked[0].target.data[17]).toBe(4);
    expect([...marked[0].input.data.subarray(17 * 3072, 17 * 3072 + 6)]).toEqual([0, 100, 200, 1, 101, 201]);
    expect(marked[0].target.data.filter((label) => label !== 0)).toHaveLength(1);
    const [last] = await held.skip(17).take(1).toArray();
    expect(toNested(last.target)).toBe(6);
  });

  test('a truncated file: how long it is, and where it ends', async () => {
    const path = await variant('truncated', ['data_batch_2.bin']);
    await writeFile(join(path, 'data_batch_2.bin'), '');
    await truncate(join(path, 'data_batch_2.bin'), 30_000_000);
    const error = await rejection(cifar10({ path }));
    expect(error).toMatchObject({ code: 'DATA_INVALID' });
    expect(error.message).toBe(
      `${path}/data_batch_2.bin: expected 30730000 bytes, 10000 records of 3073, got 30000000 bytes, which end within record 9762. The file is cut off or not of the binary version: copy or download it again.`,
    );
    await truncate(join(path, 'data_batch_2.bin'), 9000 * RECORD);
    expect((await rejection(cifar10({ path }))).message).toContain('which end after 9000 records');
  });

  test('a label of 17: the file and the record', async () => {
    const path = await variant('label', ['data_batch_1.bin']);
    await writeFile(join(path, 'data_batch_1.bin'), '');
    await truncate(join(path, 'data_batch_1.bin'), 10_000 * RECORD);
    await patch(join(path, 'data_batch_1.bin'), 1234 * RECORD, Uint8Array.of(17));
    expect((await rejection(cifar10({ path }))).message).toMatch(
      /data_batch_1\.bin, record 1234: expected a label from 0 to 9 .*, got 17/,
    );
  });

  test('a missing file, and the version for Python', async () => {
    const path = await variant('missing', ['data_batch_5.bin']);
    const error = await rejection(cifar10({ path }));
    expect(error).toMatchObject({ code: 'NOT_FOUND', where: join(path, 'data_batch_5.bin') });
    expect(error.message).toContain('data_batch_1.bin to data_batch_5.bin and test_batch.bin');
    const python = join(folder, 'cifar-10-batches-py');
    await mkdir(python);
    await writeFile(join(python, 'data_batch_1'), '');
    expect((await rejection(cifar10({ path: python }))).message).toContain('This is the version for Python');
  });

  test('class names as the file has them; a file that has others than ten is refused', async () => {
    const path = await variant('names', ['batches.meta.txt']);
    await writeFile(join(path, 'batches.meta.txt'), 'a\r\nb\r\nc\r\nd\r\ne\r\nf\r\ng\r\nh\r\ni\r\nj\r\n');
    expect((await cifar10({ path })).info.classNames.join('')).toBe('abcdefghij');
    await writeFile(join(path, 'batches.meta.txt'), 'a\nb\n');
    expect((await rejection(cifar10({ path }))).message).toMatch(
      /batches\.meta\.txt: expected 10 class names/,
    );
  });

  test.skipIf(process.platform === 'win32')('no permission', async () => {
    const path = await variant('locked', ['data_batch_1.bin']);
    await writeFile(join(path, 'data_batch_1.bin'), '', { mode: 0 });
    await truncate(join(path, 'data_batch_1.bin'), 10_000 * RECORD);
    await chmod(folder, 0o755);
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) process.seteuid?.(65534);
    const error = await rejection(cifar10({ path })).finally(() => isRoot && process.seteuid?.(0));
    expect(error).toMatchObject({ code: 'PERMISSION_DENIED' });
    expect(error.message).toContain('data_batch_1.bin');
  });

  test('a path that is not there', async () => {
    const error = await rejection(cifar10({ path: join(folder, 'nowhere') }));
    expect(error).toMatchObject({ code: 'NOT_FOUND', where: join(folder, 'nowhere') });
  });
});

describe('an archive that tar made', () => {
  let archive = '';
  beforeAll(() => {
    archive = join(folder, 'whole.tar.gz');
    execFileSync('tar', ['-czf', archive, '-C', folder, 'cifar-10-batches-bin']);
  });

  test('compressed and plain: what the folder has', async () => {
    const plain = join(folder, 'whole.tar');
    execFileSync('tar', ['-cf', plain, '-C', folder, 'cifar-10-batches-bin']);
    for (const path of [archive, plain]) {
      const { train, info } = await cifar10({ path });
      const [batch] = await train.skip(40_000).take(18).batch(18).toArray();
      expect([...batch.target.data].at(-1)).toBe(5);
      expect([...batch.input.data.subarray(17 * 3072, 17 * 3072 + 3)]).toEqual([0, 100, 200]);
      expect(info.classNames[9]).toBe('truck');
    }
    await unlink(plain);
  });

  test('cut off, damaged, something else: the file, and what to do', async () => {
    const bytes = await readFile(archive);
    const cut = join(folder, 'cut.tar.gz');
    await writeFile(cut, bytes.subarray(0, Math.floor(bytes.length / 2)));
    const flipped = join(folder, 'flipped.tar.gz');
    const damaged = Buffer.from(bytes);
    damaged.fill(0xff, Math.floor(damaged.length / 2), Math.floor(damaged.length / 2) + 64);
    await writeFile(flipped, damaged);
    const text = join(folder, 'text.tar.gz');
    await writeFile(text, 'not an archive'.repeat(100));
    for (const path of [cut, flipped, text]) {
      const error = await rejection(cifar10({ path }));
      expect(error, path).toMatchObject({ code: 'DATA_INVALID', where: path });
      expect(error.message).toContain('Copy or download it again.');
    }
  });

  test('one that lacks a file, or has a broken one', async () => {
    const lacking = join(folder, 'lacking.tar.gz');
    execFileSync('tar', ['-czf', lacking, '-C', folder, '--exclude=test_batch.bin', 'cifar-10-batches-bin']);
    expect(await rejection(cifar10({ path: lacking }))).toMatchObject({
      code: 'NOT_FOUND',
      where: `${lacking}, test_batch.bin`,
    });
    const small = join(folder, 'small');
    await mkdir(small);
    await writeFile(join(small, 'test_batch.bin'), record(1));
    const broken = join(folder, 'broken.tar.gz');
    execFileSync('tar', ['-czf', broken, '-C', small, 'test_batch.bin']);
    expect((await rejection(cifar10({ path: broken }))).message).toMatch(
      /broken\.tar\.gz, test_batch\.bin: expected 30730000 bytes.*got 3073 bytes/,
    );
  });
});

test('the data beside the repository', async ({ skip }) => {
  skip(!existsSync(original), 'the data is not beside the repository');
  const { train, test: held } = await cifar10({ path: original });
  const [{ target }] = await train.batch(50_000).toArray();
  const counts = new Array(10).fill(0);
  for (const label of target.data) counts[label]++;
  expect(counts).toEqual(Array(10).fill(5000));
  expect(held.length).toBe(10_000);
});
