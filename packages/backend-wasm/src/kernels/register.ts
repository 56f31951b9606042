import { getKernelsForBackend, registerKernel, unregisterKernel } from '@tensorflow/tfjs-core';
import { activationKernels } from './activation.js';
import { arithmeticKernels } from './arithmetic.js';
import { attentionKernels } from './attention.js';
import { choose } from './choose.js';
import { convolutionKernels } from './convolution.js';
import { crossEntropyKernels } from './cross_entropy.js';
import { elementwiseKernels } from './elementwise.js';
import { gatherKernels } from './gather.js';
import { hostKernel, type Kernel } from './kernel.js';
import { matmulKernels } from './matmul.js';
import { movementKernels } from './movement.js';
import { normalizationKernels } from './normalization.js';
import { optimizerKernels } from './optimizer.js';
import { paddingKernels } from './padding.js';
import { poolingKernels } from './pooling.js';
import { randomKernels } from './random.js';
import { recurrentKernels } from './recurrent.js';
import { reductionKernels } from './reduction.js';

/** The kernels of this package; every other one is tfjs-backend-cpu's. */
export const ownKernels: readonly Kernel[] = [
  ...elementwiseKernels,
  ...arithmeticKernels,
  ...activationKernels,
  ...reductionKernels,
  ...crossEntropyKernels,
  ...normalizationKernels,
  ...optimizerKernels,
  ...matmulKernels,
  ...convolutionKernels,
  ...poolingKernels,
  ...movementKernels,
  ...gatherKernels,
  ...paddingKernels,
];

/** Kernels of core's ops, which tfjs doesn't know. */
const opKernels: readonly Kernel[] = [choose, ...randomKernels, ...recurrentKernels, ...attentionKernels];

/** Registers a complete set of kernels with tfjs, for a backend of this name. */
export function registerKernels(backendName: string): void {
  const own = new Map([...ownKernels, ...opKernels].map((kernel) => [kernel.kernelName, kernel.kernelFunc]));
  for (const config of getKernelsForBackend('cpu')) {
    const { kernelName, kernelFunc } = config;
    if (!own.has(kernelName)) own.set(kernelName, hostKernel(kernelName, kernelFunc).kernelFunc);
  }
  for (const [kernelName, kernelFunc] of own) registerKernel({ kernelName, backendName, kernelFunc });
}

/** Takes them out again. */
export function unregisterKernels(backendName: string): void {
  for (const { kernelName } of getKernelsForBackend(backendName)) unregisterKernel(kernelName, backendName);
}
