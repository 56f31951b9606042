import { createRegistry, type Registry } from '@tenon-ml/core';
import { reluDefinition, sigmoidDefinition, softmaxDefinition, tanhDefinition } from './activation.js';
import { residualDefinition, sequentialDefinition } from './containers.js';
import { conv2dDefinition } from './convolution.js';
import { denseDefinition } from './dense.js';
import { batchNormDefinition } from './normalization.js';
import { avgPool2dDefinition, maxPool2dDefinition } from './pooling.js';
import { dropoutDefinition } from './regularization.js';
import { flattenDefinition } from './shape.js';

/** Every layer of this package by name, for `loadModel` and `buildLayer`: `createRegistry(layers, myLayer)`. */
export const layers: Registry = createRegistry(
  avgPool2dDefinition,
  batchNormDefinition,
  conv2dDefinition,
  denseDefinition,
  dropoutDefinition,
  flattenDefinition,
  maxPool2dDefinition,
  reluDefinition,
  residualDefinition,
  sequentialDefinition,
  sigmoidDefinition,
  softmaxDefinition,
  tanhDefinition,
);
