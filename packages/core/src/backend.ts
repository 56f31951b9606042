import { startEngineBackend } from './engine.js';
import { isTenonError, TenonError } from './errors.js';
import type { Recorder } from './recorder.js';

/** What a backend found when it started. */
export interface BackendInfo {
  /** 'wasm', 'webgpu', 'cuda'. */
  readonly name: string;
  /** What it runs on, in words: 'CPU, wasm SIMD, 1 thread'. */
  readonly device: string;
  readonly threads: number;
  /** What was detected, and the kernel variant chosen: recorded with every run. */
  readonly features: { readonly [name: string]: string | number | boolean };
}

/**
 * Where tensors live and kernels run. A value that is handed to `compile`, `createTrainer` and `loadModel`; no
 * package looks for one by itself.
 */
export interface Backend {
  readonly name: string;
  /** The name under which tfjs knows it, once `init` has resolved. Without `_`. */
  readonly engineName: string;
  /** Starts it; calling it again is free. Throws `BACKEND_UNAVAILABLE`, saying why and what to do. */
  init(): Promise<BackendInfo>;
  /** Frees everything that lives on it. */
  dispose(): Promise<void>;
  /** Present, once started, on backends that can record steps: see `compile`. */
  readonly recorder?: Recorder | undefined;
  /** What it holds at the moment, where it knows. */
  memory?(): BackendMemory;
}

/** Bytes on a device. */
export interface BackendMemory {
  /** Of live tensors, recordings and scratch. */
  readonly inUse: number;
  /** The most that was in use at once. */
  readonly peak: number;
  /** What the backend has taken from the system. */
  readonly reserved: number;
}

/** Why each backend that was tried before the chosen one can't run here. */
export interface Selection {
  readonly backend: Backend;
  readonly info: BackendInfo;
  readonly unavailable: readonly { readonly name: string; readonly error: TenonError }[];
}

/**
 * The first of `candidates` that starts. Throws `BACKEND_UNAVAILABLE` with every reason if none does; an error that
 * isn't about availability is passed on.
 */
export async function selectBackend(candidates: readonly Backend[]): Promise<Selection> {
  const unavailable: { name: string; error: TenonError }[] = [];
  for (const backend of candidates) {
    try {
      return { backend, info: await backend.init(), unavailable };
    } catch (error) {
      if (!isTenonError(error) || error.code !== 'BACKEND_UNAVAILABLE') throw error;
      unavailable.push({ name: backend.name, error });
    }
  }
  throw new TenonError({
    code: 'BACKEND_UNAVAILABLE',
    message: `none of the backends can run here: ${unavailable.map(({ error }) => error.message).join(' ') || 'none was given'}`,
  });
}

/**
 * Any backend that tfjs itself knows, by its name: after `import '@tensorflow/tfjs-backend-webgl'`,
 * `tfjsBackend('webgl')`. `dispose` leaves it to tfjs, which owns it.
 */
export function tfjsBackend(engineName: string): Backend {
  const info: BackendInfo = { name: engineName, device: `tfjs ${engineName}`, threads: 1, features: {} };
  return {
    name: engineName,
    engineName,
    async init() {
      await startEngineBackend(engineName);
      return info;
    },
    async dispose() {},
  };
}
