import type { LayerSpec } from '@tenon-ml/core';
import {
  batchNorm,
  conv2d,
  dense,
  dropout,
  embedding,
  flatten,
  globalAvgPool2d,
  type Initializer,
  layerNorm,
  maxPool2d,
  positionEmbedding,
  relu,
  resnetBlock,
  sequential,
  transformerBlock,
} from '@tenon-ml/layers';
import { documentVersion, type ExperimentDocument, type TrainingSpec } from './document.js';

/** A document to begin with. */
export interface Preset {
  readonly id: PresetId;
  readonly document: ExperimentDocument;
}

export type PresetId =
  | 'digits-mlp'
  | 'digits-cnn'
  | 'cifar10-cnn'
  | 'cifar10-resnet'
  | 'text-gpt'
  | 'table-mlp'
  | 'pictures-cnn';

const training: TrainingSpec = {
  epochs: 15,
  batchSize: 32,
  optimizer: 'adam',
  learningRate: 2e-3,
  momentum: 0.9,
  weightDecay: 0,
  schedule: 'cosine',
  clipNorm: 0,
};

type Parts = Pick<ExperimentDocument, 'data' | 'network'> &
  Partial<Omit<ExperimentDocument, 'training' | 'data' | 'network'>> & {
    readonly training?: Partial<TrainingSpec>;
  };

/** A preset, with what most have. */
function preset(id: PresetId, { training: own, ...parts }: Parts): Preset {
  const document: ExperimentDocument = {
    format: 'tenon-experiment',
    version: documentVersion,
    name: id,
    seed: 0,
    split: { train: 0.7, validation: 0.15, test: 0.15 },
    preprocessing: 'normalize',
    augmentation: { flip: false, shift: 0 },
    ...parts,
    training: { ...training, ...own },
  };
  return Object.freeze({ id, document });
}

const normal = (standardDeviation: number): Initializer => ({ initializer: 'normal', standardDeviation });

/** The character GPT: layers, heads, width, context. `fitNetwork` sets the vocabulary. */
function gpt(layers: number, heads: number, width: number, context: number, vocabulary: number): LayerSpec {
  const block = () =>
    transformerBlock({
      heads,
      causal: true,
      kernelInitializer: normal(0.02),
      // GPT-2: what is added to the residual stream starts small, the more of it the smaller.
      outputInitializer: normal(0.02 / Math.sqrt(2 * layers)),
    });
  return sequential([
    embedding(vocabulary, width, { initializer: normal(0.02) }),
    positionEmbedding(context, { initializer: normal(0.02) }),
    ...Array.from({ length: layers }, block),
    layerNorm(),
    dense(vocabulary, { bias: false, kernelInitializer: normal(0.02) }),
  ]).spec;
}

/**
 * Documents to begin with. 'digits-cnn', 'cifar10-cnn' and 'cifar10-resnet' are the recipes of the command line: the same
 * network, data and settings, and for one seed the same run. 'text-gpt' is the block structure of its GPT, small enough to
 * learn visibly in a minute. 'table-mlp' is for a CSV, 'pictures-cnn' for pictures of one's own; `fitNetwork` fits a
 * network's ends to data that a preset doesn't know: as many classes, characters, columns.
 */
export const presets: readonly Preset[] = /* @__PURE__ */ (() =>
  Object.freeze([
    preset('digits-mlp', {
      data: { source: 'digits' },
      network: sequential([flatten(), dense(64), relu(), dense(10)]).spec,
    }),
    preset('digits-cnn', {
      data: { source: 'digits' },
      network: sequential([
        conv2d(32, 3, { padding: 'same' }),
        relu(),
        maxPool2d(2),
        conv2d(64, 3, { padding: 'same' }),
        relu(),
        maxPool2d(2),
        flatten(),
        dense(128),
        relu(),
        dropout(0.25),
        dense(10),
      ]).spec,
    }),
    preset('cifar10-cnn', {
      data: { source: 'cifar10' },
      split: { train: 0.9, validation: 0.1, test: 0 },
      preprocessing: 'rescale',
      network: sequential([
        conv2d(32, 3),
        relu(),
        maxPool2d(2),
        conv2d(64, 3),
        relu(),
        maxPool2d(2),
        conv2d(64, 3),
        relu(),
        flatten(),
        dense(64),
        relu(),
        dense(10),
      ]).spec,
      training: { epochs: 10, learningRate: 1e-3, schedule: 'constant' },
    }),
    preset('cifar10-resnet', {
      data: { source: 'cifar10' },
      split: { train: 0.9, validation: 0.1, test: 0 },
      augmentation: { flip: true, shift: 4 },
      network: sequential([
        conv2d(16, 3, { padding: 'same', bias: false, kernelInitializer: 'heNormal' }),
        batchNorm(),
        relu(),
        resnetBlock(16),
        resnetBlock(32, { strides: 2 }),
        resnetBlock(64, { strides: 2 }),
        globalAvgPool2d(),
        dense(10),
      ]).spec,
      training: { epochs: 30, batchSize: 128, optimizer: 'sgd', learningRate: 0.1, weightDecay: 5e-4 },
    }),
    preset('text-gpt', {
      data: { source: 'text', file: 'input.txt', context: 64, stepsPerEpoch: 100 },
      split: { train: 0.9, validation: 0.05, test: 0.05 },
      preprocessing: 'none',
      network: gpt(2, 4, 64, 64, 65),
      training: {
        epochs: 10,
        batchSize: 16,
        optimizer: 'adamw',
        learningRate: 3e-3,
        weightDecay: 0.1,
        clipNorm: 1,
      },
    }),
    preset('table-mlp', {
      data: { source: 'csv', file: 'table.csv', target: 'target', task: 'classification' },
      network: sequential([dense(32), relu(), dense(32), relu(), dense(3)]).spec,
      training: { epochs: 50, learningRate: 5e-3 },
    }),
    preset('pictures-cnn', {
      data: { source: 'arrays', file: 'pictures.safetensors', classNames: ['first', 'second'] },
      preprocessing: 'rescale',
      augmentation: { flip: false, shift: 2 },
      network: sequential([
        conv2d(16, 3, { padding: 'same' }),
        relu(),
        maxPool2d(2),
        conv2d(32, 3, { padding: 'same' }),
        relu(),
        maxPool2d(2),
        conv2d(64, 3, { padding: 'same' }),
        relu(),
        globalAvgPool2d(),
        dense(2),
      ]).spec,
      training: { epochs: 30, batchSize: 16 },
    }),
  ]))();
