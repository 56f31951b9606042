import { type Backend, type BackendInfo, freeEngineName, type Recorder, tfjsBackend } from '@tenon-ml/core';
import { findBackend, findBackendFactory, registerBackend, removeBackend } from '@tensorflow/tfjs-core';
import { type AdapterOptions, type Found, openDevice } from './adapter.js';
import type { GpuBackend } from './gpu_backend.js';

export interface WebGpuOptions {
  /**
   * Where WebGPU comes from: an object like `navigator.gpu`. By default the browser's, or in Node that of the package
   * `webgpu`.
   */
  readonly gpu?: { requestAdapter(options?: object): Promise<unknown> };
  /** Which GPU, where there are two; 'high-performance' by default. */
  readonly powerPreference?: 'low-power' | 'high-performance';
  /** Whether compiled functions are recorded and replayed (default true). */
  readonly record?: boolean;
  /**
   * For measurements: told of each dispatch of a replayed call, and of the milliseconds that it took on the GPU, where
   * that has the feature `timestamp-query`. It slows replays down.
   */
  readonly profile?: (kernel: string, milliseconds: number) => void;
}

/**
 * The GPU, by WebGPU: in browsers, and in Node by way of Dawn (the optional package `webgpu`).
 *
 * Every kernel of tfjs-backend-webgpu is there; those that training spends its time in are ours. Steps made by `compile`
 * are recorded and replayed as one command buffer, with elementwise work joined to what it comes from. That changes
 * results in their last bits, so calls that are recorded return the plan's results from the first one on.
 *
 * `init` throws `BACKEND_UNAVAILABLE` where there is no GPU or no WebGPU, saying which. A GPU that is lost later makes
 * whatever is asked of it next throw `DEVICE_LOST`; `dispose` and `init` start afresh.
 */
export function webgpu(options: WebGpuOptions = {}): Backend {
  const { record = true } = options;
  let engineName = '';
  let info: BackendInfo | undefined;
  let starting: Promise<void> | undefined;
  let ending: Promise<void> | undefined;
  let recorder: { readonly of: GpuBackend; readonly recorder: Recorder } | undefined;
  let createRecorder: ((backend: GpuBackend) => Recorder) | undefined;

  const start = async (): Promise<void> => {
    const found = await openDevice(options as AdapterOptions);
    // Only now: the module loads tfjs's backend, which looks around for a GPU when it is imported.
    const isTheirs = findBackendFactory(TFJS) !== null;
    const own = await import('./start.js');
    if (!isTheirs) putLast(TFJS);
    const name = freeEngineName('tenon-webgpu');
    own.registerKernels(name);
    try {
      const first = own.createGpuBackend(found);
      if (options.profile) first.profile(options.profile);
      registerBackend(name, () => first, 0);
      await tfjsBackend(name).init();
    } catch (error) {
      own.unregisterKernels(name);
      found.device.destroy();
      throw error;
    }
    createRecorder = own.createRecorder;
    info = infoOf(found);
    engineName = name;
  };

  const instance = (): GpuBackend | undefined =>
    engineName ? ((findBackend(engineName) ?? undefined) as unknown as GpuBackend | undefined) : undefined;

  const end = async (): Promise<void> => {
    await starting?.catch(() => {});
    if (!engineName) return;
    const { unregisterKernels } = await import('./start.js');
    // A process that ends with work in flight may crash in the driver.
    await instance()?.commands.idle();
    // All at once: another backend may take the name as soon as it is free, and has kernels of its own then.
    const name = engineName;
    engineName = '';
    recorder = undefined;
    removeBackend(name);
    unregisterKernels(name);
  };

  return Object.freeze({
    name: 'webgpu',
    /** Empty until `init` has resolved, and after `dispose`. */
    get engineName() {
      return engineName;
    },
    get recorder() {
      const backend = record ? instance() : undefined;
      if (!backend || !createRecorder) return undefined;
      if (recorder?.of !== backend) recorder = { of: backend, recorder: createRecorder(backend) };
      return recorder.recorder;
    },
    async init(): Promise<BackendInfo> {
      await ending;
      if (!engineName) {
        starting ??= start().finally(() => {
          starting = undefined;
        });
        await starting;
      }
      return info as BackendInfo;
    },
    async dispose(): Promise<void> {
      ending ??= end().finally(() => {
        ending = undefined;
      });
      await ending;
    },
    memory() {
      const pool = instance()?.commands.pool;
      return { inUse: pool?.inUse ?? 0, peak: pool?.peak ?? 0, reserved: pool?.allocated ?? 0 };
    },
  });
}

/** The name of tfjs's own backend. */
const TFJS = 'webgpu';

/**
 * tfjs's own backend registers itself when it is imported, where there is a `navigator.gpu`, with a priority above all
 * others. Whoever asked for ours has not asked tfjs to run everything else on it.
 */
function putLast(name: string): void {
  const factory = findBackendFactory(name);
  if (!factory) return;
  removeBackend(name);
  registerBackend(name, factory, -1);
}

function infoOf({ device, description, isSoftware, subgroups }: Found): BackendInfo {
  return Object.freeze({
    name: 'webgpu',
    device: `GPU, ${description}${isSoftware ? ' (in software)' : ''}`,
    threads: 1,
    features: Object.freeze({
      kernels: 'wgsl',
      software: isSoftware,
      'shader-f16': device.features.has('shader-f16'),
      subgroups: subgroups !== undefined,
      'timestamp-query': device.features.has('timestamp-query'),
      maxBufferBytes: device.limits.maxBufferSize,
    }),
  });
}
