import { copyFile, open, readdir, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  expectError,
  expectRefusal,
  makeCache,
  makeFolder,
  makeWheel,
  ready,
  setup,
  wheelInfo,
  wheels,
} from './caches.js';

const WHEEL = 'tensorflow_cpu-2.21.0-cp311-cp311-manylinux_2_27_x86_64.whl';

describe.skipIf(!ready)('wheels', () => {
  const machine = process.arch === 'x64' ? 'x86_64' : 'aarch64';
  const other = process.arch === 'x64' ? 'aarch64' : 'x86_64';

  test.each<[string, string, RegExp]>([
    [
      'none',
      '',
      /expected a wheel of tensorflow-cpu 2\.21\.x for Linux x64, got no wheel at all\. Fetch it where there is internet: pip download --no-deps --dest FOLDER 'tensorflow-cpu~=2\.21\.0'$/m,
    ],
    [
      'of another architecture',
      `tensorflow_cpu-2.21.0-cp311-cp311-manylinux_2_27_${other}.whl`,
      new RegExp(`which is for manylinux_2_27_${other}, while this is Linux on ${machine}`),
    ],
    [
      'that are too old',
      `tensorflow_cpu-2.15.0-cp311-cp311-manylinux_2_17_${machine}.whl`,
      /which is version 2\.15\.0\./,
    ],
    [
      'for GPUs',
      `tensorflow-2.21.0-cp311-cp311-manylinux_2_27_${machine}.whl`,
      /is the one for GPUs \(--device gpu takes it\)/,
    ],
  ])('%s: said before anything is run', async (_, file, message) => {
    const folder = await makeFolder('wheels');
    if (file) await makeWheel(folder, file, wheelInfo('tensorflow-cpu', '2.21.0'));
    await expectRefusal(['--wheel-dir', folder], 'BACKEND_UNAVAILABLE', message);
  });

  test.each<[string, (wheel: string) => Promise<unknown>, string, RegExp]>([
    [
      'cut off',
      (wheel) => truncate(wheel, 100e6),
      'DATA_INVALID',
      /expected a whole wheel, got a damaged one \(File is not a zip file\)\. Fetch it again/,
    ],
    [
      'with a byte that changed',
      changeByte,
      'DATA_INVALID',
      /expected a whole wheel, got a damaged one \((Bad CRC-32|Error -3).*\)\. Fetch it again/,
    ],
  ])(
    '%s: the file, and what is wrong with it',
    async (_, damage, code, message) => {
      const folder = await makeFolder('damaged');
      const [wheel] = await readdir(wheels);
      await copyFile(join(wheels, wheel), join(folder, wheel));
      await damage(join(folder, wheel));
      await expectRefusal(['--wheel-dir', folder], code, message);
    },
    60_000,
  );

  test.each<[string, Record<string, string>, string, RegExp]>([
    [
      'without TensorFlow in it',
      { 'tensorflow/__init__.py': '' },
      'BACKEND_UNAVAILABLE',
      /expected TensorFlow's libraries and headers in this wheel, got one without tensorflow\/libtensorflow_cc\.so\.2/,
    ],
    [
      'with libraries of another architecture',
      libraries('ia32'),
      'BACKEND_UNAVAILABLE',
      /expected libraries for Linux x64, got libraries for ia32/,
    ],
    [
      'with an older version than it is named by',
      { ...libraries('x64'), ...info('2.15.0') },
      'INVALID_ARGUMENT',
      /expected TensorFlow 2\.21 or newer, got 2\.15\.0/,
    ],
    [
      'with libraries that are none',
      { ...libraries('x64') },
      'BACKEND_UNAVAILABLE',
      /its libraries can't be loaded\. The last lines of .*setup\.log:\n {4}\S/,
    ],
  ])(
    '%s',
    async (_, files, code, message) => {
      const folder = await makeFolder('wrong');
      await makeWheel(folder, WHEEL, { ...info('2.21.0'), ...files });
      const cache = await makeCache('wrong');
      expectError(await setup(cache, ['--wheel-dir', folder]).ended, code, message);
      // Nothing of it is kept, which the next set-up would take.
      expect(await readdir(cache)).toEqual(['setup.log']);
    },
    60_000,
  );
});

/** What pip looks into; the same file whatever the version, so that one takes the other's place. */
function info(version: string): Record<string, string> {
  const [[, metadata]] = Object.entries(wheelInfo('tensorflow-cpu', version));
  return { 'tensorflow_cpu-2.21.0.dist-info/METADATA': metadata };
}

/** Files like TensorFlow's, by their beginnings, for an architecture. */
function libraries(architecture: 'x64' | 'ia32'): Record<string, string> {
  const elf = `\x7fELF${'\0'.repeat(14)}${architecture === 'x64' ? '\x3e' : '\x03'}\0`;
  return {
    'tensorflow/libtensorflow_cc.so.2': elf,
    'tensorflow/libtensorflow_framework.so.2': elf,
    'tensorflow/include/tensorflow/c/eager/c_api.h': '',
  };
}

/** In the middle, where the largest library is. */
async function changeByte(path: string): Promise<void> {
  const { size } = await stat(path);
  const file = await open(path, 'r+');
  try {
    await file.write(Buffer.from('damage'), 0, 6, Math.floor(size / 2));
  } finally {
    await file.close();
  }
}
