import {
  getKernelsForBackend,
  type KernelConfig,
  type KernelFunc,
  registerKernel,
  unregisterKernel,
} from '@tensorflow/tfjs-core';
import { activationKernels } from './activation.js';
import { chooseKernels } from './choose.js';
import { convolutionKernels } from './convolution.js';
import { convolution3DKernels } from './convolution_3d.js';
import { crossEntropyKernels } from './cross_entropy.js';
import { definedKernels } from './definitions.js';
import { depthwiseKernels } from './depthwise.js';
import { elementwiseKernels } from './elementwise.js';
import { epilogueKernels } from './epilogue.js';
import { finiteKernels } from './finite.js';
import { gatherKernels } from './gather.js';
import { hostKernel } from './host_kernel.js';
import { imageKernels } from './image.js';
import type { Kernel } from './kernel.js';
import { matmulKernels } from './matmul.js';
import { movementKernels } from './movement.js';
import { normalizationKernels } from './normalization.js';
import { poolingKernels } from './pooling.js';
import { randomKernels } from './random.js';
import { reductionKernels } from './reduction.js';
import { samplingKernels } from './sampling.js';
import { searchKernels } from './search.js';

/** The kernels of this package; every other one is tfjs-node's, or where that has none tfjs-backend-cpu's. */
export const ownKernels: readonly Kernel[] = [
  ...activationKernels,
  ...chooseKernels,
  ...convolutionKernels,
  ...convolution3DKernels,
  ...crossEntropyKernels,
  ...definedKernels,
  ...depthwiseKernels,
  ...elementwiseKernels,
  ...epilogueKernels,
  ...finiteKernels,
  ...gatherKernels,
  ...imageKernels,
  ...matmulKernels,
  ...movementKernels,
  ...normalizationKernels,
  ...poolingKernels,
  ...randomKernels,
  ...reductionKernels,
  ...samplingKernels,
  ...searchKernels,
];

/** Registers a complete set of kernels with tfjs, for a backend of this name. */
export function registerKernels(backendName: string, theirs: readonly KernelConfig[]): void {
  const kernels = new Map<string, KernelFunc>();
  for (const { kernelName, kernelFunc } of getKernelsForBackend('cpu')) {
    kernels.set(kernelName, hostKernel(kernelName, kernelFunc));
  }
  for (const { kernelName, kernelFunc } of theirs) kernels.set(kernelName, kernelFunc);
  for (const kernel of ownKernels) {
    kernels.set(kernel.kernelName, kernel.bind(kernels.get(kernel.kernelName)));
  }
  for (const [kernelName, kernelFunc] of kernels) registerKernel({ kernelName, backendName, kernelFunc });
}

/** Takes them out again. */
export function unregisterKernels(backendName: string): void {
  for (const { kernelName } of getKernelsForBackend(backendName)) unregisterKernel(kernelName, backendName);
}
