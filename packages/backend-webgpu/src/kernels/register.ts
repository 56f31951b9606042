import { getKernelsForBackend, registerKernel, unregisterKernel } from '@tensorflow/tfjs-core';
import { activationKernels } from './activation.js';
import { attentionKernels } from './attention.js';
import { choose } from './choose.js';
import { convolutionKernels } from './convolution.js';
import { crossEntropyKernels } from './cross_entropy.js';
import { cumulativeKernels } from './cumulative.js';
import { elementwiseKernels } from './elementwise.js';
import { gatherKernels } from './gather.js';
import type { Kernel } from './kernel.js';
import { matmulKernels } from './matmul.js';
import { movementKernels } from './movement.js';
import { normalizationKernels } from './normalization.js';
import { optimizerKernels } from './optimizer.js';
import { poolingKernels } from './pooling.js';
import { randomKernels } from './random.js';
import { recurrentKernels } from './recurrent.js';
import { reductionKernels } from './reduction.js';

/** The kernels of this package; every other one is tfjs's. */
export const ownKernels: readonly Kernel[] = [
  ...activationKernels,
  ...attentionKernels,
  choose,
  ...convolutionKernels,
  ...crossEntropyKernels,
  ...cumulativeKernels,
  ...elementwiseKernels,
  ...gatherKernels,
  ...matmulKernels,
  ...movementKernels,
  ...normalizationKernels,
  ...optimizerKernels,
  ...poolingKernels,
  ...randomKernels,
  ...recurrentKernels,
  ...reductionKernels,
];

/** Registers tfjs's WebGPU kernels and ours with tfjs, for a backend of this name. */
export function registerKernels(backendName: string): void {
  const kernels = new Map(
    getKernelsForBackend('webgpu').map(({ kernelName, kernelFunc }) => [kernelName, kernelFunc]),
  );
  for (const { kernelName, kernelFunc } of ownKernels) kernels.set(kernelName, kernelFunc);
  for (const [kernelName, kernelFunc] of kernels) registerKernel({ kernelName, backendName, kernelFunc });
}

/** Takes them out again. */
export function unregisterKernels(backendName: string): void {
  for (const { kernelName } of getKernelsForBackend(backendName)) unregisterKernel(kernelName, backendName);
}
