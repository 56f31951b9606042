import {
  type ArtifactStore,
  type ErrorCode,
  fromZip,
  isTenonError,
  readJson,
  readText,
  toZip,
  writeJson,
} from '@tenon-ml/core';
import fc from 'fast-check';
import { expect, it } from 'vitest';

const text = (content: string): Uint8Array => new TextEncoder().encode(content);

/** Paths that no store takes. */
export const badPaths = [
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

/** What every `ArtifactStore` must do; `create` gives an empty one each time. Also for pages. */
export function testArtifactStore(create: () => Promise<ArtifactStore>): void {
  it('reads what was written last', async () => {
    const store = await create();
    await store.write('model.json', text('old'));
    await store.write('checkpoints/step-1/weights.bin', Uint8Array.of(1, 2));
    await store.write('model.json', text('a longer text'));
    await store.write('model.json', text('new'));
    expect(await readText(store, 'model.json')).toBe('new');
    expect(await store.read('checkpoints/step-1/weights.bin')).toEqual(Uint8Array.of(1, 2));
  });

  it('holds any bytes, nothing among them', async () => {
    const store = await create();
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
    const store = await create();
    // A Buffer's `slice` is a view; pages have none.
    const pool = globalThis.Buffer?.from('xxhelloxx') ?? text('xxhelloxx');
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
    const store = await create();
    await store.append('logs/events.jsonl', text('{"step":1}\n'));
    await store.append('logs/events.jsonl', text('{"step":2}\n'));
    expect(await readText(store, 'logs/events.jsonl')).toBe('{"step":1}\n{"step":2}\n');
    await store.write('logs/events.jsonl', text('0'));
    await store.append('logs/events.jsonl', text('1'));
    expect(await readText(store, 'logs/events.jsonl')).toBe('01');
  });

  it('lists its paths, sorted, by prefix', async () => {
    const store = await create();
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
    const store = await create();
    await store.write('a/b', text('x'));
    await store.remove('a/b');
    await store.remove('a/b');
    await store.remove('never/there');
    expect(await store.list()).toEqual([]);
    await expectError(() => store.read('a/b'), 'NOT_FOUND');
  });

  it('says what it does not have: a path, a folder, a path through a file', async () => {
    const store = await create();
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
    const store = await create();
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
    const store = await create();
    const versions = Array.from({ length: 20 }, (_, i) => new Uint8Array(10_000 + i).fill(i));
    await Promise.all([
      ...versions.map((bytes, i) => store.write(`many/${i}`, bytes)),
      ...versions.map((bytes) => store.write('one', bytes)),
    ]);
    for (const [i, bytes] of versions.entries()) expect(await store.read(`many/${i}`)).toEqual(bytes);
    const one = await store.read('one');
    expect(
      versions.some((bytes) => one.length === bytes.length && one.every((byte, i) => byte === bytes[i])),
    ).toBe(true);
    expect(await store.list()).toHaveLength(21);
  });

  it('holds JSON, and says where it holds none', async () => {
    const store = await create();
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
    const store = await create();
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
}

async function expectError(f: () => unknown, code: ErrorCode, ...parts: readonly string[]): Promise<void> {
  let error: unknown;
  try {
    await f();
  } catch (thrown) {
    error = thrown;
  }
  if (!isTenonError(error)) throw error ?? new Error(`expected ${code}, got no error`);
  expect(error.code, error.message).toBe(code);
  for (const part of parts) expect(error.message).toContain(part);
}
