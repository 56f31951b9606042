import { type Backend, tfjsBackend } from '@tenon-ml/core';
import '@tensorflow/tfjs-backend-cpu';
import { findBackend } from '@tensorflow/tfjs-core';

/** tfjs-backend-cpu as a backend, for unit tests: complete, slow, and quiet (it greets on the console otherwise). */
export function cpu(): Backend {
  const backend = tfjsBackend('cpu');
  return {
    ...backend,
    async init() {
      const info = await backend.init();
      (findBackend('cpu') as unknown as { firstUse: boolean }).firstUse = false;
      return info;
    },
  };
}
