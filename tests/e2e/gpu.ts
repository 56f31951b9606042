import { join } from 'node:path';
import { requires } from '@tenon-ml/testkit';
import { DAWN_OPTIONS } from '../../packages/backend-webgpu/src/adapter.js';
import { findVulkan, WEBGPU } from '../hosts/vulkan.js';

const { variables, obstacle } = await findVulkan(join(import.meta.dirname, '..'));

/** Whether there is a GPU for processes of Node, this one among them. */
export const hasGpu: boolean = requires(obstacle === '', obstacle === '' ? WEBGPU : `${WEBGPU}; ${obstacle}`);

/** The environment of processes that compute on it. */
export const gpuEnvironment: NodeJS.ProcessEnv = { ...process.env, ...variables };

// Before Vulkan starts in this process, which reads them once.
Object.assign(process.env, variables);

/** WebGPU, with the device that was opened last: what happens to it can be arranged. */
export interface HeldGpu {
  /** For `webgpu({ gpu })`. */
  readonly gpu: { requestAdapter(options?: object): Promise<unknown> };
  readonly device: GPUDevice;
}

/** Dawn, holding on to the devices that are opened. */
export async function holdGpu(): Promise<HeldGpu> {
  const { create, globals } = await import('webgpu');
  // tfjs's backend looks for WebGPU's classes among the globals.
  for (const [name, value] of Object.entries(globals)) {
    if (!(name in globalThis)) Object.defineProperty(globalThis, name, { value, configurable: true });
  }
  const dawn = create(DAWN_OPTIONS);
  let device: GPUDevice | undefined;
  return {
    gpu: {
      async requestAdapter(options) {
        const adapter = await dawn.requestAdapter(options);
        if (!adapter) return null;
        const { features, limits, info } = adapter;
        const requestDevice = async (descriptor: GPUDeviceDescriptor): Promise<GPUDevice> => {
          device = await adapter.requestDevice(descriptor);
          return device;
        };
        return { features, limits, info, requestDevice };
      },
    },
    get device() {
      if (!device) throw new Error('No device has been opened yet.');
      return device;
    },
  };
}
