import type { BackendInfo } from '@tenon-ml/core';
import { availableThreads } from './host.js';
import { locate, unavailable } from './locate.js';
import { loadTfjsNode, type TfjsNode } from './tfjs_node.js';

/** How TensorFlow is started. */
export interface StartOptions {
  /** What it computes on; by default what it was set up for. */
  readonly device?: 'gpu' | 'cpu';
  /** The GPUs that TensorFlow sees, by their numbers; all of them by default. It computes on the first one. */
  readonly visibleDevices?: readonly number[];
  /**
   * Whether it takes a GPU's memory as it needs it (default true), rather than nearly all of it at once, as TensorFlow does
   * when it isn't told.
   */
  readonly memoryGrowth?: boolean;
  /**
   * Whether products and convolutions on an NVIDIA GPU (Ampere or newer) may round their factors to 10 bits, which
   * TensorFlow does when it isn't told (default false: float32 throughout).
   */
  readonly tensorFloat32?: boolean;
  /** Threads on the processor; by default as many as it has cores. */
  readonly threads?: number;
  /** A folder that `tenon setup cuda` made; by default the last one that it made. */
  readonly folder?: string;
}

/** A TensorFlow that runs. */
export interface Opened extends TfjsNode {
  readonly info: BackendInfo;
}

/**
 * What TensorFlow was started with, on the native module, of which a process has one: it can't be ended, nor started again.
 */
const STARTED = Symbol.for('@tenon-ml/backend-cuda/started');

/** Starts TensorFlow, or gives the one that runs. Throws `BACKEND_UNAVAILABLE`, saying why it can't and what to do. */
export function open(options: StartOptions): Opened {
  const { visibleDevices, memoryGrowth = true, tensorFloat32 = false, threads, folder } = options;
  const located = locate(folder);
  const { build } = located;
  const device = options.device ?? build?.flavour ?? 'gpu';
  if (device === 'gpu' && build?.flavour === 'cpu') {
    throw unavailable(
      'TensorFlow was set up for the CPU',
      'Run `tenon setup cuda --device gpu` on a machine with an NVIDIA GPU, or choose the device cpu.',
    );
  }
  const restore = setVariables({
    // A warning and worse; what it greets with is for those who build it.
    TF_CPP_MIN_LOG_LEVEL: process.env.TF_CPP_MIN_LOG_LEVEL ?? '2',
    TF_FORCE_GPU_ALLOW_GROWTH: String(memoryGrowth),
    ...(device === 'cpu' ? { CUDA_VISIBLE_DEVICES: '-1' } : {}),
    ...(device === 'gpu' && visibleDevices ? { CUDA_VISIBLE_DEVICES: visibleDevices.join() } : {}),
    ...(threads === undefined
      ? {}
      : { TF_NUM_INTRAOP_THREADS: String(threads), TF_NUM_INTEROP_THREADS: String(threads) }),
  });
  // Left as it is set: NVIDIA's libraries read it when they are first used.
  if (device === 'gpu' && !tensorFloat32) process.env.NVIDIA_TF32_OVERRIDE ??= '0';
  let loaded: TfjsNode;
  try {
    loaded = loadTfjsNode(located.folder);
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
    throw unavailable(
      `the binding in ${located.folder} could not be loaded (${reason})`,
      'Build it again: tenon setup cuda --force.',
      error,
    );
  } finally {
    restore();
  }
  const started = loaded.binding as { [STARTED]?: string };
  const wanted = JSON.stringify([device, visibleDevices, memoryGrowth, tensorFloat32, threads]);
  started[STARTED] ??= wanted;
  if (started[STARTED] !== wanted) {
    throw unavailable(
      'TensorFlow runs in this process already, with other options',
      'Use the same options for every cuda(), or another process.',
    );
  }
  if (device === 'gpu' && !loaded.binding.isUsingGpuDevice()) {
    throw unavailable(
      'TensorFlow runs, but it finds no GPU',
      'Look at what nvidia-smi says of the driver, or choose the device cpu.',
    );
  }
  const info: BackendInfo = Object.freeze({
    name: 'cuda',
    device:
      device === 'gpu'
        ? `GPU, TensorFlow ${loaded.binding.TF_Version}`
        : `CPU, TensorFlow ${loaded.binding.TF_Version}`,
    threads: threads ?? availableThreads(),
    features: Object.freeze({ kernels: 'tensorflow', tensorflow: loaded.binding.TF_Version }),
  });
  return { ...loaded, info };
}

/** Sets variables that TensorFlow reads while it starts; what is returned puts them back. */
function setVariables(variables: { readonly [name: string]: string }): () => void {
  const before = Object.keys(variables).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, variables);
  return () => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  };
}
