import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkMachine, checkStorage, chooseFlavour, formatBytes } from '../src/node/machine.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tenon-cuda-machine-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('a machine', () => {
  test.each(['x64', 'arm64'])('with Linux on %s will do', (architecture) => {
    const machine = { platform: 'linux', architecture, glibc: '2.36' };
    expect(checkMachine(machine)).toBe(machine);
  });

  test.each<[string, string, string | undefined, RegExp]>([
    [
      'win32',
      'x64',
      undefined,
      /expected Linux on x64 or arm64, got win32 on x64\. In WSL2 it works on Windows too/,
    ],
    ['darwin', 'arm64', undefined, /got darwin on arm64\. Use the backend wasm/],
    ['linux', 'riscv64', '2.39', /got Linux on riscv64\. Use the backend wasm/],
    ['linux', 'x64', undefined, /C library glibc.*Alpine has musl/],
  ])('with %s on %s (glibc %s) is refused in one message', (platform, architecture, glibc, message) => {
    expect(() => checkMachine({ platform, architecture, glibc })).toThrow(message);
  });
});

describe('the flavour', () => {
  const none = () => undefined;
  const driver = () => '/proc/driver/nvidia/version';

  test('is the GPU where there is a driver, and says why', () => {
    expect(chooseFlavour(undefined, 'x64', false, driver)).toEqual({
      flavour: 'gpu',
      reason: 'there is an NVIDIA driver, /proc/driver/nvidia/version (--device cpu goes without)',
    });
    expect(chooseFlavour(undefined, 'x64', false, none)).toMatchObject({
      flavour: 'cpu',
      reason: expect.stringContaining('no NVIDIA driver'),
    });
  });

  test('is what was asked for, driver or not', () => {
    expect(chooseFlavour('gpu', 'x64', false, none).flavour).toBe('gpu');
    expect(chooseFlavour('cpu', 'x64', false, driver).flavour).toBe('cpu');
  });

  test('of arm64 is the GPU for a given libtensorflow alone', () => {
    expect(chooseFlavour(undefined, 'arm64', false, driver).flavour).toBe('cpu');
    expect(chooseFlavour(undefined, 'arm64', true, driver).flavour).toBe('gpu');
    expect(() => chooseFlavour('gpu', 'arm64', false, driver)).toThrow(/no wheels.*--libtensorflow FOLDER/);
  });
});

describe('the cache', () => {
  const little = { bytes: 1, said: 'a byte' };

  test('may be in a folder that is yet to be made', async () => {
    await expect(checkStorage(join(folder, 'a/b/c'), little)).resolves.toBeUndefined();
  });

  test('needs space', async () => {
    await expect(checkStorage(folder, { bytes: 2 ** 60, said: 'an exabyte' })).rejects.toMatchObject({
      code: 'STORAGE_FULL',
      message: expect.stringMatching(
        /expected an exabyte of free space, got [\d.]+ [GM]B\..*TENON_CUDA_HOME/,
      ),
    });
  });

  test('is no file, and below none', async () => {
    const file = join(folder, 'file');
    await writeFile(file, '');
    for (const path of [file, join(file, 'below')]) {
      await expect(checkStorage(path, little)).rejects.toMatchObject({
        code: 'STORAGE_FAILED',
        message: `${file}: expected a folder, got a file.`,
      });
    }
  });

  test("has a path that the libraries' loader can be told of", async () => {
    await expect(checkStorage(join(folder, 'a:b'), little)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });
});

test('bytes are written in the units that disks are sold in', () => {
  expect([1.24e9, 853e6, 0].map(formatBytes)).toEqual(['1.2 GB', '853 MB', '0 MB']);
});
