import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type SetupOptions, setupCuda } from '../src/node/index.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tenon-cuda-setup-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** What real tools have to do with is in tests/cuda. */
describe.skipIf(process.platform !== 'linux')(
  'a wrong call is refused before anything is run or written',
  () => {
    test.each<[SetupOptions, RegExp]>([
      [{ tensorflow: '2.15.0' }, /--tensorflow: expected TensorFlow 2\.21 or newer, got 2\.15\.0/],
      [{ tensorflow: 'latest' }, /--tensorflow: expected a version such as 2\.21 or 2\.21\.0, got 'latest'/],
      [
        { wheelDir: '/nowhere' },
        /--wheel-dir: expected a folder with wheels in it, got \/nowhere, which is not there/,
      ],
      [{ wheelDir: import.meta.filename }, /--wheel-dir: .*setup\.test\.ts, a file\.$/],
      [
        { libtensorflow: '/nowhere' },
        /--libtensorflow: expected a folder with .*, got \/nowhere, which is not there/,
      ],
      [
        { libtensorflow: import.meta.dirname },
        /--libtensorflow: expected a folder with .*, which has neither/,
      ],
      [{ package: '/no.tgz' }, /--package: expected the package .*, got \/no\.tgz, which is not there/],
      [{ libtensorflow: '/tmp', wheelDir: '/tmp', python: 'p' }, /doesn't go with --wheel-dir and --python/],
    ])('%j', async (options, message) => {
      const cache = join(folder, 'cache');
      const lines: string[] = [];
      const report = (line: string): number => lines.push(line);
      await expect(setupCuda({ device: 'cpu', ...options, cache }, report)).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringMatching(message),
      });
      expect(lines).toEqual([]);
      expect(existsSync(cache)).toBe(false);
    });
  },
);
