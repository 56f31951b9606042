import { type Backend, type BackendInfo, tfjsBackend } from '@tenon-ml/core';
import { engine, registerBackend, removeBackend } from '@tensorflow/tfjs-core';
import { EngineBackend } from './engine_backend.js';
import { registerKernels, unregisterKernels } from './kernels/register.js';

/**
 * The default engine: a CPU backend that needs nothing installed and nothing downloaded, in Node and in browsers.
 *
 * Every kernel of tfjs is there. In this version they are plain JavaScript: tfjs-backend-cpu's, but for those that
 * training spends its time in, which are this package's own (`features.kernels` is 'javascript'; there is no
 * WebAssembly yet). float32 throughout; products and sums accumulate in float64, in an order that depends on shapes
 * only, so a computation repeats bit for bit.
 *
 * Each call makes an engine of its own, with its own tensors: two of them in one process don't meet, and a tensor of
 * one is refused by the other (`BACKEND_MISMATCH`). `init` registers it with tfjs as `tenon-wasm` (the next free of
 * `tenon-wasm2`, … where that is taken); the active backend stays what it was. `dispose` frees every tensor that
 * lives on it and takes it out of tfjs again; `init` after that starts it afresh.
 *
 * ```ts
 * const backend = wasm();
 * await backend.init();
 * ```
 */
export function wasm(): Backend {
  let engineName = '';
  return Object.freeze({
    name: 'wasm',
    /** Empty until `init` has resolved, and after `dispose`. */
    get engineName() {
      return engineName;
    },
    async init(): Promise<BackendInfo> {
      if (!engineName) {
        engineName = freeEngineName();
        registerKernels(engineName);
        // Priority 0: tfjs never picks it by itself where there is another backend.
        registerBackend(engineName, () => new EngineBackend(), 0);
      }
      await tfjsBackend(engineName).init();
      return info;
    },
    async dispose(): Promise<void> {
      if (!engineName) return;
      const name = engineName;
      engineName = '';
      removeBackend(name);
      unregisterKernels(name);
    },
  });
}

const info: BackendInfo = Object.freeze({
  name: 'wasm',
  device: 'CPU, JavaScript kernels (tfjs-backend-cpu)',
  threads: 1,
  features: Object.freeze({ kernels: 'javascript' }),
});

// tfjs keys kernels by `BACKEND_KERNEL` and splits at the first `_`, so there is none in a name. What tfjs knows is
// asked, rather than counted here: another copy of this package may be in the process.
function freeEngineName(): string {
  const taken = new Set(engine().backendNames());
  let name = 'tenon-wasm';
  for (let count = 2; taken.has(name); count++) name = `tenon-wasm${count}`;
  return name;
}
