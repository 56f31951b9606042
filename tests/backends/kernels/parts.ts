import type { Backend, NdArray } from '@tenon-ml/core';
import { findBackend } from '@tensorflow/tfjs-core';
import { expect } from 'vitest';

type KernelFunction = (args: number, begin: number, end: number) => void;

/**
 * Runs `run` with every launch cut: its parts in calls of `length` parts, the last ones first. What kernels give must
 * not depend on it, since threads share parts out in any way.
 */
export function inPieces<T>(backend: Backend, length: number, run: () => T): T {
  const { kernels } = findBackend(backend.engineName) as unknown as {
    kernels: { functions: Record<string, KernelFunction> };
  };
  const whole = { ...kernels.functions };
  for (const [name, kernel] of Object.entries(whole)) {
    kernels.functions[name] = (args, begin, end) => {
      for (let last = end; last > begin; last -= length) kernel(args, Math.max(begin, last - length), last);
    };
  }
  try {
    return run();
  } finally {
    Object.assign(kernels.functions, whole);
  }
}

/** The most parts that a launch of `run` has: a test of pieces wants more than one. */
export function mostParts(backend: Backend, run: () => unknown): number {
  const { kernels } = findBackend(backend.engineName) as unknown as {
    kernels: { functions: Record<string, KernelFunction> };
  };
  const whole = { ...kernels.functions };
  let most = 0;
  for (const [name, kernel] of Object.entries(whole)) {
    kernels.functions[name] = (args, begin, end) => {
      most = Math.max(most, end - begin);
      kernel(args, begin, end);
    };
  }
  try {
    run();
    return most;
  } finally {
    Object.assign(kernels.functions, whole);
  }
}

/** As `toEqual`, which takes seconds for arrays as large as a kernel of several parts wants. */
export function expectSameBits(actual: NdArray, expected: NdArray): void {
  expect([actual.shape, actual.dtype]).toEqual([expected.shape, expected.dtype]);
  const bytes = ({ data }: NdArray): Uint8Array =>
    new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const own = bytes(actual);
  expect(bytes(expected).findIndex((byte, i) => byte !== own[i])).toBe(-1);
}
