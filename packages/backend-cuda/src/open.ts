import { type BackendInfo, TenonError } from '@tenon-ml/core';
import { availableThreads, nodeModule } from './host.js';
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

/** The one TensorFlow of a process, which can't be ended, nor started again: what it was started with. */
interface Started {
  readonly folder: string;
  readonly options: string;
}

/** Where that stands: on the global object, since there may be several copies of this package. */
const STARTED = Symbol.for('@tenon-ml/backend-cuda/started');

/** Starts TensorFlow, or gives the one that runs. Throws `BACKEND_UNAVAILABLE`, saying why it can't and what to do. */
export function open(options: StartOptions): Opened {
  checkOptions(options);
  const { visibleDevices, memoryGrowth = true, tensorFloat32 = false, threads } = options;
  if (nodeModule?.('node:worker_threads').isMainThread === false) {
    throw unavailable(
      'it runs on the main thread of a process alone: a worker has an environment of its own, which TensorFlow does not see',
      'Use a process of its own (child_process.fork), or wasm here.',
    );
  }
  const located = locate(options.folder);
  const { build, folder } = located;
  const device = options.device ?? build?.flavour ?? 'gpu';
  if (device === 'gpu' && build?.flavour === 'cpu') {
    throw unavailable(
      'TensorFlow was set up for the CPU',
      'Run `tenon setup cuda --device gpu` on a machine with an NVIDIA GPU, or choose the device cpu (--device cpu).',
    );
  }
  const optionsOf = (on: typeof device): string =>
    JSON.stringify([on, visibleDevices, memoryGrowth, tensorFloat32, threads]);
  const host = globalThis as { [STARTED]?: Started };
  const started = host[STARTED];
  if (started && (started.folder !== folder || started.options !== optionsOf(device))) {
    throw unavailable(
      'TensorFlow runs in this process already, with other options',
      'Use the same options for every cuda(), or another process.',
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
    loaded = loadTfjsNode(folder);
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
    throw unavailable(
      `the binding in ${folder} could not be loaded (${reason})`,
      'Build it again: tenon setup cuda --force.',
      error,
    );
  } finally {
    restore();
  }
  const onGpu = loaded.binding.isUsingGpuDevice();
  // Where there is no GPU it runs on the processor, and serves whoever asks for that.
  host[STARTED] ??= { folder, options: optionsOf(onGpu ? 'gpu' : 'cpu') };
  if (device === 'gpu' && !onGpu) {
    throw unavailable(
      'TensorFlow runs, but it finds no GPU',
      'Look at what nvidia-smi says of the driver, or choose the device cpu (--device cpu).',
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

function checkOptions({ device, threads, visibleDevices }: StartOptions): void {
  const refuse = (option: string, expected: string, got: unknown): never => {
    throw new TenonError({
      code: 'INVALID_ARGUMENT',
      where: `cuda, ${option}`,
      expected,
      got: JSON.stringify(got) ?? String(got),
    });
  };
  const isCount = (value: number, least: number): boolean => Number.isSafeInteger(value) && value >= least;
  if (device !== undefined && device !== 'gpu' && device !== 'cpu')
    refuse('device', "'gpu' or 'cpu'", device);
  if (threads !== undefined && !isCount(threads, 1)) refuse('threads', 'an integer of at least 1', threads);
  if (visibleDevices && !(visibleDevices.length > 0 && visibleDevices.every((n) => isCount(n, 0)))) {
    refuse('visibleDevices', 'the numbers of GPUs, one at least', visibleDevices);
  }
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
