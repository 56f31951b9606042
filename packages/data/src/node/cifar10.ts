import { open, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type NdArray, TenonError } from '@tenon-ml/core';
import { storageError } from '@tenon-ml/core/node';
import { type Cifar10Example, cifar10Info } from '../cifar10/index.js';
import {
  CHANNELS,
  countRecords,
  decodeRecords,
  IMAGE_BYTES,
  RECORD_BYTES,
  SIDE,
} from '../cifar10/records.js';
import type { Dataset, DatasetInfo } from '../dataset.js';
import { fromArrays } from '../sources.js';
import { readArchive } from './archive.js';
import { cachedDownload } from './cache.js';
import type { DownloadOptions } from './download.js';

export interface Cifar10Options extends Pick<DownloadOptions, 'onProgress' | 'signal'> {
  /**
   * Where the files are: a folder with data_batch_1.bin and so on (or with a folder cifar-10-batches-bin of them), or the
   * archive cifar-10-binary.tar.gz. Without it, the archive is downloaded once, into the cache.
   */
  readonly path?: string;
  /** The folder that downloads are kept in: `tenon` in the user's cache folder ($XDG_CACHE_HOME) by default. */
  readonly cache?: string;
  /** Another place to download the archive from; it has to be the same one. */
  readonly url?: string;
}

export interface Cifar10 {
  /** 50,000 images, in the order of the files. */
  readonly train: Dataset<Cifar10Example>;
  /** 10,000 images. */
  readonly test: Dataset<Cifar10Example>;
  /** Source and terms, and the classes as the files name them. */
  readonly info: DatasetInfo;
}

const ARCHIVE = 'cifar-10-binary.tar.gz';
const FOLDER = 'cifar-10-batches-bin';
const TRAIN_FILES = [1, 2, 3, 4, 5].map((n) => `data_batch_${n}.bin`);
const TEST_FILE = 'test_batch.bin';
const DATA_FILES = [...TRAIN_FILES, TEST_FILE];
const NAMES_FILE = 'batches.meta.txt';
const RECORDS = 10_000;

/** The archive, with the checksum that its authors publish on their page. */
const official = {
  url: `https://www.cs.toronto.edu/~kriz/${ARCHIVE}`,
  checksum: { algorithm: 'md5', digest: 'c32a1d4ab5d03f1284b67883e8d87530' },
} as const;

/**
 * CIFAR-10 in its binary version: images uint8 [32, 32, 3] (rows, columns, channels) with labels int32 [], all in memory
 * (184 MB), so that batches are copied straight from there.
 *
 * ```ts
 * const { train, test, info } = await cifar10();                     // downloaded once: 170 MB
 * const { train, test, info } = await cifar10({ path: 'folder' });   // or the archive's path
 * ```
 *
 * A download goes into the cache folder, has the authors' checksum before it is used, every time, and goes on where it
 * broke off (see `downloadFile`). A folder or an archive of your own is held to the layout, not to a checksum: six files of 10,000
 * records. The class names are those of batches.meta.txt where it is there.
 *
 * Throws `NOT_FOUND` for a file that is missing, `DATA_INVALID` with the file and the record for one that is cut off or
 * damaged, and what `downloadFile` throws.
 *
 * A. Krizhevsky (2009), "Learning Multiple Layers of Features from Tiny Images". The authors state no licence; `info` says
 * whom to cite.
 */
export async function cifar10(options: Cifar10Options = {}): Promise<Cifar10> {
  const { path, isFolder } = await locate(options);
  const files = isFolder ? await readFolder(path) : await readArchived(path);
  return {
    train: fromArrays(examplesOf(files.train)),
    test: fromArrays(examplesOf(files.test)),
    info: { ...cifar10Info, classNames: files.classNames },
  };
}

interface Files {
  readonly train: Part;
  readonly test: Part;
  readonly classNames: readonly string[];
}

async function readFolder(path: string): Promise<Files> {
  const names = await reading(path, () => readdir(path));
  const lacking = DATA_FILES.find((name) => !names.includes(name));
  if (lacking) throw missingFile(join(path, lacking), names);
  // What can be told at once comes first: it takes a second to read all.
  for (const name of DATA_FILES) {
    const file = join(path, name);
    countRecords((await reading(file, () => stat(file))).size, file, RECORDS);
  }
  let { classNames } = cifar10Info;
  if (names.includes(NAMES_FILE)) {
    const file = join(path, NAMES_FILE);
    classNames = parseNames(await reading(file, () => readFile(file)), file);
  }
  const parts = createParts();
  const buffer = new Uint8Array(RECORDS * RECORD_BYTES);
  for (const name of DATA_FILES) {
    const file = join(path, name);
    decode(name, await reading(file, () => readInto(buffer, file)), file, parts);
  }
  return { ...parts, classNames };
}

async function readArchived(path: string): Promise<Files> {
  const parts = createParts();
  let { classNames } = cifar10Info;
  const missing = new Set<string>(DATA_FILES);
  await readArchive(
    path,
    (name) => missing.has(name) || name === NAMES_FILE,
    (name, bytes) => {
      const where = `${path}, ${name}`;
      if (name === NAMES_FILE) classNames = parseNames(bytes, where);
      else decode(name, bytes, where, parts);
      missing.delete(name);
    },
  );
  for (const name of missing) throw missingFile(`${path}, ${name}`, []);
  return { ...parts, classNames };
}

/** The images of one file, into the part that they are of. */
function decode(
  name: string,
  bytes: Uint8Array,
  where: string,
  { train, test }: { readonly train: Part; readonly test: Part },
): void {
  countRecords(bytes.length, where, RECORDS);
  if (name === TEST_FILE) decodeRecords(bytes, where, test);
  else decodeRecords(bytes, where, train, TRAIN_FILES.indexOf(name) * RECORDS);
}

function createParts(): { readonly train: Part; readonly test: Part } {
  return { train: createPart(TRAIN_FILES.length * RECORDS), test: createPart(RECORDS) };
}

interface Part {
  readonly pixels: Uint8Array;
  readonly labels: Int32Array;
}

function createPart(count: number): Part {
  return { pixels: new Uint8Array(count * IMAGE_BYTES), labels: new Int32Array(count) };
}

function examplesOf({ pixels, labels }: Part): { input: NdArray<'uint8'>; target: NdArray<'int32'> } {
  return {
    input: { dtype: 'uint8', shape: [labels.length, SIDE, SIDE, CHANNELS], data: pixels },
    target: { dtype: 'int32', shape: [labels.length], data: labels },
  };
}

/** The folder of the files, or the archive: the one that was given, the one in the cache, or a fresh download. */
async function locate(options: Cifar10Options): Promise<{ path: string; isFolder: boolean }> {
  const { path, url = official.url, ...rest } = options;
  if (path === undefined) {
    const { checksum } = official;
    return { path: await cachedDownload(url, { ...rest, name: ARCHIVE, checksum }), isFolder: false };
  }
  const kind = await kindOf(path);
  if (kind !== 'folder') return { path, isFolder: false };
  // The folder above will do.
  if ((await kindOf(join(path, TEST_FILE))) === undefined) {
    if ((await kindOf(join(path, FOLDER))) === 'folder') return { path: join(path, FOLDER), isFolder: true };
    if ((await kindOf(join(path, ARCHIVE))) === 'file') return { path: join(path, ARCHIVE), isFolder: false };
  }
  return { path, isFolder: true };
}

async function kindOf(path: string): Promise<'folder' | 'file' | undefined> {
  try {
    return (await stat(path)).isDirectory() ? 'folder' : 'file';
  } catch {
    // What is wrong with a path is said by whoever reads it.
    return undefined;
  }
}

/** A file's bytes, as many as the buffer takes, as a view of it: the files share one. */
async function readInto(buffer: Uint8Array, file: string): Promise<Uint8Array> {
  const handle = await open(file);
  try {
    let length = 0;
    for (;;) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length, null);
      length += bytesRead;
      if (bytesRead === 0 || length === buffer.length) return buffer.subarray(0, length);
    }
  } finally {
    await handle.close();
  }
}

async function reading<T>(path: string, f: () => Promise<T>): Promise<T> {
  try {
    return await f();
  } catch (error) {
    throw storageError(error, path, 'read');
  }
}

function parseNames(bytes: Uint8Array, where: string): string[] {
  const names = new TextDecoder().decode(bytes).split(/\r?\n/).filter(Boolean);
  if (names.length === cifar10Info.classNames.length && new Set(names).size === names.length) return names;
  throw new TenonError({
    code: 'DATA_INVALID',
    where,
    expected: `${cifar10Info.classNames.length} class names, one a line`,
    got: `${names.length}: ${names.slice(0, 12).join(', ').slice(0, 200)}`,
    hint: 'Without this file the official names are taken.',
  });
}

function missingFile(where: string, present: readonly string[]): TenonError {
  const pickled = present.includes('data_batch_1');
  return new TenonError({
    code: 'NOT_FOUND',
    where,
    message: 'this file of CIFAR-10 is missing',
    hint: pickled
      ? `This is the version for Python; take the binary version: ${official.url}`
      : `The binary version has data_batch_1.bin to data_batch_5.bin and test_batch.bin: unpack ${official.url} again.`,
  });
}
