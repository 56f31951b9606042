import { execFileSync } from 'node:child_process';
import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requires } from '@tenon-ml/testkit';
import { describe, expect, test } from 'vitest';
import { type Ended, program, runNode } from '../e2e/tenon.js';
import {
  expectError,
  expectInOrder,
  expectRefusal,
  expectSetUp,
  makeCache,
  makeFolder,
  ready,
  setup,
  slow,
  wheels,
} from './caches.js';

const isRoot = process.getuid?.() === 0;
const nowhere = 'http://127.0.0.1:9/';

describe.skipIf(!ready)('without internet', () => {
  test('pip reaches no index: how to bring wheels, and quickly', async () => {
    const began = performance.now();
    await expectRefusal(
      [],
      'DOWNLOAD_FAILED',
      /^Error: pip could not reach its index to fetch tensorflow-cpu~=2\.21\.0\. On a machine without internet: .*--wheel-dir\. The last lines of .*setup\.log:\n {4}ERROR: /m,
      { PIP_CONFIG_FILE: '/dev/null', PIP_FIND_LINKS: '', PIP_INDEX_URL: `${nowhere}simple` },
    );
    expect(performance.now() - began).toBeLessThan(30_000);
  }, 60_000);

  test('npm reaches no registry: how to bring the package; with it, it works', async () => {
    const cache = await makeCache('offline', 'fetched');
    const folder = await makeFolder('npm');
    const env = { npm_config_registry: nowhere, npm_config_cache: join(folder, 'cache') };
    expectError(
      await setup(cache, [], env).ended,
      'DOWNLOAD_FAILED',
      /^Error: npm could not fetch @tensorflow\/tfjs-node-gpu@4\.22\.0, .*--package; or install it beside @tenon-ml\/backend-cuda with --ignore-scripts\. The last lines of .*setup\.log:\n {4}npm error code ECONNREFUSED/m,
    );
    await expectInOrder(cache);
    const pack = (name: string): string => {
      const args = ['pack', name, '--ignore-scripts', '--prefer-offline', '--silent'];
      return join(folder, execFileSync('npm', args, { cwd: folder, encoding: 'utf8' }).trim());
    };
    const notTar = join(folder, 'not.tgz');
    await writeFile(notTar, 'not a package');
    expectError(
      await setup(cache, ['--package', notTar], env).ended,
      'DATA_INVALID',
      /not\.tgz: expected a package of npm/,
    );
    expectError(
      await setup(cache, ['--package', pack('picocolors@1.1.1')], env).ended,
      'INVALID_ARGUMENT',
      /expected the package @tensorflow\/tfjs-node-gpu 4\.22\.0, got picocolors 1\.1\.1\. Make it with: npm pack/,
    );
    await expectInOrder(cache);
    await expectSetUp(cache, ['--package', pack('@tensorflow/tfjs-node-gpu@4.22.0')], env);
  }, 90_000);
});

/** Mounts a file system in memory; undefined where this process may not. */
function mountSmall(at: string, size: string): string | undefined {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=777`, 'tmpfs', at], { stdio: 'ignore' });
    return at;
  } catch {
    return undefined;
  }
}

describe.skipIf(!ready)('the disk', () => {
  test('too small: how much it takes, before anything is fetched', async (context) => {
    const at = await makeFolder('small');
    if (!requires(isRoot && mountSmall(at, '100m'), 'to mount a tmpfs, as root')) return context.skip();
    try {
      expectError(
        await setup(at).ended,
        'STORAGE_FULL',
        /^Error: .*: expected 1\.2 GB of free space, got \d+ MB\. Free some, or name a folder on another disk with the variable TENON_CUDA_HOME\.$/m,
      );
      expect(await readdir(at)).toEqual([]);
    } finally {
      execFileSync('umount', [at]);
    }
  });

  slow(
    'that becomes full on the way: nothing is left, and with more space the next try works',
    async (context) => {
      const at = await makeFolder('filled');
      if (!requires(isRoot && mountSmall(at, '1300m'), 'to mount a tmpfs, as root')) return context.skip();
      try {
        const cache = join(at, 'cache');
        const running = setup(cache, ['--wheel-dir', wheels]);
        // Once its space is checked, something else takes it.
        await expect
          .poll(() => readdir(cache).catch(() => []), { interval: 10, timeout: 30_000 })
          .not.toEqual([]);
        execFileSync('fallocate', ['-l', '800M', join(at, 'ballast')]);
        expectError(
          await running.ended,
          'STORAGE_FULL',
          /^Error: .*: the disk is full\. Free some space and try again: nothing half-done was left\./m,
        );
        expect((await readdir(cache)).filter((name) => name !== 'setup.log')).toEqual([]);
        await rm(join(at, 'ballast'));
        await expectSetUp(cache, ['--wheel-dir', wheels]);
      } finally {
        execFileSync('umount', [at]);
      }
    },
    90_000,
  );

  test('without permission, as a user who has none', async (context) => {
    if (!requires(isRoot, 'root, to become another user')) return context.skip();
    const folder = await mkdtemp(join(tmpdir(), 'tenon-cuda-locked-'));
    await chmod(folder, 0o755);
    const cache = join(folder, 'cache');
    expectError(
      await asNobody(['setup', 'cuda', '--device', 'cpu', '--json'], cache),
      'PERMISSION_DENIED',
      /^Error: .*cache: no permission to write here\. Give yourself write permission, or name another folder with the variable TENON_CUDA_HOME\.$/m,
    );
    expect(await readdir(folder)).toEqual([]);
    await rm(folder, { recursive: true });
  });
});

/** The command line as the user `nobody`, who may not be allowed to read this Node and repository: once they are loaded. */
function asNobody(args: readonly string[], cache: string): Promise<Ended> {
  const load = `const { main } = await import(${JSON.stringify(join(program, '../index.js'))});`;
  const run = `process.setgroups([]); process.setgid(65534); process.setuid(65534); process.exitCode = await main(${JSON.stringify(args)});`;
  const env = { ...process.env, TENON_CUDA_HOME: cache };
  return runNode(['--input-type=module', '-e', load + run], { env });
}
