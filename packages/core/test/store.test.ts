import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { zipSync } from 'fflate';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type ArtifactStore,
  checkPath,
  fromZip,
  isPath,
  memoryStore,
  prefixed,
  readJson,
  readText,
  toZip,
  writeJson,
} from '../src/index.js';
import { folderStore } from '../src/node/index.js';
import { expectError } from './support.js';

const text = (content: string): Uint8Array => new TextEncoder().encode(content);
let folder: string;
let folders = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tenon-store-'));
});
afterAll(() => rm(folder, { recursive: true }));

const kinds: { readonly [kind: string]: () => Promise<ArtifactStore> } = {
  memory: async () => memoryStore(),
  folder: async () => folderStore(join(folder, `${folders++}`, 'run')),
  zip: async () => fromZip(await toZip(memoryStore())),
  'part of another': async () => prefixed(memoryStore([['other/a', text('other')]]), 'data/own/'),
};

const badPaths = [
  '',
  '/etc/passwd',
  '../up',
  'a/../../up',
  'a/..',
  './a',
  'a//b',
  'a/',
  '/',
  '..',
  'a\\b',
  'a\0b',
  '__proto__/a',
];

describe.each(Object.keys(kinds))('a store in a %s', (kind) => {
  it('reads what was written last', async () => {
    const store = await kinds[kind]();
    await store.write('model.json', text('old'));
    await store.write('checkpoints/step-1/weights.bin', Uint8Array.of(1, 2));
    await store.write('model.json', text('a longer text'));
    await store.write('model.json', text('new'));
    expect(await readText(store, 'model.json')).toBe('new');
    expect(await store.read('checkpoints/step-1/weights.bin')).toEqual(Uint8Array.of(1, 2));
  });

  it('holds any bytes, nothing among them', async () => {
    const store = await kinds[kind]();
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 2000 }), async (bytes) => {
        await store.write('a/b.bin', bytes);
        expect(await store.read('a/b.bin')).toEqual(bytes);
      }),
      { numRuns: 30 },
    );
    await store.write('empty', new Uint8Array(0));
    expect(await store.read('empty')).toEqual(new Uint8Array(0));
  });

  it('copies what it is given and what it gives, from and to Buffers and views', async () => {
    const store = await kinds[kind]();
    const pool = Buffer.from('xxhelloxx');
    await store.write('a', pool.subarray(2, 7));
    await store.append('b', pool.subarray(2, 7));
    pool.fill(0);
    const first = await store.read('a');
    expect(first.constructor).toBe(Uint8Array);
    first.fill(1);
    expect(await readText(store, 'a')).toBe('hello');
    expect(await readText(store, 'b')).toBe('hello');
  });

  it('appends, and creates what it appends to', async () => {
    const store = await kinds[kind]();
    await store.append('logs/events.jsonl', text('{"step":1}\n'));
    await store.append('logs/events.jsonl', text('{"step":2}\n'));
    expect(await readText(store, 'logs/events.jsonl')).toBe('{"step":1}\n{"step":2}\n');
    await store.write('logs/events.jsonl', text('0'));
    await store.append('logs/events.jsonl', text('1'));
    expect(await readText(store, 'logs/events.jsonl')).toBe('01');
  });

  it('lists its paths, sorted, by prefix', async () => {
    const store = await kinds[kind]();
    expect(await store.list()).toEqual([]);
    const paths = ['b', 'a/z', 'a/b/c', 'a.json', '.hidden', 'a/.tmp', 'schön/🎲.bin', 'x.tmp', '.x.tmp'];
    for (const path of paths) await store.write(path, text(path));
    expect(await store.list()).toEqual([...paths].sort());
    expect(await store.list('a/')).toEqual(['a/.tmp', 'a/b/c', 'a/z']);
    expect(await store.list('a')).toEqual(['a.json', 'a/.tmp', 'a/b/c', 'a/z']);
    expect(await store.list('a/b/c')).toEqual(['a/b/c']);
    expect(await store.list('none')).toEqual([]);
    for (const path of paths) expect(await readText(store, path)).toBe(path);
  });

  it('removes, also what is not there', async () => {
    const store = await kinds[kind]();
    await store.write('a/b', text('x'));
    await store.remove('a/b');
    await store.remove('a/b');
    await store.remove('never/there');
    expect(await store.list()).toEqual([]);
    await expectError(() => store.read('a/b'), 'NOT_FOUND');
  });

  it('says what it does not have: a path, a folder, a path through a file', async () => {
    const store = await kinds[kind]();
    await store.write('a/b', text('x'));
    for (const path of ['none.json', 'a', 'a/b/c']) {
      await expectError(() => store.read(path), 'NOT_FOUND', store.location, path);
      await store.remove(path);
    }
    expect(await readText(store, 'a/b')).toBe('x');
    // Not a method that needs its object.
    const { read } = store;
    await expectError(() => read('none.json'), 'NOT_FOUND', store.location);
  });

  it.each(badPaths)('refuses the path %j', async (path) => {
    const store = await kinds[kind]();
    for (const f of [
      () => store.read(path),
      () => store.write(path, text('x')),
      () => store.append(path, text('x')),
      () => store.remove(path),
    ]) {
      await expectError(f, 'INVALID_ARGUMENT', JSON.stringify(path), 'relative path');
    }
    expect(await store.list()).toEqual([]);
  });

  it('takes writes at the same time, to different paths and to one', async () => {
    const store = await kinds[kind]();
    const versions = Array.from({ length: 20 }, (_, i) => new Uint8Array(10_000 + i).fill(i));
    await Promise.all([
      ...versions.map((bytes, i) => store.write(`many/${i}`, bytes)),
      ...versions.map((bytes) => store.write('one', bytes)),
    ]);
    for (const [i, bytes] of versions.entries()) expect(await store.read(`many/${i}`)).toEqual(bytes);
    const one = await store.read('one');
    expect(versions.some((bytes) => Buffer.compare(one, bytes) === 0)).toBe(true);
    expect(await store.list()).toHaveLength(21);
  });

  it('holds JSON, and says where it holds none', async () => {
    const store = await kinds[kind]();
    const value = { a: [1, 'schön 🎲', null, true], b: { c: 0.1 } };
    await writeJson(store, 'x/value.json', value);
    expect(await readJson(store, 'x/value.json')).toEqual(value);
    expect(await readText(store, 'x/value.json')).toBe(`${JSON.stringify(value, null, 2)}\n`);
    await store.write('x/broken.json', text('{"a": '));
    await expectError(
      () => readJson(store, 'x/broken.json'),
      'ARTIFACT_INVALID',
      'x/broken.json',
      'JSON',
      '6 characters',
    );
    await expectError(() => readJson(store, 'none.json'), 'NOT_FOUND');
  });

  it('goes into a zip and comes back, the same bytes every time', async () => {
    const store = await kinds[kind]();
    await store.write('b/weights.bin', new Uint8Array(1000).fill(3));
    await store.write('a.json', text('{}'));
    await store.write('empty', new Uint8Array(0));
    const zip = await toZip(store);
    expect(await toZip(fromZip(zip))).toEqual(zip);
    const again = fromZip(zip, 'model.zip');
    expect(again.location).toBe('model.zip');
    expect(await again.list()).toEqual(['a.json', 'b/weights.bin', 'empty']);
    expect(await again.read('b/weights.bin')).toEqual(new Uint8Array(1000).fill(3));
    expect(await fromZip(await toZip(store, 'b/')).list()).toEqual(['b/weights.bin']);
  });
});

it('memoryStore begins with what it is given, copied', async () => {
  const bytes = text('x');
  const store = memoryStore([['a', bytes]], 'somewhere');
  bytes.fill(0);
  expect([store.location, await readText(store, 'a')]).toEqual(['somewhere', 'x']);
  await expectError(() => memoryStore([['../a', bytes]]), 'INVALID_ARGUMENT');
});

it('isPath and checkPath agree', () => {
  for (const path of badPaths) expect(isPath(path), path).toBe(false);
  for (const path of ['a', 'a/b.c', '..a', 'a..b', '...', ' ', 'ü', 'a:b']) {
    expect(isPath(path), path).toBe(true);
    expect(checkPath(path)).toBe(path);
  }
});

describe('fromZip', () => {
  it('reads compressed archives, with folders in them', async () => {
    const store = fromZip(
      zipSync({ folder: { 'a.txt': [text('x'.repeat(10_000)), { level: 9 }] }, 'empty/': new Uint8Array(0) }),
    );
    expect(await store.list()).toEqual(['folder/a.txt']);
    expect(await readText(store, 'folder/a.txt')).toHaveLength(10_000);
  });

  it.each([
    ['nothing', new Uint8Array(0)],
    ['text', text('this is not a zip archive, by far')],
    ['a beginning', Uint8Array.of(0x50, 0x4b, 3, 4)],
  ])('refuses %s', async (_, bytes) => {
    await expectError(
      () => fromZip(bytes, 'model.zip'),
      'ARTIFACT_INVALID',
      'model.zip',
      `${bytes.length} bytes`,
    );
  });

  it.each(['../evil', '/etc/passwd', 'a/../../evil', 'C:\\evil'])(
    'refuses an archive with the path %j',
    async (path) => {
      const zip = zipSync({ fine: text('x'), [path]: text('x') });
      await expectError(
        () => fromZip(zip, 'model.zip'),
        'ARTIFACT_INVALID',
        'model.zip',
        JSON.stringify(path),
      );
    },
  );

  it('refuses an archive that is cut off anywhere', async () => {
    const zip = await toZip(
      memoryStore([
        ['a', text('hello')],
        ['b', new Uint8Array(50)],
      ]),
    );
    for (let length = 0; length < zip.length; length++) {
      await expectError(() => fromZip(zip.subarray(0, length)), 'ARTIFACT_INVALID');
    }
  });

  it('refuses sizes that lie, and takes no memory for them', async () => {
    const zip = await toZip(memoryStore([['a', text('hello')]]));
    const view = new DataView(zip.buffer, zip.byteOffset);
    const entry = zip.findLastIndex(
      (_, i) => view.byteLength >= i + 4 && view.getUint32(i, true) === 0x02014b50,
    );
    const altered = (change: (v: DataView) => void): Uint8Array => {
      const copy = zip.slice();
      change(new DataView(copy.buffer));
      return copy;
    };
    // In the central directory: the compressed size at 20, the size at 24.
    for (const size of [4, 6, 1000, 0xfffffffe]) {
      await expectError(
        () => fromZip(altered((v) => v.setUint32(entry + 24, size, true))),
        'ARTIFACT_INVALID',
      );
    }
    await expectError(() => fromZip(altered((v) => v.setUint32(entry + 20, 1000, true))), 'ARTIFACT_INVALID');
  });

  it('throws nothing but ARTIFACT_INVALID for any change', async () => {
    const zip = zipSync({ 'a/b': [text('hello '.repeat(20)), { level: 9 }], c: text('stored') });
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: zip.length - 1 }), fc.nat({ max: 255 }), async (at, byte) => {
        const bytes = zip.slice();
        bytes[at] = byte;
        let store: ArtifactStore;
        try {
          store = fromZip(bytes);
        } catch (error) {
          expect(error).toMatchObject({ code: 'ARTIFACT_INVALID' });
          return;
        }
        for (const path of await store.list()) await store.read(path);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('prefixed', () => {
  it('is the part of a store below a folder, and nothing else of it', async () => {
    const whole = memoryStore([
      ['data/a.csv', text('a')],
      ['data/b/c.csv', text('c')],
      ['database', text('x')],
      ['run.json', text('{}')],
    ]);
    const data = prefixed(whole, 'data/');
    expect(data.location).toBe('memory/data');
    expect(await data.list()).toEqual(['a.csv', 'b/c.csv']);
    expect(await data.list('b/')).toEqual(['b/c.csv']);
    expect(await readText(data, 'a.csv')).toBe('a');
    await data.write('d', text('d'));
    await data.remove('a.csv');
    expect(await whole.list()).toEqual(['data/b/c.csv', 'data/d', 'database', 'run.json']);
    await expect(data.read('../run.json')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(data.read('run.json')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it.each(['data', '', '/', '../', 'a//', '/data/'])('refuses %j', (prefix) => {
    expectError(() => prefixed(memoryStore(), prefix), 'INVALID_ARGUMENT');
  });
});
