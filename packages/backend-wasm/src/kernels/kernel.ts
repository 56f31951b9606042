import {
  type DataType,
  getKernel,
  type KernelConfig,
  type KernelFunc,
  type TensorInfo,
} from '@tensorflow/tfjs-core';
import type { EngineBackend } from '../engine_backend.js';
import type { Block } from '../entry.js';
import type { KernelName } from '../module/kernels.js';

export type { Block } from '../entry.js';

/** What a kernel of ours works with. It never sees values: its calls are recorded, and replayed with others. */
export interface Engine {
  /** The block of an input. */
  block(tensor: TensorInfo): Block;
  /** A new tensor, uninitialised. */
  allocate(shape: readonly number[], dtype: DataType): TensorInfo;
  /** A block for the time of this call, uninitialised. */
  scratch(bytes: number): Block;
  /** The same data under another shape (and dtype, of the same width). */
  alias(tensor: TensorInfo, shape: readonly number[], dtype?: DataType): TensorInfo;
  /**
   * Whether all of an int32 input lies between two bounds, in this call. It is there to refuse calls by, as
   * tfjs-backend-cpu does, and for nothing else: replays of the call don't ask again.
   */
  holds(tensor: TensorInfo, least: number, most: number): boolean;
  /**
   * Runs a kernel of the module on its parts 0 to `parts` − 1. Its words are the pointers of the inputs (0 for null),
   * those of the outputs, and the integers. An output that is also read stands among the inputs too. Where `parts` is 0,
   * nothing happens.
   */
  launch(
    kernel: KernelName,
    parts: number,
    inputs: readonly (Block | null)[],
    outputs: readonly Block[],
    integers: readonly number[],
  ): void;
}

/** What a kernel is called with; `A` are its attributes. */
export interface KernelCall<A> {
  /** By name; an optional one that isn't given is absent. */
  readonly inputs: { readonly [name: string]: TensorInfo };
  readonly attrs: A;
  readonly engine: Engine;
}

/** A kernel of ours, by the name that tfjs (or core's ops) gives to what it computes. */
export interface Kernel {
  readonly kernelName: string;
  /** For `registerKernel`. */
  readonly kernelFunc: KernelFunc;
}

/**
 * A kernel for some of the calls of a tfjs kernel: `run` returns undefined for a call that it leaves to
 * tfjs-backend-cpu's (another dtype, another layout).
 */
export function defineKernel<A extends object = object>(
  kernelName: string,
  run: (call: KernelCall<A>) => TensorInfo | TensorInfo[] | undefined,
): Kernel {
  const kernelFunc: KernelFunc = (call) => {
    const engine = call.backend as EngineBackend;
    const mark = engine.enter();
    let result: TensorInfo | TensorInfo[] | undefined;
    try {
      result = run({
        inputs: call.inputs as { [name: string]: TensorInfo },
        attrs: call.attrs as unknown as A,
        engine,
      });
    } finally {
      engine.leave(mark, result === undefined);
    }
    return result ?? fallbackFor(kernelName)(call);
  };
  return { kernelName, kernelFunc };
}

/** A kernel in JavaScript, on typed arrays: tfjs-backend-cpu's, which runs on our storage as on its own. */
export function hostKernel(kernelName: string, kernelFunc: KernelFunc): Kernel {
  return {
    kernelName,
    kernelFunc: (call) => (call.backend as EngineBackend).runHostKernel(kernelName, kernelFunc, call),
  };
}

/** tfjs-backend-cpu's kernel of a name. */
export function cpuKernel(kernelName: string): KernelFunc {
  return (getKernel(kernelName, 'cpu') as KernelConfig).kernelFunc;
}

function fallbackFor(kernelName: string): KernelFunc {
  const config = getKernel(kernelName, 'cpu') as KernelConfig | undefined;
  if (!config)
    throw new Error(`The engine's kernel ${kernelName} can't take these inputs, and there is no other.`);
  return hostKernel(kernelName, config.kernelFunc).kernelFunc;
}

const scratchFloat = new Float32Array(1);
const scratchInteger = new Int32Array(scratchFloat.buffer);

/** The bits of a float32, as kernels take numbers that are no integers. */
export function floatBits(value: number): number {
  scratchFloat[0] = value;
  return scratchInteger[0];
}
