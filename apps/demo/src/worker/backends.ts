import { wasm } from '@tenon-ml/backend-wasm';
import { type Backend, isTenonError } from '@tenon-ml/core';
import type { BackendName } from './protocol.js';

/** A backend of this worker's own. The GPU's is loaded when somebody asks for it. */
export async function createBackend(name: BackendName): Promise<Backend> {
  if (name === 'wasm') return wasm();
  const { webgpu } = await import('@tenon-ml/backend-webgpu');
  return webgpu();
}

/** How often a GPU that was lost is asked for, and how long lies between, in milliseconds. */
const TRIES = 6;
const BETWEEN = 400;

/** The same, started, after a GPU was lost: the browser has none for a moment. Throws what `init` throws in the end. */
export async function recreateBackend(name: BackendName): Promise<Backend> {
  for (let tries = 1; ; tries++) {
    const backend = await createBackend(name);
    try {
      await backend.init();
      return backend;
    } catch (error) {
      const mayCome = isTenonError(error) && ['BACKEND_UNAVAILABLE', 'DEVICE_LOST'].includes(error.code);
      if (!mayCome || name === 'wasm' || tries === TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, BETWEEN));
    }
  }
}
