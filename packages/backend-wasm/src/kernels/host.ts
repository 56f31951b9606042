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
import { hostKernel, type Kernel } from './kernel.js';

/** What a JavaScript kernel is called with; `A` are its attributes. */
export interface HostCall<A> {
  readonly inputs: { readonly [name: string]: TensorInfo };
  readonly attrs: A;
  readonly backend: EngineBackend;
}

/** A kernel in JavaScript for some of the calls of a tfjs kernel: the others are left to tfjs-backend-cpu's. */
export function defineHostKernel<A extends object>(
  kernelName: string,
  run: (call: HostCall<A>) => TensorInfo | undefined,
): Kernel {
  return hostKernel(kernelName, (call) => run(call as unknown as HostCall<A>) ?? cpuKernel(kernelName)(call));
}

/** tfjs-backend-cpu's kernel of a name. */
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

/** The elements of a float32 tensor, to be read only. */
export function float32Values(backend: EngineBackend, tensor: TensorInfo): Float32Array {
  return backend.data.get(tensor.dataId).values as Float32Array;
}

/** A new float32 tensor of `values`. */
export function float32Tensor(
  backend: EngineBackend,
  shape: readonly number[],
  values: Float32Array,
): TensorInfo {
  return backend.makeTensorInfo([...shape], 'float32', values as backend_util.BackendValues);
}
