import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { requires } from '@tenon-ml/testkit';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createKey, readText } from '../src/index.js';
import { folderStore } from '../src/node/index.js';
import { expectError } from './support.js';

const isRoot = process.getuid?.() === 0;
// `nobody`, which owns nothing. Where the tests run unprivileged, the child is no more than they are.
const unprivileged = { ...process.env, TENON_TEST_USER: isRoot ? '65534' : '0' };

let folder: string;
let child: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tenon-process-'));
  await chmod(folder, 0o755);
  child = join(folder, 'store_child.mjs');
  await build({
    entryPoints: [join(import.meta.dirname, 'fixtures/store_child.ts')],
    outfile: child,
    bundle: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'error',
  });
});
afterAll(() => rm(folder, { recursive: true }));

function start(args: readonly string[], env: NodeJS.ProcessEnv = process.env): ChildProcess {
  return spawn(process.execPath, [child, ...args], {
    env,
    cwd: '/',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

/** What one operation in an unprivileged process comes to. */
async function operate(
  operation: string,
  at: string,
  path = 'file',
): Promise<{ result?: unknown; error?: { code: string; message: string } }> {
  const running = start([operation, at, path], unprivileged);
  let output = '';
  running.stdout?.on('data', (chunk) => (output += chunk));
  await once(running, 'close');
  return JSON.parse(output);
}

describe('a process that is killed while it writes', () => {
  it('leaves one of the whole versions, at any instant', async () => {
    const at = join(folder, 'killed');
    const store = folderStore(at);
    const instants = createKey(1).uniform([24], 0, 40).data;
    let last = -1;
    let written = 0;
    for (const instant of instants) {
      await store.write('start.json', new TextEncoder().encode(JSON.stringify({ next: last + 1 })));
      const writer = start(['loop', at]);
      const exit = once(writer, 'close');
      let count = 0;
      writer.stdout?.on('data', (dots: Buffer) => (count += dots.length));
      await once(writer.stdout as NodeJS.ReadableStream, 'data');
      await wait(instant);
      writer.kill('SIGKILL');
      expect((await exit)[1]).toBe('SIGKILL');

      const bytes = await store.read('checkpoints/latest.bin');
      const version = new DataView(bytes.buffer).getFloat64(0);
      expect(bytes).toHaveLength(200_000 + 1000 * (version % 100));
      expect(bytes.subarray(8).every((byte) => byte === version % 251)).toBe(true);
      // At least what it said it had written, and at most one more.
      expect(version - last - count).toBeGreaterThanOrEqual(0);
      expect(version - last - count).toBeLessThanOrEqual(1);
      expect(await store.list()).toEqual(['checkpoints/latest.bin', 'start.json']);
      last = version;
      written += count;
    }
    expect(written).toBeGreaterThan(instants.length);
  });
});

describe('a process without permission', () => {
  const withFolder = async (name: string, mode: number): Promise<string> => {
    const at = join(folder, name);
    await mkdir(at);
    await writeFile(join(at, 'file'), 'old');
    await chmod(at, mode);
    return at;
  };

  it('can neither write nor remove where the folder is read-only, and leaves what is there', async () => {
    const at = await withFolder('read-only', 0o555);
    for (const [operation, path] of [
      ['write', 'file'],
      ['write', 'new/file'],
      ['append', 'new'],
      ['remove', 'file'],
    ]) {
      const { error } = await operate(operation, at, path);
      expect(error, `${operation} ${path}`).toMatchObject({
        code: 'PERMISSION_DENIED',
        where: join(at, path),
      });
      expect(error?.message).toContain('another folder');
    }
    expect(await operate('list', at)).toEqual({ result: ['file'] });
    expect(await operate('read', at)).toEqual({ result: 3 });
    expect(await readdir(at)).toEqual(['file']);
    expect(await readText(folderStore(at), 'file')).toBe('old');
    await chmod(at, 0o755);
  });

  it('can neither read nor append to a file that is closed to it', async () => {
    const at = await withFolder('closed-file', 0o777);
    await chmod(join(at, 'file'), 0o000);
    for (const operation of ['read', 'append']) {
      expect((await operate(operation, at)).error).toMatchObject({
        code: 'PERMISSION_DENIED',
        where: join(at, 'file'),
      });
    }
    await chmod(join(at, 'file'), 0o644);
    expect(await readFile(join(at, 'file'), 'utf8')).toBe('old');
  });

  it('can do nothing in a folder that is closed to it', async () => {
    const at = await withFolder('closed', 0o000);
    for (const operation of ['read', 'write', 'append', 'list', 'remove']) {
      expect((await operate(operation, at)).error, operation).toMatchObject({ code: 'PERMISSION_DENIED' });
    }
    await chmod(at, 0o755);
  });

  it('can, where it has permission', async () => {
    const at = join(folder, 'own');
    await mkdir(at);
    if (isRoot) await chown(at, 65534, 65534);
    for (const operation of ['write', 'append'])
      expect(await operate(operation, at)).toEqual({ result: null });
    expect(await operate('read', at)).toEqual({ result: 20 });
  });
});

/** A file system of one megabyte, or undefined where none can be mounted. */
function mountSmall(): string | undefined {
  if (!isRoot || process.platform !== 'linux') return undefined;
  const at = execFileSync('mktemp', ['-d', join(tmpdir(), 'tenon-small-XXXXXX')], {
    encoding: 'utf8',
  }).trim();
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', at], { stdio: 'ignore' });
    return at;
  } catch {
    execFileSync('rmdir', [at]);
    return undefined;
  }
}

const small = mountSmall();
describe.skipIf(!requires(small, 'root on Linux, to mount a file system of 1 MB'))('a full disk', () => {
  const at = small as string;
  afterAll(() => {
    execFileSync('umount', [at]);
    execFileSync('rmdir', [at]);
  });

  it('refuses the write, keeps the old file and leaves nothing', async () => {
    const store = folderStore(at);
    await store.write('weights.bin', new Uint8Array(400_000).fill(1));
    const big = new Uint8Array(2_000_000).fill(2);
    await expectError(
      () => store.write('weights.bin', big),
      'STORAGE_FULL',
      join(at, 'weights.bin'),
      'untouched',
      'Free some space',
    );
    await expectError(() => store.write('new/other.bin', big), 'STORAGE_FULL', 'other.bin');
    expect(await store.list()).toEqual(['weights.bin']);
    expect(await readdir(at)).toEqual(['new', 'weights.bin']);
    expect(await readdir(join(at, 'new'))).toEqual([]);
    expect(Buffer.alloc(400_000, 1).equals(await store.read('weights.bin'))).toBe(true);
    // What fits is written, and old and new may not fit together.
    await store.write('small.bin', new Uint8Array(1000));
    await expectError(() => store.write('weights.bin', new Uint8Array(700_000)), 'STORAGE_FULL');
    expect((await store.read('weights.bin'))[0]).toBe(1);
  });

  it('says so when it appends', async () => {
    const store = folderStore(at);
    await store.append('log', new TextEncoder().encode('first\n'));
    await expectError(
      () => store.append('log', new Uint8Array(2_000_000)),
      'STORAGE_FULL',
      'part of what was to be added',
    );
    expect((await readText(store, 'log')).startsWith('first\n')).toBe(true);
  });
});
