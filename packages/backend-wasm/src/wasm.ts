import { type Backend, type BackendInfo, freeEngineName, type Recorder, tfjsBackend } from '@tenon-ml/core';
import { findBackend, registerBackend, removeBackend } from '@tensorflow/tfjs-core';
import { EngineBackend } from './engine_backend.js';
import { registerKernels, unregisterKernels } from './kernels/register.js';
import { Memory } from './memory.js';
import { compileKernels, instantiateKernels } from './module/load.js';
import { createRecorder } from './recorder/recorder.js';

export interface WasmOptions {
  /**
   * The most bytes that the engine may take; 4 GiB by default, which is all that 32-bit WebAssembly has. More throws
   * `OUT_OF_MEMORY`.
   */
  readonly memoryLimit?: number;
  /** Whether compiled functions are recorded and replayed (default true). Either way they give the same bits. */
  readonly record?: boolean;
  /** For tests: fills freed memory with NaN, so that a use after the end shows. */
  readonly poison?: boolean;
  /** For measurements: kernels do nothing, and what is left is the JavaScript around them. Results are garbage. */
  readonly dryRun?: boolean;
  /** For measurements: told of each kernel of the module that ran, and of the milliseconds that it took. */
  readonly profile?: (kernel: string, milliseconds: number) => void;
}

/**
 * The default engine: a CPU backend that needs nothing installed and nothing downloaded, in Node and in browsers.
 *
 * Every kernel of tfjs is there. Those that training spends its time in are WebAssembly with SIMD; the others are
 * tfjs-backend-cpu's, which read and write the same memory. Steps made by `compile` are recorded and replayed. float32
 * throughout, in an order that depends on shapes only, so a computation repeats bit for bit.
 *
 * Each call makes an engine of its own, with its own memory: two of them in one process don't meet, and a tensor of
 * one is refused by the other (`BACKEND_MISMATCH`). `init` registers it with tfjs as `tenon-wasm` (the next free of
 * `tenon-wasm2`, … where that is taken); the active backend stays what it was. `dispose` frees every tensor that
 * lives on it and takes it out of tfjs again; `init` after that starts it afresh.
 *
 * ```ts
 * const backend = wasm();
 * await backend.init();
 * ```
 */
export function wasm(options: WasmOptions = {}): Backend {
  const { memoryLimit: limit, record = true, poison = false, dryRun = false, profile } = options;
  let engineName = '';
  let starting: Promise<void> | undefined;
  let recorder: { readonly of: EngineBackend; readonly recorder: Recorder } | undefined;

  const start = async (): Promise<void> => {
    const module = await compileKernels();
    const name = freeEngineName('tenon-wasm');
    registerKernels(name);
    const create = (): EngineBackend => {
      const pool = new Memory({ ...(limit === undefined ? {} : { limit }), poison });
      return new EngineBackend(
        pool,
        instantiateKernels(module, pool.memory, { dryRun, ...(profile && { profile }) }),
      );
    };
    try {
      // What it can't do is said here, not on the console.
      let unused: EngineBackend | undefined = create();
      // Priority 0: tfjs never picks it by itself where there is another backend.
      registerBackend(
        name,
        () => {
          const instance = unused ?? create();
          unused = undefined;
          return instance;
        },
        0,
      );
      await tfjsBackend(name).init();
    } catch (error) {
      unregisterKernels(name);
      throw error;
    }
    engineName = name;
  };

  const instance = (): EngineBackend | undefined =>
    engineName ? ((findBackend(engineName) ?? undefined) as EngineBackend | undefined) : undefined;

  return Object.freeze({
    name: 'wasm',
    /** Empty until `init` has resolved, and after `dispose`. */
    get engineName() {
      return engineName;
    },
    get recorder() {
      const backend = record ? instance() : undefined;
      if (!backend) return undefined;
      if (recorder?.of !== backend) recorder = { of: backend, recorder: createRecorder(backend) };
      return recorder.recorder;
    },
    async init(): Promise<BackendInfo> {
      if (!engineName) {
        starting ??= start().finally(() => {
          starting = undefined;
        });
        await starting;
      }
      return info;
    },
    async dispose(): Promise<void> {
      // At once where there is nothing to wait for: whoever starts it again needn't wait either.
      if (starting) await starting.catch(() => {});
      if (!engineName) return;
      const name = engineName;
      engineName = '';
      recorder = undefined;
      removeBackend(name);
      unregisterKernels(name);
    },
    memory() {
      const pool = instance()?.pool;
      return { inUse: pool?.inUse ?? 0, peak: pool?.peak ?? 0, reserved: pool?.size ?? 0 };
    },
  });
}

const info: BackendInfo = Object.freeze({
  name: 'wasm',
  device: 'CPU, WebAssembly SIMD, 1 thread',
  threads: 1,
  features: Object.freeze({ kernels: 'wasm-simd' }),
});
