import type { Workload } from '../workload.js';
import { cifar10Cnn } from './cifar10-cnn.js';
import { gptNano } from './gpt-nano.js';
import { inference } from './inference.js';
import { lstmClassifier } from './lstm.js';
import { matmul } from './matmul.js';
import { mlp } from './mlp.js';
import { resnet8 } from './resnet8.js';

export const workloads: readonly Workload[] = [
  cifar10Cnn,
  mlp,
  lstmClassifier,
  gptNano,
  resnet8,
  matmul,
  inference,
];

/** Names for several workloads at once. `cpu` is one thread whatever `--threads` says; `webgpu` is peers on a GPU. */
export const suites: { readonly [name: string]: readonly string[] } = {
  all: workloads.map(({ name }) => name),
  cpu: workloads.map(({ name }) => name),
  webgpu: [cifar10Cnn, gptNano, resnet8, mlp, matmul].map(({ name }) => name),
  training: workloads.filter(({ kind }) => kind === 'training').map(({ name }) => name),
};

/** The workload of this name, or undefined. */
export function findWorkload(name: string): Workload | undefined {
  return workloads.find((workload) => workload.name === name);
}
