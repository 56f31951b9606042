import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { lastJson } from '../e2e/tenon.js';
import {
  childOf,
  expectError,
  expectInOrder,
  expectSetUp,
  isGroupGone,
  linkFetched,
  makeCache,
  ready,
  setup,
  slow,
  wheels,
} from './caches.js';

const PIP = /-m pip download/;
const COMPILER = /tfjs_backend\.cc/;
const UNPACKING = /zipfile/;

describe.skipIf(!ready)('a set-up that is killed', () => {
  test.each<[string, RegExp, boolean, string[]]>([
    ['in pip', PIP, false, []],
    ['while it unpacks', UNPACKING, false, ['--wheel-dir', wheels]],
    ['in the compiler', COMPILER, true, []],
  ])(
    '%s leaves nothing that looks like a build, and the next one works',
    async (_, pattern, fetched, args) => {
      const cache = await makeCache('killed', fetched ? 'fetched' : undefined);
      const running = setup(cache, args);
      const child = await childOf(cache, pattern);
      running.child.kill('SIGKILL');
      expect((await running.ended).code).toBeNull();
      expect(await readdir(cache)).not.toContain('current.json');
      // What it had started goes with its folder.
      if (pattern === PIP) await linkFetched(cache);
      const { result } = await expectSetUp(cache, args);
      expect(result).toMatchObject({ cached: false });
      expect(isGroupGone(child)).toBe(true);
    },
    90_000,
  );
});

describe.skipIf(!ready)('a set-up that is interrupted', () => {
  test.each<[NodeJS.Signals, number, string, RegExp, boolean]>([
    ['SIGINT', 130, 'in pip', PIP, false],
    ['SIGINT', 130, 'in the compiler', COMPILER, true],
    ['SIGTERM', 143, 'in the compiler', COMPILER, true],
  ])(
    'by %s ends with %i %s, with all that it started, and leaves nothing',
    async (name, code, _, pattern, fetched) => {
      const cache = await makeCache('interrupted', fetched ? 'fetched' : undefined);
      const running = setup(cache);
      const child = await childOf(cache, pattern);
      running.child.kill(name);
      const ended = await running.ended;
      expect(ended.code).toBe(code);
      expect(ended.stderr).toMatch(/\nStopping\.\nStopped: nothing half-done was left\.\n$/);
      expect(isGroupGone(child)).toBe(true);
      expect(await readdir(cache)).toEqual(fetched ? ['setup.log', 'tensorflow'] : ['setup.log']);
    },
    60_000,
  );

  test('leaves the build that was there', async () => {
    const cache = await makeCache('kept', 'built');
    const { result } = await expectSetUp(cache);
    const running = setup(cache, ['--force']);
    await childOf(cache, COMPILER);
    running.child.kill('SIGINT');
    expect((await running.ended).code).toBe(130);
    await expectInOrder(cache);
    expect((await expectSetUp(cache)).result).toMatchObject({ cached: true, folder: result.folder });
  }, 60_000);
});

describe.skipIf(!ready)('two set-ups at once', () => {
  slow(
    'both work, and leave one build',
    async () => {
      const cache = await makeCache('two');
      const args = ['--wheel-dir', wheels];
      const both = await Promise.all([setup(cache, args).ended, setup(cache, args).ended]);
      for (const ended of both) expect(ended.code, ended.stderr).toBe(0);
      await expectInOrder(cache);
      const [folder] = await readdir(join(cache, 'builds'));
      expect(both.map((ended) => lastJson(ended).folder)).toEqual(
        Array(2).fill(join(cache, 'builds', folder)),
      );
      expect((await expectSetUp(cache)).result).toMatchObject({ cached: true });
    },
    120_000,
  );

  test('one at work is not undone', async () => {
    const cache = await makeCache('undone', 'fetched');
    const running = setup(cache);
    await childOf(cache, COMPILER);
    expectError(
      await setup(cache, ['--remove']).ended,
      'USAGE',
      /: a set-up is at work here \(process \d+\)\. Wait until it has ended, or stop it \(Ctrl-C\)\.$/m,
    );
    expect((await running.ended).code).toBe(0);
  }, 60_000);
});
