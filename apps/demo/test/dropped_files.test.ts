import { describe, expect, it } from 'vitest';
import { filesOf, pathOf, readBytes } from '../src/import/dropped_files.js';
import { formatBytes, limits } from '../src/import/limits.js';
import { expectError, fileOf } from './support.js';

type Tree = { readonly [name: string]: Tree | File };

/** An entry as browsers give it: a folder's reader hands out 100 at a time. */
function entryOf(name: string, content: Tree | File): FileSystemEntry {
  if (content instanceof File) {
    return {
      name,
      isFile: true,
      isDirectory: false,
      file: (done: (file: File) => void) => done(content),
    } as never;
  }
  return {
    name,
    isFile: false,
    isDirectory: true,
    createReader() {
      const left = Object.entries(content);
      return {
        readEntries(done: (entries: FileSystemEntry[]) => void) {
          done(left.splice(0, 100).map(([inner, value]) => entryOf(inner, value)));
        },
      };
    },
  } as never;
}

function dropOf(tree: Tree, loose: readonly File[] = []): Pick<DataTransfer, 'items' | 'files'> {
  const items = Object.entries(tree).map(([name, content]) => ({
    kind: 'file',
    webkitGetAsEntry: () => entryOf(name, content),
  }));
  return { items: [...items, { kind: 'string', webkitGetAsEntry: () => null }], files: loose } as never;
}

describe('filesOf', () => {
  it('finds every file of every folder, with its path, more than a reader gives at once', async () => {
    const many = Object.fromEntries(
      Array.from({ length: 250 }, (_, i) => [`${i}.png`, new File(['x'], `${i}.png`)]),
    );
    const files = await filesOf(
      dropOf({
        pets: { cat: many, dog: { 'a.png': new File(['x'], 'a.png') }, empty: {} },
        'b.txt': new File(['x'], 'b.txt'),
      }),
    );
    const paths = files.map(pathOf);
    expect(paths).toHaveLength(252);
    expect(new Set(paths.filter((path) => path.startsWith('pets/cat/'))).size).toBe(250);
    expect(paths.slice(250)).toEqual(['pets/dog/a.png', 'b.txt']);
  });

  it('takes the files where a browser has no entries', async () => {
    const file = new File(['x'], 'a.csv');
    expect(await filesOf(dropOf({}, [file]))).toEqual([file]);
  });

  it('says which file it cannot open', async () => {
    const gone = {
      name: 'gone.txt',
      isFile: true,
      file: (_: unknown, failed: (error: unknown) => void) =>
        failed(new DOMException('not there', 'NotFoundError')),
    };
    const transfer = { items: [{ kind: 'file', webkitGetAsEntry: () => gone }], files: [] } as never;
    await expectError(() => filesOf(transfer), 'STORAGE_FAILED', 'gone.txt', 'drop it again');
  });

  it('stops at too many', async () => {
    const file = new File([], 'x');
    const many = Object.fromEntries(Array.from({ length: limits.files + 1 }, (_, i) => [`${i}`, file]));
    Object.defineProperty(file, 'webkitRelativePath', { set: () => {}, configurable: true });
    await expectError(() => filesOf(dropOf({ a: many })), 'INVALID_ARGUMENT', `${limits.files} files`);
  });
});

it('a file that changed since it was dropped is STORAGE_FAILED', async () => {
  const file = fileOf('a/b.csv');
  file.arrayBuffer = () => Promise.reject(new DOMException('changed', 'NotReadableError'));
  await expectError(() => readBytes(file, 'csv'), 'STORAGE_FAILED', 'a/b.csv', 'drop it again');
});

it.each([
  [0, '0 bytes'],
  [999, '999 bytes'],
  [1000, '1 kB'],
  [30_730_000, '30.7 MB'],
  [2_147_000_000, '2.1 GB'],
  [5e12, '5000 GB'],
])('%i bytes are %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});
