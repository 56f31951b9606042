import type { Layer, Leaf, Params, Tree } from '@tenon-ml/core';
import type { Tensor } from '@tensorflow/tfjs-core';

/** A layer that nobody can change, its spec and children included. */
export function frozenLayer<
  P extends Params<Leaf>,
  S extends Params<Leaf>,
  In extends Tree<Tensor> = Tensor,
  Out extends Tree<Tensor> = Tensor,
>(layer: Layer<P, S, In, Out>): Layer<P, S, In, Out> {
  deepFreeze(layer.spec);
  if (layer.children) Object.freeze(layer.children);
  return Object.freeze(layer);
}

function deepFreeze(value: unknown): void {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return;
  Object.freeze(value);
  for (const child of Object.values(value)) deepFreeze(child);
}
