import {
  type Backend,
  type BackendInfo,
  type BackendMemory,
  freeEngineName,
  type Recorder,
  tfjsBackend,
} from '@tenon-ml/core';
import { engine, findBackend, registerBackend, removeBackend } from '@tensorflow/tfjs-core';
import { registerKernels, unregisterKernels } from './kernels/register.js';
import { open, type StartOptions } from './open.js';
import { createRecorder } from './recorder/recorder.js';
import type { Counters } from './runtime.js';
import { TfBackend } from './tf_backend.js';

export interface CudaOptions extends StartOptions {
  /** Whether compiled functions are recorded and replayed (default true). Either way the same ops run. */
  readonly record?: boolean;
}

/** What `cuda` gives: a backend that tells what crossed between the host and the device. */
export interface CudaBackend extends Backend {
  /** Counts since it was started: a step that keeps its data on the device reads what it is asked for, and no more. */
  counters(): Readonly<Counters>;
  /**
   * Bytes of the tensors that it holds. TensorFlow doesn't tell what its kernels take besides, nor what it has taken from the
   * system, so `reserved` is the peak of what was held.
   */
  memory(): BackendMemory;
}

/**
 * TensorFlow's own kernels, by the native binding of tfjs-node-gpu: an NVIDIA GPU in Node, or with `device: 'cpu'` all
 * cores of the processor. `tenon setup cuda` builds it once.
 *
 * Every kernel of tfjs-node is there; core's ops are mapped to TensorFlow's where it has them. Steps made by `compile` are
 * recorded, and replayed as the list of TensorFlow's ops that they are. float32 throughout.
 *
 * A process has one TensorFlow, started by the first backend: another one with other options is refused, and so is one
 * whose `device` it can't serve (`BACKEND_UNAVAILABLE`, as for whatever is missing: it says what to do). Random masks have
 * the same bits as on every other backend; sums on TensorFlow's threads need not repeat their last bits.
 */
export function cuda(options: CudaOptions = {}): CudaBackend {
  const { record = true } = options;
  let engineName = '';
  let info: BackendInfo | undefined;
  let starting: Promise<void> | undefined;
  let recorder: { readonly of: TfBackend; readonly recorder: Recorder } | undefined;

  const start = async (): Promise<void> => {
    const opened = open(options);
    const name = freeEngineName('tenon-cuda');
    registerKernels(name, opened.kernels);
    try {
      registerBackend(name, () => new TfBackend(opened.binding), 0);
      await tfjsBackend(name).init();
    } catch (error) {
      if (engine().backendNames().includes(name)) removeBackend(name);
      unregisterKernels(name);
      throw error;
    }
    info = opened.info;
    engineName = name;
  };

  const instance = (): TfBackend | undefined =>
    engineName ? ((findBackend(engineName) ?? undefined) as TfBackend | undefined) : undefined;

  return Object.freeze({
    name: 'cuda',
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
      return info as BackendInfo;
    },
    async dispose(): Promise<void> {
      if (starting) await starting.catch(() => {});
      if (!engineName) return;
      const name = engineName;
      engineName = '';
      recorder = undefined;
      removeBackend(name);
      unregisterKernels(name);
    },
    memory() {
      const { inUse = 0, peak = 0 } = instance()?.runtime ?? {};
      return { inUse, peak, reserved: peak };
    },
    counters() {
      return instance()?.runtime.counters ?? { ops: 0, uploads: 0, uploadedBytes: 0, reads: 0, readBytes: 0 };
    },
  });
}
