/** What set-up asks of the machine before anything is fetched. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { access, constants, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { TenonError } from '@tenon-ml/core/errors';
import type { Flavour } from '../cache.js';
import type { WheelTarget } from './wheels.js';

/** A machine that set-up works on. */
export interface Machine extends WheelTarget {
  readonly platform: string;
}

/** The machine, this one; throws `BACKEND_UNAVAILABLE` where TensorFlow has no libraries for it. */
export function checkMachine(machine: Machine = thisMachine()): Machine {
  const { platform, architecture, glibc } = machine;
  const expected = 'Linux on x64 or arm64';
  const code = 'BACKEND_UNAVAILABLE';
  if (platform !== 'linux') {
    const hint =
      platform === 'win32'
        ? "In WSL2 it works on Windows too: NVIDIA's driver for Windows serves the Linux in it."
        : 'Use the backend wasm, which runs on the CPU, or webgpu.';
    throw new TenonError({ code, expected, got: `${platform} on ${architecture}`, hint });
  }
  if (architecture !== 'x64' && architecture !== 'arm64') {
    const hint = 'Use the backend wasm, which runs on the CPU.';
    throw new TenonError({ code, expected, got: `Linux on ${architecture}`, hint });
  }
  if (glibc === undefined) {
    throw new TenonError({
      code,
      expected: "Linux with the C library glibc, which TensorFlow's libraries are built for",
      got: 'another one (Alpine has musl)',
      hint: 'Use a Node and a system with glibc, such as the image node:22-bookworm, or the backend wasm.',
    });
  }
  return machine;
}

function thisMachine(): Machine {
  return { platform: process.platform, architecture: process.arch, glibc: glibcVersion() };
}

function glibcVersion(): string | undefined {
  const report: unknown = process.report?.getReport();
  const { header } = (report ?? {}) as { header?: { glibcVersionRuntime?: string } };
  return header?.glibcVersionRuntime;
}

/** Which flavour a machine wants, and why. */
export interface ChosenFlavour {
  readonly flavour: Flavour;
  readonly reason: string;
}

/** The flavour that was asked for, or else `gpu` where there is an NVIDIA driver: `driver` finds what shows it. */
export function chooseFlavour(
  asked: Flavour | undefined,
  architecture: string,
  given: boolean,
  driver: () => string | undefined = findDriver,
): ChosenFlavour {
  // NVIDIA's arm64 machines run TensorFlow of their own; the wheels of arm64 have no GPU in them.
  const noWheel = architecture === 'arm64' && !given;
  if (asked === 'gpu' && noWheel) {
    throw new TenonError({
      code: 'BACKEND_UNAVAILABLE',
      where: '--device gpu',
      message: 'There are no wheels of TensorFlow for GPUs on Linux arm64',
      hint: 'Give a TensorFlow that was built for this machine with --libtensorflow FOLDER, or use --device cpu.',
    });
  }
  if (asked) return { flavour: asked, reason: 'as --device says' };
  const found = driver();
  if (found === undefined) {
    return {
      flavour: 'cpu',
      reason: 'no NVIDIA driver was found (--device gpu builds for one all the same)',
    };
  }
  if (noWheel) {
    const reason = 'there are no wheels for GPUs on Linux arm64 (--libtensorflow takes your own)';
    return { flavour: 'cpu', reason };
  }
  return { flavour: 'gpu', reason: `there is an NVIDIA driver, ${found} (--device cpu goes without)` };
}

/** What shows that there is an NVIDIA driver; undefined where nothing does. */
function findDriver(): string | undefined {
  const folders = ['/usr/lib/wsl/lib', '/usr/local/nvidia/lib64', ...paths(process.env.LD_LIBRARY_PATH)];
  const files = ['/proc/driver/nvidia/version', ...folders.map((folder) => join(folder, 'libcuda.so.1'))];
  const file = files.find((path) => existsSync(path));
  if (file) return file;
  return /libcuda\.so\.1\b.*=>\s*(\S+)/.exec(knownLibraries())?.[1];
}

/** The libraries that the system's loader knows; ldconfig isn't on every user's PATH. */
function knownLibraries(): string {
  for (const program of ['ldconfig', '/sbin/ldconfig']) {
    try {
      return execFileSync(program, ['-p'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    } catch {
      // The next one.
    }
  }
  return '';
}

function paths(list: string | undefined): string[] {
  return (list ?? '').split(':').filter((path) => path !== '');
}

/**
 * Throws unless the cache can be written and has so many bytes free: `PERMISSION_DENIED`, `STORAGE_FULL`, `STORAGE_FAILED`,
 * and `INVALID_ARGUMENT` for a folder that a linker can't be told of.
 */
export async function checkStorage(cache: string, needed: { bytes: number; said: string }): Promise<void> {
  // Where libraries are looked for is a list of folders with colons in between, and $ begins a variable in it.
  if (/[:$]/.test(cache)) {
    throw new TenonError({
      code: 'INVALID_ARGUMENT',
      where: cache,
      expected: "a folder without ':' and '$' in its path, which the loader of libraries can't take",
      got: cache,
      hint: 'Name another folder with the variable TENON_CUDA_HOME.',
    });
  }
  const existing = await nearestFolder(cache);
  try {
    await access(existing, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw storageError(cache, error);
  }
  const { bavail, bsize } = await statfs(existing);
  if (bavail * bsize >= needed.bytes) return;
  throw new TenonError({
    code: 'STORAGE_FULL',
    where: cache,
    expected: `${needed.said} of free space`,
    got: formatBytes(bavail * bsize),
    hint: `Free some, or name a folder on another disk with the variable TENON_CUDA_HOME.`,
  });
}

/** The folder itself, or the nearest one above it that there is. */
async function nearestFolder(folder: string): Promise<string> {
  for (let path = folder; ; path = dirname(path)) {
    const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
      throw storageError(folder, error);
    });
    if (found?.isDirectory()) return path;
    if (found) {
      throw new TenonError({ code: 'STORAGE_FAILED', where: path, expected: 'a folder', got: 'a file' });
    }
  }
}

/** What the file system said, as one of ours; what isn't about storage stays as it is. */
export function storageError(where: string, error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT') return diskFull(where, error);
  if (code === 'EACCES' || code === 'EPERM') {
    return new TenonError({
      code: 'PERMISSION_DENIED',
      where,
      message: 'no permission to write here',
      hint: 'Give yourself write permission, or name another folder with the variable TENON_CUDA_HOME.',
      cause: error,
    });
  }
  if (code === 'EROFS') {
    return new TenonError({
      code: 'STORAGE_FAILED',
      where,
      message: 'this file system is read-only',
      hint: 'Name another folder with the variable TENON_CUDA_HOME.',
      cause: error,
    });
  }
  return error;
}

/** The error for a disk that has become full on the way. */
export function diskFull(where: string, cause?: unknown): TenonError {
  return new TenonError({
    code: 'STORAGE_FULL',
    where,
    message: 'the disk is full',
    hint: 'Free some space and try again: nothing half-done was left. TENON_CUDA_HOME names a folder on another disk.',
    cause,
  });
}

/** In the units that disks are sold in. */
export function formatBytes(bytes: number): string {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(1)} GB`;
  return `${Math.round(bytes / 1e6)} MB`;
}
