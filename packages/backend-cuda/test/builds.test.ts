import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  buildKey,
  buildsIn,
  findBuild,
  removeSuperseded,
  settleBuild,
  useBuild,
} from '../src/node/builds.js';
import { BINDING, removeCuda } from '../src/node/index.js';
import { openWork, type Work } from '../src/node/work.js';

const parts = { flavour: 'cpu', tensorflow: '2.21.0', platform: 'linux', architecture: 'x64' } as const;
const key = buildKey(parts);

let cache: string;
let work: Work;
beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), 'tenon-cuda-builds-'));
  work = openWork(cache);
});
afterEach(() => rm(cache, { recursive: true, force: true }));

/** A folder in the work folder that looks like a build. */
async function made(name: string): Promise<string> {
  const folder = join(work.folder, name);
  await mkdir(dirname(join(folder, BINDING)), { recursive: true });
  await writeFile(join(folder, BINDING), name);
  await writeFile(join(folder, 'build.json'), '{"format":1}');
  return folder;
}

const names = () => buildsIn(cache).map(({ name }) => name);

test('equal parts have equal keys; every part counts', () => {
  expect(key).toBe('cpu-tensorflow-2.21.0-tfjs-4.22.0-linux-x64-r1');
  expect(buildKey({ ...parts })).toBe(key);
  const others = [
    { ...parts, flavour: 'gpu' as const },
    { ...parts, tensorflow: '2.21.1' },
    { ...parts, architecture: 'arm64' },
    { ...parts, given: '/opt/tensorflow' },
    { ...parts, given: '/usr/local/lib' },
  ].map(buildKey);
  expect(new Set([key, ...others]).size).toBe(6);
  // A folder's name, whatever a version looks like.
  expect(buildKey({ ...parts, tensorflow: '2.21.0/../+x' })).not.toMatch(/[/+]/);
});

test('a build that is made again gets a number, is found first, and takes the place of the one before', async () => {
  expect(await settleBuild(await made('a'), key, [], work)).toBe(key);
  await useBuild(key, work);
  const again = await settleBuild(await made('b'), key, [key], work);
  expect(again).toBe(`${key}~1`);
  // Until it is used, the one before is.
  await removeSuperseded(work);
  expect(names()).toEqual([key, again]);
  await useBuild(again, work);
  expect(JSON.parse(await readFile(join(cache, 'current.json'), 'utf8'))).toEqual({
    format: 1,
    build: again,
  });
  expect(findBuild(cache, key)?.name).toBe(again);
  await removeSuperseded(work);
  expect(names()).toEqual([again]);
});

test('one that another set-up made meanwhile is kept', async () => {
  await settleBuild(await made('theirs'), key, [], work);
  expect(await settleBuild(await made('ours'), key, [], work)).toBe(key);
  expect(await readFile(join(cache, 'builds', key, BINDING), 'utf8')).toBe('theirs');
});

test('a folder without a record, or without a binding, is no build', async () => {
  await mkdir(join(cache, 'builds', key), { recursive: true });
  expect(names()).toEqual([]);
  await writeFile(join(cache, 'builds', key, 'build.json'), '{"format":1}');
  expect(names()).toEqual([]);
});

test("undoing removes what set-ups made, and no other file that is in the cache's folder", async () => {
  await settleBuild(await made('a'), key, [], work);
  await useBuild(key, work);
  await work.close();
  const fetched = join(cache, 'tensorflow/cpu-2.21.0');
  await mkdir(fetched, { recursive: true });
  await writeFile(join(fetched, 'tensorflow.json'), '{}');
  const mine = [join(cache, 'tensorflow/mine/notes.txt'), join(cache, 'builds/notes.txt')];
  for (const file of mine) {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, 'mine');
  }
  const removed = await removeCuda({ cache });
  expect(removed.folder).toBe(cache);
  expect(removed.bytes).toBeGreaterThan(0);
  for (const file of mine) expect(await readFile(file, 'utf8')).toBe('mine');
  await rm(join(cache, 'tensorflow'), { recursive: true });
  await rm(join(cache, 'builds'), { recursive: true });
  expect(await removeCuda({ cache })).toMatchObject({ bytes: 0 });
  await expect(readFile(join(cache, 'current.json'))).rejects.toMatchObject({ code: 'ENOENT' });
});
