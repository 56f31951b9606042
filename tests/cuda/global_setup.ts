import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { TestProject } from 'vitest/node';
import { tenon } from '../e2e/tenon.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** A folder with TensorFlow's wheel; empty where pip doesn't find it. */
    cudaWheels: string;
    /** A cache that is set up. */
    cudaBase: string;
    /** A folder for the caches of tests, on the same disk. */
    cudaFolder: string;
  }
}

/** On the disk of the repository, as a set-up takes a gigabyte. */
const caches = resolve(import.meta.dirname, '../../node_modules/.cache');

/** Once for the project `cuda-setup`: has pip fetch the wheel, unless an earlier run did, and sets up from it. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const wheels = join(caches, 'tenon-cuda-wheels');
  const there = await fetchWheel(wheels);
  await mkdir(caches, { recursive: true });
  const folder = await mkdtemp(join(caches, 'tenon-cuda-tests-'));
  // With what a path may hold.
  const base = join(folder, 'base a, ü');
  if (there) {
    const args = ['setup', 'cuda', '--device', 'cpu', '--wheel-dir', wheels];
    const ended = await tenon(args, { env: { ...process.env, TENON_CUDA_HOME: base } });
    if (ended.code !== 0) throw new Error(`The first set-up failed: ${ended.stderr}`);
  }
  project.provide('cudaWheels', there ? wheels : '');
  project.provide('cudaBase', base);
  project.provide('cudaFolder', folder);
  return () => rm(folder, { recursive: true, force: true });
}

async function fetchWheel(folder: string): Promise<boolean> {
  const found = await readdir(folder).catch(() => []);
  if (found.some((name) => name.endsWith('.whl'))) return true;
  const args = ['-m', 'pip', 'download', '--no-deps', '--only-binary=:all:', '--dest', folder];
  try {
    await promisify(execFile)('python3', [...args, 'tensorflow-cpu~=2.21.0']);
    return true;
  } catch {
    return false;
  }
}
