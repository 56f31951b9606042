import type { Backend, NdArray } from '@tenon-ml/core';
import { findBackend } from '@tensorflow/tfjs-core';
import { expect } from 'vitest';
import { expectBits } from '../kernels/reference.js';

type KernelFunction = (args: number, begin: number, end: number) => void;

/** Runs `run` with another function in the place of each of the module's kernels. */
async function withKernels<T>(
  backend: Backend,
  wrap: (kernel: KernelFunction) => KernelFunction,
  run: () => Promise<T>,
): Promise<T> {
  const { kernels } = findBackend(backend.engineName) as unknown as {
    kernels: { functions: Record<string, KernelFunction> };
  };
  const whole = { ...kernels.functions };
  for (const [name, kernel] of Object.entries(whole)) kernels.functions[name] = wrap(kernel);
  try {
    return await run();
  } finally {
    Object.assign(kernels.functions, whole);
  }
}

/**
 * Runs `run` with every launch cut: its parts in calls of `length` parts, the last ones first. What kernels give must
 * not depend on it, since threads share parts out in any way.
 */
export function inPieces<T>(backend: Backend, length: number, run: () => Promise<T>): Promise<T> {
  const cut =
    (kernel: KernelFunction): KernelFunction =>
    (args, begin, end) => {
      for (let last = end; last > begin; last -= length) kernel(args, Math.max(begin, last - length), last);
    };
  return withKernels(backend, cut, run);
}

/** The most parts that a launch of `run` has: a test of pieces wants more than one. */
export async function mostParts(backend: Backend, run: () => Promise<unknown>): Promise<number> {
  let most = 0;
  const count =
    (kernel: KernelFunction): KernelFunction =>
    (args, begin, end) => {
      most = Math.max(most, end - begin);
      kernel(args, begin, end);
    };
  await withKernels(backend, count, run);
  return most;
}

/**
 * Throws unless `run` has launches of more than `parts` parts, and gives the same bits in pieces. The backend is one that
 * poisons memory: else a part that isn't run would be as the run before left it.
 */
export async function expectCut(
  backend: Backend,
  run: () => Promise<NdArray[]>,
  { parts, lengths = [1, 2] }: { readonly parts: number; readonly lengths?: readonly number[] },
): Promise<void> {
  expect(await mostParts(backend, run)).toBeGreaterThan(parts);
  const whole = await run();
  for (const length of lengths) expectBits(await inPieces(backend, length, run), whole);
}
