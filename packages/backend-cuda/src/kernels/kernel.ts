import type { KernelFunc, TensorInfo } from '@tensorflow/tfjs-core';
import type { TfBackend } from '../tf_backend.js';
import { Ops } from './ops.js';

/** What a kernel is called with; `A` are its attributes. */
export interface KernelCall<A> {
  /** By name, or for kernels that take a list by position; an optional one that isn't given is absent. */
  readonly inputs: { readonly [name: string]: TensorInfo };
  readonly attrs: A;
  /** TensorFlow's ops. */
  readonly ops: Ops;
}

/** What a kernel gives; undefined for a call that it leaves to tfjs-node's. */
export type KernelResult = TensorInfo | TensorInfo[] | undefined;

/** A kernel of ours, by the name that tfjs (or core's ops) gives to what it computes. */
export interface Kernel {
  readonly kernelName: string;
  /** `theirs` is tfjs-node's kernel of the same name, if it has one. */
  bind(theirs: KernelFunc | undefined): KernelFunc;
}

export function defineKernel<A extends object = object>(
  kernelName: string,
  run: (call: KernelCall<A>) => KernelResult,
): Kernel {
  const bind = (theirs: KernelFunc | undefined): KernelFunc => {
    return (call) => {
      const ops = new Ops(call.backend as unknown as TfBackend);
      const inputs = call.inputs as { [name: string]: TensorInfo };
      let result: KernelResult;
      try {
        result = run({ inputs, attrs: call.attrs as unknown as A, ops });
      } finally {
        ops.end([result ?? []].flat());
      }
      if (result) return result;
      if (theirs) return theirs(call);
      throw new Error(`TensorFlow's kernel ${kernelName} can't take these inputs, and there is no other.`);
    };
  };
  return { kernelName, bind };
}
