import type { Experiment } from '@tenon-ml/train';
import { cifar10Cnn } from './cifar10_cnn.js';
import { cifar10Resnet } from './cifar10_resnet.js';
import { digitsCnn } from './digits_cnn.js';
import { shakespeareGpt } from './shakespeare_gpt.js';

/** The experiments that come with the command line, by name. */
export const recipes: { readonly [name: string]: Experiment } = Object.fromEntries(
  [digitsCnn, cifar10Cnn, cifar10Resnet, shakespeareGpt].map((recipe) => [recipe.name, recipe]),
);
