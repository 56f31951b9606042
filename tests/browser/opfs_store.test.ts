import { type ArtifactStore, isTenonError, readText, type TenonError } from '@tenon-ml/core';
import { listFolders, opfsStore, removeTree, storageEstimate } from '@tenon-ml/core/browser';
import { testArtifactStore } from '@tenon-ml/testkit/stores';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { missing } from '../hosts/missing.js';

const text = (content: string): Uint8Array => new TextEncoder().encode(content);
let folders = 0;
const create = (): Promise<ArtifactStore> => opfsStore(`tests/${folders++}/run`);

async function errorOf(promise: Promise<unknown>): Promise<TenonError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (isTenonError(error)) return error;
  throw error ?? new Error('expected a TenonError, got none');
}

/** All names in the origin's file system, temporary files too. */
async function everything(folder?: FileSystemDirectoryHandle, path = ''): Promise<string[]> {
  const within = folder ?? (await navigator.storage.getDirectory());
  const found: string[] = [];
  for await (const [name, handle] of within.entries()) {
    if (handle.kind === 'file') found.push(path + name);
    else found.push(`${path}${name}/`, ...(await everything(handle as typeof within, `${path}${name}/`)));
  }
  return found.sort();
}

afterEach(async () => {
  vi.restoreAllMocks();
  if (missing === '') await removeTree('tests');
});

describe('a store in the browser', () => {
  testArtifactStore(create);
});

describe('opfsStore', () => {
  it('leaves no folder that is empty, and no temporary file', async () => {
    const store = await opfsStore('tests/a/run');
    expect(await everything()).toEqual([]);
    await store.write('x/y/z', text('1'));
    await store.write('x/w', text('2'));
    await store.write('x/w', text('3'));
    expect(await everything()).toEqual(
      [
        'tests/',
        'tests/a/',
        'tests/a/run/',
        'tests/a/run/x/',
        'tests/a/run/x/w',
        'tests/a/run/x/y/',
        'tests/a/run/x/y/z',
      ].sort(),
    );
    await store.remove('x/y/z');
    expect(await everything()).toEqual([
      'tests/',
      'tests/a/',
      'tests/a/run/',
      'tests/a/run/x/',
      'tests/a/run/x/w',
    ]);
    await store.remove('x');
    expect(await store.list()).toEqual(['x/w']);
    await store.remove('x/w');
    expect(await everything()).toEqual([]);
    await store.write('again', text('4'));
    expect(await readText(store, 'again')).toBe('4');
  });

  it('lists the runs, and removes one whole', async () => {
    for (const id of ['b', 'a', 'c']) await (await opfsStore(`tests/runs/${id}`)).write('data/x', text(id));
    await (await opfsStore('tests/runs')).write('index.json', text('{}'));
    expect(await listFolders('tests/runs')).toEqual(['a', 'b', 'c']);
    expect(await listFolders('tests/none')).toEqual([]);
    await removeTree('tests/runs/b');
    await removeTree('tests/runs/b');
    await removeTree('tests/runs/index.json');
    expect(await listFolders('tests/runs')).toEqual(['a', 'c']);
    expect(await (await opfsStore('tests/runs')).list()).toEqual(['a/data/x', 'c/data/x', 'index.json']);
    for (const id of ['a', 'c']) await removeTree(`tests/runs/${id}`);
    expect(await everything()).toEqual(['tests/', 'tests/runs/', 'tests/runs/index.json']);
    for (const path of ['', '/', '../up', 'a//b']) {
      expect((await errorOf(removeTree(path))).code).toBe('INVALID_ARGUMENT');
      expect((await errorOf(listFolders(path))).code).toBe('INVALID_ARGUMENT');
      expect((await errorOf(opfsStore(path))).code).toBe('INVALID_ARGUMENT');
    }
  });

  it('keeps every append of tabs and stores that run at the same time', async () => {
    const stores = [await opfsStore('tests/log'), await opfsStore('tests/log')];
    await Promise.all(
      Array.from({ length: 40 }, (_, i) => stores[i % 2].append('events.jsonl', text(`${i}\n`))),
    );
    const lines = (await readText(stores[0], 'events.jsonl')).trim().split('\n');
    expect(lines.map(Number).sort((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, i) => i));
  });

  it('reads whole files while they are written, and folders may come and go', { repeats: 20 }, async () => {
    const store = await create();
    const size = 50_000;
    await store.write('latest', new Uint8Array(size));
    const writes = Array.from({ length: 12 }, async (_, i) => {
      await store.write('latest', new Uint8Array(size).fill(i + 1));
      await store.write(`step/${i % 3}/x`, Uint8Array.of(i));
      await store.remove(`step/${i % 3}/x`);
    });
    const reads = Array.from({ length: 12 }, async () => {
      const bytes = await store.read('latest');
      expect(bytes.length).toBe(size);
      expect(bytes.every((byte) => byte === bytes[0])).toBe(true);
      await store.list();
    });
    await Promise.all([...writes, ...reads]);
    expect(await store.list()).toEqual(['latest']);
  });

  it('says so where a file stands where a folder is expected, and the other way round', async () => {
    const store = await create();
    await store.write('file', text('x'));
    await store.write('folder/file', text('y'));
    for (const path of ['file/inner', 'folder']) {
      for (const f of [() => store.write(path, text('z')), () => store.append(path, text('z'))]) {
        const error = await errorOf(f());
        expect([error.code, error.where]).toEqual(['STORAGE_FAILED', `${store.location}/${path}`]);
        expect(error.message).toContain('choose another path');
      }
    }
    expect(await store.list()).toEqual(['file', 'folder/file']);
  });

  it('refuses a name that the browser keeps for itself', async () => {
    const store = await create();
    const error = await errorOf(store.write('model.crswap', text('x')));
    expect(error.code).toBe('INVALID_ARGUMENT');
    expect(await everything()).toEqual([]);
  });

  it('takes views of shared memory', async () => {
    const store = await create();
    // By the way that is open to pages that aren't isolated.
    const { buffer } = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    const shared = new Uint8Array(buffer, 2, 3).fill(7);
    await store.write('a', shared);
    await store.append('a', shared);
    expect(await store.read('a')).toEqual(new Uint8Array(6).fill(7));
  });

  it('clears away what a write that died has left, and never lists it', async () => {
    const store = await opfsStore('tests/dead');
    await store.write('b', text('x'));
    const root = await navigator.storage.getDirectory();
    const folder = await (await root.getDirectoryHandle('tests')).getDirectoryHandle('dead');
    const left = '.a.01234567-89ab-cdef-0123-456789abcdef.tmp';
    const other = '.c.01234567-89ab-cdef-0123-456789abcdef.tmp';
    const swaps = ['b.crswap', 'b.1.crswap', 'b.2.crswap', `${left}.crswap`];
    for (const name of [left, other, ...swaps]) await folder.getFileHandle(name, { create: true });
    expect(await store.list()).toEqual(['b']);
    await store.write('a', text('y'));
    expect(await everything(folder)).toEqual([other, 'a', 'b', ...swaps.slice(0, 3)].sort());
    await store.append('b', text('y'));
    expect(await everything(folder)).toEqual([other, 'a', 'b'].sort());
    expect(await readText(store, 'b')).toBe('xy');
  });

  it('is in any folder that it is given', async () => {
    const root = await navigator.storage.getDirectory();
    const picked = await root.getDirectoryHandle('tests', { create: true });
    const store = await opfsStore('run', { root: picked });
    await store.write('a', text('x'));
    expect(await everything()).toEqual(['tests/', 'tests/run/', 'tests/run/a']);
    expect(await listFolders('run', { root: picked })).toEqual([]);
    await removeTree('run', { root: picked });
    expect(await everything()).toEqual(['tests/']);
  });

  it('works in a worker', async () => {
    const source = `
      onmessage = async () => {
        const root = await navigator.storage.getDirectory();
        const { opfsStore } = await import(${JSON.stringify(new URL('../../packages/core/src/browser/index.ts', import.meta.url).href)});
        const store = await opfsStore('tests/worker');
        await store.write('a/b', new Uint8Array([1, 2]));
        await store.append('a/b', new Uint8Array([3]));
        postMessage(Array.from(await store.read('a/b')));
      };`;
    const worker = new Worker(URL.createObjectURL(new Blob([source], { type: 'text/javascript' })), {
      type: 'module',
    });
    const answer = await new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = ({ message }) => reject(new Error(message));
      worker.postMessage('go');
    });
    worker.terminate();
    expect(answer).toEqual([1, 2, 3]);
    expect(await (await opfsStore('tests/worker')).read('a/b')).toEqual(Uint8Array.of(1, 2, 3));
  });
});

describe('what the browser refuses', () => {
  it.each([
    ['SecurityError', 'PERMISSION_DENIED', 'private window'],
    ['UnknownError', 'STORAGE_FAILED', 'private window'],
  ])('no storage at all: %s is %s', async (name, code, hint) => {
    vi.spyOn(StorageManager.prototype, 'getDirectory').mockRejectedValue(new DOMException('no', name));
    const error = await errorOf(opfsStore('tests/x'));
    expect(error.code).toBe(code);
    expect(error.message).toContain(hint);
  });

  it.each([
    ['QuotaExceededError', 'STORAGE_FULL', 'Remove runs'],
    ['NotAllowedError', 'PERMISSION_DENIED', 'Allow the site'],
    ['NoModificationAllowedError', 'STORAGE_FAILED', 'Close other tabs'],
    ['InvalidStateError', 'STORAGE_FAILED', 'InvalidStateError'],
  ])('a write: %s is %s, and nothing is left of it', async (name, code, hint) => {
    const store = await create();
    await store.write('old', text('old'));
    const before = await everything();
    vi.spyOn(FileSystemWritableFileStream.prototype, 'close').mockRejectedValue(new DOMException('no', name));
    for (const f of [
      () => store.write('old', text('new')),
      () => store.append('old', text('new')),
      () => store.write('some/other', text('new')),
    ]) {
      const error = await errorOf(f());
      expect(error.code).toBe(code);
      expect(error.message).toContain(hint);
      expect(error.message).toContain(store.location);
    }
    expect(await everything()).toEqual(before);
    expect(await readText(store, 'old')).toBe('old');
  });

  it.each([
    [FileSystemFileHandle.prototype, 'createWritable'],
    [FileSystemFileHandle.prototype, 'move'],
  ])('a browser that lacks what an atomic write needs', async (prototype, method) => {
    const store = await create();
    const descriptor = Object.getOwnPropertyDescriptor(prototype, method) as PropertyDescriptor;
    Reflect.deleteProperty(prototype, method);
    try {
      const error = await errorOf(store.write('a', text('x')));
      expect([error.code, error.message.includes(`'${method}'`)]).toEqual(['STORAGE_FAILED', true]);
    } finally {
      Object.defineProperty(prototype, method, descriptor);
    }
    expect(await everything()).toEqual([]);
  });
});

it('storageEstimate says how much is used, and how much may be', async () => {
  const before = await storageEstimate();
  const store = await create();
  await store.write('a', new Uint8Array(1_000_000));
  const after = await storageEstimate();
  expect(after.used - before.used).toBeGreaterThan(900_000);
  expect(after.quota).toBeGreaterThan(after.used);
});
