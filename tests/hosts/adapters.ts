import { DAWN_OPTIONS } from '../../packages/backend-webgpu/src/adapter.js';

/** What a backend is told of an adapter. */
export interface AdapterView {
  readonly features: ReadonlySet<string>;
  readonly info: { readonly [name: string]: unknown };
}

/** Where WebGPU comes from, for `webgpu({ gpu })`. */
export interface Gpu {
  requestAdapter(options?: object): Promise<unknown>;
}

/** The page's WebGPU, or Dawn. */
export async function ownGpu(): Promise<GPU> {
  const { navigator } = globalThis as { readonly navigator?: { readonly gpu?: GPU } };
  if (navigator?.gpu) return navigator.gpu;
  // A variable, so that pages aren't given it.
  const name = 'webgpu';
  const dawn: { create(options: string[]): GPU; globals: object } = await import(/* @vite-ignore */ name);
  // tfjs's backend looks for WebGPU's classes among the globals.
  for (const [key, value] of Object.entries(dawn.globals)) {
    if (!(key in globalThis)) Object.defineProperty(globalThis, key, { value, configurable: true });
  }
  return dawn.create(DAWN_OPTIONS);
}

/** A GPU whose adapters are seen otherwise than they are. */
export function seenAs(gpu: GPU, see: (real: AdapterView) => Partial<AdapterView>): Gpu {
  return {
    async requestAdapter(options) {
      const adapter = await gpu.requestAdapter(options);
      if (!adapter) return null;
      const { info, limits } = adapter;
      const fields = ['vendor', 'architecture', 'description', 'subgroupMinSize', 'subgroupMaxSize'] as const;
      const real: AdapterView = {
        features: adapter.features as ReadonlySet<string>,
        info: Object.fromEntries(fields.map((field) => [field, info[field]])),
      };
      const requestDevice = (descriptor: GPUDeviceDescriptor) => adapter.requestDevice(descriptor);
      return { ...real, ...see(real), limits, requestDevice };
    },
  };
}
