import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { badPaths, testArtifactStore } from '@tenon-ml/testkit/stores';
import fc from 'fast-check';
import { zipSync } from 'fflate';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type ArtifactStore,
  checkPath,
  fromZip,
  isPath,
  memoryStore,
  prefixedStore,
  readText,
  toZip,
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
  view: async () => {
    const beneath = memoryStore([
      ['data', text('beside')],
      ['data/a', text('above')],
      ['data/inner.txt', text('beside')],
    ]);
    return prefixedStore(beneath, 'data/inner/');
  },
};

describe.each(Object.keys(kinds))('a store in a %s', (kind) => {
  testArtifactStore(kinds[kind]);
});

it('memoryStore begins with what it is given, copied', async () => {
  const bytes = text('x');
  const store = memoryStore([['a', bytes]], 'somewhere');
  bytes.fill(0);
  expect([store.location, await readText(store, 'a')]).toEqual(['somewhere', 'x']);
  await expectError(() => memoryStore([['../a', bytes]]), 'INVALID_ARGUMENT');
});

it('prefixedStore is a view of a folder, and of nothing else', async () => {
  const run = memoryStore([['model.json', text('m')]], 'run.zip');
  const data = prefixedStore(run, 'data/');
  await data.write('a/b', text('1'));
  await data.append('a/b', text('2'));
  await run.write('database', text('x'));
  expect(await readText(run, 'data/a/b')).toBe('12');
  expect([data.location, await data.list(), await data.list('a')]).toEqual([
    'run.zip/data',
    ['a/b'],
    ['a/b'],
  ]);
  await expectError(() => data.read('model.json'), 'NOT_FOUND', 'run.zip/data: there is no model.json here');
  await data.remove('a/b');
  expect(await run.list()).toEqual(['database', 'model.json']);
  for (const prefix of ['', 'data', '/', '/data/', '../', 'a//', './']) {
    await expectError(() => prefixedStore(run, prefix), 'INVALID_ARGUMENT', JSON.stringify(prefix));
  }
});

it('isPath and checkPath agree', () => {
  for (const path of badPaths) expect(isPath(path), path).toBe(false);
  for (const path of ['a', 'a/b.c', '..a', 'a..b', '...', ' ', 'ü', 'a:b']) {
    expect(isPath(path), path).toBe(true);
    expect(checkPath(path)).toBe(path);
  }
});

describe('fromZip', () => {
  it('unpacks no more than its limit', async () => {
    const bytes = zipSync({ a: new Uint8Array(600_000), b: new Uint8Array(600_000) }, { level: 9 });
    expect(bytes.length).toBeLessThan(5000);
    expect(await fromZip(bytes, 'zip', { limit: 1_200_000 }).list()).toEqual(['a', 'b']);
    await expectError(() => fromZip(bytes, 'bomb.zip', { limit: 1_199_999 }), 'INVALID_ARGUMENT', '1200000');
  });

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
