import { wasm } from '@tenon-ml/backend-wasm';
import type { Backend } from '@tenon-ml/core';
import type { Device } from '@tenon-ml/testkit';
import { afterAll, beforeAll, inject } from 'vitest';
import { missing } from './missing.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** Which backend the tests in `backends` are for; wasm where a project doesn't say. */
    backend: 'wasm' | 'webgpu';
  }
}

export interface TestedOptions {
  /** Whether compiled functions are recorded and replayed (default true). */
  readonly record?: boolean;
  /** Fills freed memory with NaN, so that a use after the end shows; wasm alone can. */
  readonly poison?: boolean;
}

/** What the tested backend computes on. A GPU may be off by what the table of tolerances says. */
export const testedDevice: Device = inject('backend') === 'webgpu' ? 'gpu' : 'cpu';

const create: (options?: TestedOptions) => Backend =
  testedDevice === 'gpu' ? (await webgpuPackage()).webgpu : wasm;

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

// TODO(backend-webgpu): import('@tenon-ml/backend-webgpu') itself once there is one: pages can't resolve a variable.
function webgpuPackage(): Promise<{ webgpu(options?: TestedOptions): Backend }> {
  const name: string = '@tenon-ml/backend-webgpu';
  return import(name);
}
