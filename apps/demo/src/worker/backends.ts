import { wasm } from '@tenon-ml/backend-wasm';
import type { Backend } from '@tenon-ml/core';
import type { BackendName } from './protocol.js';

/** A backend of this worker's own. The GPU's is loaded when somebody asks for it. */
export async function createBackend(name: BackendName): Promise<Backend> {
  if (name === 'wasm') return wasm();
  const { webgpu } = await import('@tenon-ml/backend-webgpu');
  return webgpu();
}
