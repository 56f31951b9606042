import { open, readdir, stat, truncate } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import {
  expectError,
  makeCache,
  makeFolder,
  makeWheel,
  ready,
  setup,
  smallFiles,
  wheelInfo,
} from './caches.js';

const machine = process.arch === 'x64' ? 'x86_64' : 'aarch64';
const other = process.arch === 'x64' ? 'aarch64' : 'x86_64';
const named = (version: string, platform: string): string =>
  `tensorflow_cpu-${version}-cp311-cp311-manylinux_2_27_${platform}.whl`;

interface Case {
  readonly wheel?: string;
  readonly files?: Readonly<Record<string, string>>;
  readonly damage?: (wheel: string) => Promise<unknown>;
  readonly code?: string;
  readonly message: RegExp;
}

const cases: Readonly<Record<string, Case>> = {
  'none at all': {
    wheel: 'notes.txt',
    message:
      /expected a wheel of tensorflow-cpu 2\.21\.x for Linux \S+, got no wheel at all\. Fetch it where there is internet: pip download/,
  },
  'one for another architecture': {
    wheel: named('2.21.0', other),
    message: new RegExp(
      `${other}\\.whl, which is for manylinux_2_27_${other}, while this is Linux on ${machine}`,
    ),
  },
  'one that is too old': {
    wheel: named('2.15.0', machine),
    files: smallFiles('tensorflow-cpu', { version: '2.15.0' }),
    message: /expected a wheel of tensorflow-cpu 2\.21\.x .*2\.15\.0-.*whl, which is version 2\.15\.0\./,
  },
  'one that was cut off': {
    damage: (wheel) => truncate(wheel, 100_000),
    code: 'DATA_INVALID',
    message: /expected a whole wheel, got a damaged one \(File is not a zip file\)\. Fetch it again/,
  },
  'one with bytes that changed': {
    damage: changeBytes,
    code: 'DATA_INVALID',
    message: /expected a whole wheel, got a damaged one \(Bad CRC-32.*\)\. Fetch it again/,
  },
  'one without TensorFlow in it': {
    files: { 'tensorflow/__init__.py': '', ...wheelInfo('tensorflow-cpu', '2.21.0') },
    message:
      /expected TensorFlow's libraries and headers in this wheel, got one without tensorflow\/libtensorflow_cc\.so\.2/,
  },
  'one with libraries of another architecture': {
    files: smallFiles('tensorflow-cpu', { architecture: 'ia32' }),
    message: /expected libraries for Linux \S+, got libraries for ia32/,
  },
  'one that holds an older version than its name says': {
    files: smallFiles('tensorflow-cpu', { version: '2.15.0' }),
    code: 'INVALID_ARGUMENT',
    message: /expected TensorFlow 2\.21 or newer, got 2\.15\.0/,
  },
  "one whose libraries can't be loaded": {
    message: /its libraries can't be loaded\. The last lines of .*setup\.log:\n {4}\S/,
  },
};

/** In the middle, where the libraries are. */
async function changeBytes(path: string): Promise<void> {
  const { size } = await stat(path);
  const file = await open(path, 'r+');
  try {
    await file.write(Buffer.from('damage'), 0, 6, Math.floor(size / 2));
  } finally {
    await file.close();
  }
}

describe.skipIf(!ready)('a folder of wheels that holds', () => {
  test.each(Object.entries(cases))(
    '%s: one message, and nothing of it is kept',
    async (_, wrong) => {
      const folder = await makeFolder('wheels');
      const { wheel = named('2.21.0', machine), files = smallFiles('tensorflow-cpu'), damage } = wrong;
      const path = await makeWheel(folder, wheel, files);
      await damage?.(path);
      const cache = await makeCache('wheels');
      const ended = await setup(cache, ['--wheel-dir', folder]).ended;
      expectError(ended, wrong.code ?? 'BACKEND_UNAVAILABLE', wrong.message);
      expect(ended.stderr).toContain(folder);
      const left = await readdir(cache).catch(() => []);
      expect(left.filter((name) => name !== 'setup.log')).toEqual([]);
    },
    60_000,
  );
});
