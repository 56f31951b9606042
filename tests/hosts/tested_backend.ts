import { wasm } from '@tenon-ml/backend-wasm';
import type { Backend } from '@tenon-ml/core';
import type { Device } from '@tenon-ml/testkit';
import { afterAll, beforeAll, inject } from 'vitest';
import { missing } from './missing.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** Which backend the tests in `backends` are for; wasm where a project doesn't say. */
    backend: 'wasm' | 'webgpu' | 'cuda';
  }
}

export interface TestedOptions {
  /** Whether compiled functions are recorded and replayed (default true). */
  readonly record?: boolean;
  /** Fills freed memory with NaN, so that a use after the end shows; wasm alone can. */
  readonly poison?: boolean;
}

/** The name of the tested backend, for the few tests that have to say where it differs from the others, and why. */
export const testedName: 'wasm' | 'webgpu' | 'cuda' = inject('backend') ?? 'wasm';

/**
 * What the tested backend computes on. A GPU may be off by what the table of tolerances says; so may TensorFlow on a
 * processor, which takes denormals for 0 and computes exp and its like by formulas of its own.
 */
export const testedDevice: Device = testedName === 'wasm' ? 'cpu' : 'gpu';

const create: (options?: TestedOptions) => Backend = await creatorOf(testedName);

async function creatorOf(name: typeof testedName): Promise<typeof create> {
  if (name === 'webgpu') return (await import('@tenon-ml/backend-webgpu')).webgpu;
  if (name === 'wasm') return wasm;
  const { cuda } = await import('@tenon-ml/backend-cuda');
  const device = process.env.TENON_CUDA_DEVICE === 'gpu' ? 'gpu' : 'cpu';
  return (options) => cuda({ device, ...(options?.record === undefined ? {} : { record: options.record }) });
}

/** The backend that this project tests: each call makes another one, to be started with `init`. */
export function testedBackend(options?: TestedOptions): Backend {
  return create(options);
}

/** Backends that are started for the tests of a file, and disposed of after them. */
export function started<T extends readonly Backend[]>(...backends: T): T {
  beforeAll(async () => {
    if (missing === '') for (const backend of backends) await backend.init();
  });
  afterAll(async () => {
    for (const backend of backends) await backend.dispose();
  });
  return backends;
}
