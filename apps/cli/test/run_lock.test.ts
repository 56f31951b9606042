import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { lockAddress, lockRun } from '../src/run_lock.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tenon-lock-'));
  await mkdir(join(folder, 'run'));
  await symlink(folder, join(folder, 'link'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A process that listens at an address, until it is killed. */
async function holder(address: string) {
  const script = `require('node:net').createServer().listen(${JSON.stringify(address)}, () => console.log('holds'))`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return {
    async kill() {
      child.kill('SIGKILL');
      await once(child, 'close');
    },
  };
}

const file = () => join(folder, 'lock.sock');
const places: [string, () => string][] = [["this system's own", () => lockAddress(join(folder, 'run'))]];
if (process.platform !== 'win32') places.push(['a file, as on macOS', file]);

test.each(places)('one process at a time (%s): a kill -9 gives the folder free', async (_, place) => {
  const address = place();
  const lock = () => lockRun(join(folder, 'run'), address);
  const other = await holder(address);
  await expect(lock()).rejects.toThrow('another process is training into this folder');
  await other.kill();
  const unlock = await lock();
  await expect(lock()).rejects.toMatchObject({ code: 'USAGE' });
  unlock();
  (await lock())();
});

test('an end leaves no file behind', () => {
  expect(existsSync(file())).toBe(false);
});

test('a folder is one by whatever path, and before it is made', async () => {
  const address = lockAddress(join(folder, 'run'));
  expect(lockAddress(join(folder, 'link', 'run'))).toBe(address);
  expect(lockAddress(join(folder, 'other'))).not.toBe(address);
  const later = lockAddress(join(folder, 'link', 'later', 'run'));
  await mkdir(join(folder, 'later', 'run'), { recursive: true });
  expect(lockAddress(join(folder, 'later', 'run'))).toBe(later);
});

test.each([
  ['linux', /^\0tenon-run-[0-9a-f]{32}$/],
  ['win32', /^\\\\\.\\pipe\\tenon-run-[0-9a-f]{32}$/],
  ['darwin', /tenon-run-[0-9a-f]{32}\.sock$/],
] as const)('the address on %s', (platform, expected) => {
  expect(lockAddress(folder, platform)).toMatch(expected);
});
