import { getKernel, type KernelFunc, type TensorInfo } from '@tensorflow/tfjs-core';
import type { GpuBackend } from '../gpu_backend.js';

/** What a kernel is called with; `A` are its attributes. */
export interface KernelCall<A> {
  /** By name; an optional one that isn't given is absent. */
  readonly inputs: { readonly [name: string]: TensorInfo };
  readonly attrs: A;
  readonly gpu: GpuBackend;
}

/** A kernel of ours, by the name that tfjs (or core's ops) gives to what it computes. */
export interface Kernel {
  readonly kernelName: string;
  readonly kernelFunc: KernelFunc;
}

/** A kernel for some of the calls of a tfjs kernel: `run` returns undefined for a call that it leaves to tfjs's. */
export function defineKernel<A extends object = object>(
  kernelName: string,
  run: (call: KernelCall<A>) => TensorInfo | TensorInfo[] | undefined,
): Kernel {
  const kernelFunc: KernelFunc = (call) => {
    const gpu = call.backend as unknown as GpuBackend;
    const inputs = call.inputs as { [name: string]: TensorInfo };
    const result = run({ inputs, attrs: call.attrs as unknown as A, gpu });
    if (result) return result;
    const fallback = getKernel(kernelName, 'webgpu');
    if (!fallback) {
      throw new Error(`The GPU's kernel ${kernelName} can't take these inputs, and there is no other.`);
    }
    return fallback.kernelFunc(call);
  };
  return { kernelName, kernelFunc };
}
