import type { Found } from './adapter.js';
import { GpuBackend } from './gpu_backend.js';

/** tfjs's class asks whether there is a `navigator.gpu`, which Node doesn't have: it finds one for that moment. */
export function createGpuBackend(found: Found): GpuBackend {
  const host = globalThis as { navigator?: object };
  const had = host.navigator;
  if (had && 'gpu' in had) return new GpuBackend(found);
  const define = (target: object, key: string, value: unknown): void =>
    void Object.defineProperty(target, key, { value, configurable: true });
  if (had) define(had, 'gpu', {});
  else define(host, 'navigator', { gpu: {} });
  try {
    return new GpuBackend(found);
  } finally {
    if (had) delete (had as { gpu?: unknown }).gpu;
    else delete host.navigator;
  }
}
