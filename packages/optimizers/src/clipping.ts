import { type GradientTransform, type Params, treeEntries } from '@tenon-ml/core';
import { addN, div, maximum, mul, scalar, sqrt, square, sum, type Tensor } from '@tensorflow/tfjs-core';
import { mapUpdates } from './leaves.js';
import { checkPositive } from './options.js';

/**
 * √(Σ x²) over all elements of all leaves, as a scalar; 0 for a tree without leaves.
 *
 * Leaves are added in the order of their sorted paths: the bits don't depend on the order of an object's keys.
 */
export function globalNorm(tree: Params<Tensor>): Tensor {
  const entries = treeEntries<Tensor>(tree).sort(([a], [b]) => (a < b ? -1 : 1));
  if (entries.length === 0) return scalar(0);
  return sqrt(addN(entries.map(([, leaf]) => sum(square(leaf)))));
}

/**
 * u ← u · min(1, maxNorm / ‖u‖), where ‖u‖ is the norm over all parameters together: directions stay, and no step is
 * longer than `maxNorm` (before the learning rate). Put it first in a chain.
 *
 * Updates of norm 0 stay 0. Where the sum of squares overflows float32 (norms above 1.8·10¹⁹) updates are scaled to 0,
 * as PyTorch's are.
 *
 * Source: Pascanu, Mikolov, Bengio (2013), On the difficulty of training recurrent neural networks. PyTorch's
 * `clip_grad_norm_` divides by ‖u‖ + 10⁻⁶ instead, so that its clipped norm is that much below the bound; Keras's
 * `global_clipnorm` is as here.
 */
export function clipByGlobalNorm(maxNorm: number): GradientTransform {
  checkPositive(maxNorm, 'clipByGlobalNorm, maxNorm');
  return {
    spec: { transform: 'clipByGlobalNorm', maxNorm },
    init: () => ({}),
    scalars: () => ({}),
    update(updates, state) {
      const norm = globalNorm(updates);
      // max / maximum(norm, max) is min(1, max / norm) without a division by 0.
      const scale = div(maxNorm, maximum(norm, maxNorm));
      return { updates: mapUpdates(updates, (u) => mul(u, scale)), state };
    },
  };
}
