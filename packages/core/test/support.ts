import '@tensorflow/tfjs-backend-cpu';
import { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu';
import { copyRegisteredKernels, engine, registerBackend } from '@tensorflow/tfjs-core';
import { expect } from 'vitest';
import { type Backend, type ErrorCode, isTenonError, type TenonError, tfjsBackend } from '../src/index.js';

/** tfjs's plain CPU backend, started. */
export async function cpu(): Promise<Backend> {
  const backend = tfjsBackend('cpu');
  await backend.init();
  return backend;
}

/** A second backend in the process: another instance of tfjs's CPU backend, with the same kernels. */
export async function anotherCpu(name = 'cpu2'): Promise<Backend> {
  if (!engine().backendNames().includes(name)) {
    registerBackend(name, () => new MathBackendCPU());
    copyRegisteredKernels('cpu', name);
  }
  const backend = tfjsBackend(name);
  await backend.init();
  return backend;
}

/** The TenonError that `f` throws or rejects with; fails where there is none, or another kind. */
export async function errorOf(f: () => unknown): Promise<TenonError> {
  let result: unknown;
  try {
    result = await f();
  } catch (error) {
    if (!isTenonError(error)) throw error;
    return error;
  }
  throw new Error(`expected a TenonError, got ${String(result)}`);
}

/** Throws unless `f` throws or rejects with a TenonError of this code, whose message has all of `parts`. */
export async function expectError(
  f: () => unknown,
  code: ErrorCode,
  ...parts: readonly string[]
): Promise<TenonError> {
  const error = await errorOf(f);
  expect(error.code, error.message).toBe(code);
  for (const part of parts) expect(error.message).toContain(part);
  return error;
}

/** The seed of every statistical test: they are exact repetitions, not samples. */
export const seed = 20_240_607;
