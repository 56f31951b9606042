import {
  getKernelsForBackend,
  type KernelConfig,
  registerKernel,
  unregisterKernel,
} from '@tensorflow/tfjs-core';

/** Registers tfjs-node's kernels and ours with tfjs, for a backend of this name. */
export function registerKernels(backendName: string, theirs: readonly KernelConfig[]): void {
  const kernels = new Map(theirs.map(({ kernelName, kernelFunc }) => [kernelName, kernelFunc]));
  for (const [kernelName, kernelFunc] of kernels) registerKernel({ kernelName, backendName, kernelFunc });
}

/** Takes them out again. */
export function unregisterKernels(backendName: string): void {
  for (const { kernelName } of getKernelsForBackend(backendName)) unregisterKernel(kernelName, backendName);
}
