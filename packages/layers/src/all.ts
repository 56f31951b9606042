import { createRegistry, type Registry } from '@tenon-ml/core';
import {
  geluDefinition,
  reluDefinition,
  sigmoidDefinition,
  softmaxDefinition,
  tanhDefinition,
} from './activation.js';
import { multiHeadAttentionDefinition } from './attention.js';
import { residualDefinition, sequentialDefinition } from './containers.js';
import { conv2dDefinition } from './convolution.js';
import { denseDefinition } from './dense.js';
import { embeddingDefinition, positionEmbeddingDefinition } from './embedding.js';
import { batchNormDefinition, layerNormDefinition } from './normalization.js';
import { avgPool2dDefinition, globalAvgPool2dDefinition, maxPool2dDefinition } from './pooling.js';
import { lstmDefinition } from './recurrent.js';
import { dropoutDefinition } from './regularization.js';
import { resnetBlockDefinition } from './resnet.js';
import { flattenDefinition } from './shape.js';
import { feedForwardDefinition, transformerBlockDefinition } from './transformer.js';

/** Every layer of this package by name, for `loadModel` and `buildLayer`: `createRegistry(layers, myLayer)`. */
export const layers: Registry = createRegistry(
  avgPool2dDefinition,
  batchNormDefinition,
  conv2dDefinition,
  denseDefinition,
  dropoutDefinition,
  embeddingDefinition,
  feedForwardDefinition,
  flattenDefinition,
  geluDefinition,
  globalAvgPool2dDefinition,
  layerNormDefinition,
  lstmDefinition,
  maxPool2dDefinition,
  multiHeadAttentionDefinition,
  positionEmbeddingDefinition,
  reluDefinition,
  residualDefinition,
  resnetBlockDefinition,
  sequentialDefinition,
  sigmoidDefinition,
  softmaxDefinition,
  tanhDefinition,
  transformerBlockDefinition,
);
