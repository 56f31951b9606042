import type { Experiment } from '@tenon-ml/train';
import { cifar10Cnn } from './cifar10_cnn.js';
import { digitsCnn } from './digits_cnn.js';

/** The experiments that come with the command line, by name. */
export const recipes: { readonly [name: string]: Experiment } = Object.fromEntries(
  [digitsCnn, cifar10Cnn].map((recipe) => [recipe.name, recipe]),
);
