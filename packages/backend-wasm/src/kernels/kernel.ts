import {
  type backend_util,
  getKernel,
  type KernelConfig,
  type KernelFunc,
  type NamedAttrMap,
  type NamedTensorInfoMap,
  type TensorInfo,
} from '@tensorflow/tfjs-core';
import type { EngineBackend } from '../engine_backend.js';

/** What a kernel is called with; `A` are its attributes. */
export interface KernelCall<A> {
  /** By name; an optional one that isn't given is absent. */
  readonly inputs: { readonly [name: string]: TensorInfo };
  readonly attrs: A;
  readonly backend: EngineBackend;
}

/** A kernel of ours, by the name that tfjs gives to what it computes. */
export interface Kernel {
  readonly kernelName: string;
  readonly kernelFunc: KernelFunc;
}

/**
 * A kernel for some of the calls of a tfjs kernel: `run` returns undefined for a call that it leaves to
 * tfjs-backend-cpu's (another dtype, another layout).
 */
export function defineKernel<A extends object>(
  kernelName: string,
  run: (call: KernelCall<A>) => TensorInfo | undefined,
): Kernel {
  const kernelFunc: KernelFunc = (call) =>
    run(call as unknown as KernelCall<A>) ?? cpuKernel(kernelName)(call);
  return { kernelName, kernelFunc };
}

/** tfjs-backend-cpu's kernel of a name. It runs on our storage, which inherits from its own. */
export function cpuKernel(kernelName: string): KernelFunc {
  return (getKernel(kernelName, 'cpu') as KernelConfig).kernelFunc;
}

/** Calls a kernel from within another, on the same backend. */
export function callKernel(
  { kernelFunc }: Pick<Kernel, 'kernelFunc'>,
  backend: EngineBackend,
  inputs: NamedTensorInfoMap,
  attrs: object = {},
): TensorInfo {
  return kernelFunc({ inputs, backend, attrs: attrs as NamedAttrMap }) as TensorInfo;
}

/** The elements of a float32 tensor: its own array, to be read only. */
export function float32Values(backend: EngineBackend, tensor: TensorInfo): Float32Array {
  return backend.data.get(tensor.dataId).values as Float32Array;
}

/** A new float32 tensor over `values`, which is taken, not copied. */
export function float32Tensor(
  backend: EngineBackend,
  shape: readonly number[],
  values: Float32Array,
): TensorInfo {
  return backend.makeTensorInfo([...shape], 'float32', values as backend_util.BackendValues);
}
