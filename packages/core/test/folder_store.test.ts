import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ArtifactStore, readText, TenonError } from '../src/index.js';
import { folderStore, storageError } from '../src/node/index.js';
import { expectError } from './support.js';

const text = (content: string): Uint8Array => new TextEncoder().encode(content);
const uuid = '01234567-89ab-cdef-0123-456789abcdef';
let folder: string;
let store: ArtifactStore;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tenon-folder-'));
  store = folderStore(folder);
});
afterEach(() => rm(folder, { recursive: true }));

describe('folderStore', () => {
  it('is where it says, from a relative path too', async () => {
    expect(folderStore(relative(process.cwd(), folder)).location).toBe(folder);
    await store.write('a/b.json', text('x'));
    expect(await readFile(join(folder, 'a/b.json'), 'utf8')).toBe('x');
  });

  it('makes its folder with the first write, and lists nothing before', async () => {
    const later = folderStore(join(folder, 'x/y'));
    expect(await later.list()).toEqual([]);
    await expectError(() => later.read('a'), 'NOT_FOUND');
    expect(await readdir(folder)).toEqual([]);
    await later.write('z/a', text('x'));
    expect(await later.list()).toEqual(['z/a']);
  });

  it('leaves no temporary file, when it fails either', async () => {
    await store.write('a', text('x'));
    await mkdir(join(folder, 'taken'));
    await expectError(
      () => store.write('taken', text('x')),
      'STORAGE_FAILED',
      join(folder, 'taken'),
      'another path',
    );
    expect((await readdir(folder)).sort()).toEqual(['a', 'taken']);
  });

  it('says so where a file stands where a folder is expected', async () => {
    await store.write('file', text('x'));
    await expectError(
      () => store.write('file/inner', text('y')),
      'STORAGE_FAILED',
      'file/inner',
      'where a folder is expected',
    );
    await expectError(() => store.append('file/inner', text('y')), 'STORAGE_FAILED', 'file/inner');
    const inFile = folderStore(join(folder, 'file'));
    await expectError(() => inFile.list(), 'STORAGE_FAILED', 'not a directory');
    await expectError(() => inFile.write('x', text('y')), 'STORAGE_FAILED');
    await expectError(() => inFile.read('x'), 'NOT_FOUND');
    expect(await readText(store, 'file')).toBe('x');
  });

  it('removes no folder', async () => {
    await store.write('a/b', text('x'));
    await store.remove('a');
    expect(await store.list()).toEqual(['a/b']);
  });

  it('lists files, not what else is there', async () => {
    await store.write('a', text('x'));
    await mkdir(join(folder, 'empty'));
    await symlink(join(folder, 'a'), join(folder, 'link'));
    expect(await store.list()).toEqual(['a']);
    expect(await readText(store, 'link')).toBe('x');
    // A write replaces the link, not what it points to.
    await store.write('link', text('y'));
    expect((await lstat(join(folder, 'link'))).isFile()).toBe(true);
    expect(await readText(store, 'a')).toBe('x');
  });
});

describe('what a write that died has left', () => {
  const leave = async (name: string, secondsAgo: number): Promise<string> => {
    await writeFile(join(folder, name), 'half');
    const time = Date.now() / 1000 - secondsAgo;
    await utimes(join(folder, name), time, time);
    return name;
  };

  it('is not listed, and is cleared away by the next write to this path', async () => {
    await leave(`.model.json.${uuid}.tmp`, 100);
    const young = await leave(`.model.json.${uuid.replace('0', 'f')}.tmp`, 10);
    const others = [
      await leave(`.model.${uuid}.tmp`, 100),
      await leave(`.model.json.bak.${uuid}.tmp`, 100),
      await leave(`.model.json.${uuid}`, 100),
      await leave('.model.json.notes.tmp', 100),
    ];
    expect(await store.list()).toEqual(['.model.json.notes.tmp', `.model.json.${uuid}`].sort());
    await store.write('model.json', text('{}'));
    expect((await readdir(folder)).sort()).toEqual(['model.json', young, ...others].sort());
  });
});

describe('storageError', () => {
  const of = (code: string, verb = 'write') =>
    storageError(
      Object.assign(new Error(`${code}: it failed`), { code }),
      '/run/model.json',
      verb,
    ) as TenonError;

  it.each([
    ['ENOENT', 'NOT_FOUND', "can't write it"],
    ['EACCES', 'PERMISSION_DENIED', 'no permission to write'],
    ['EPERM', 'PERMISSION_DENIED', 'another folder'],
    ['EROFS', 'PERMISSION_DENIED', 'EROFS'],
    ['ENOSPC', 'STORAGE_FULL', 'what was there before is untouched'],
    ['EDQUOT', 'STORAGE_FULL', 'Free some space'],
    ['EISDIR', 'STORAGE_FAILED', 'a folder where the file is'],
    ['EIO', 'STORAGE_FAILED', 'EIO: it failed'],
  ])('of %s is %s', (code, expected, message) => {
    const error = of(code);
    expect(error.code).toBe(expected);
    expect(error.where).toBe('/run/model.json');
    expect(error.message).toContain(message);
    expect((error.cause as NodeJS.ErrnoException).code).toBe(code);
  });

  it('promises nothing about what append has left', () => {
    expect(of('ENOSPC', 'append to').message).not.toContain('untouched');
  });

  it('passes on what is no error of a file system', () => {
    const bug = new TypeError('a bug');
    expect(storageError(bug, '/x', 'read')).toBe(bug);
    const ours = new TenonError({ code: 'USAGE', message: 'x' });
    expect(storageError(ours, '/x', 'read')).toBe(ours);
    expect(storageError(undefined, '/x', 'read')).toBeUndefined();
  });
});

it('reads a folder that it may not list', async () => {
  await store.write('a', text('x'));
  await chmod(folder, 0o711);
  expect(await readText(store, 'a')).toBe('x');
});
