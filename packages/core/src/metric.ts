import type { Tensor } from '@tensorflow/tfjs-core';
import type { Json } from './layer.js';
import type { NdArray } from './ndarray.js';
import type { Tree } from './tree.js';

/**
 * A metric: a monoid, so that it is exact over batches of uneven size and over workers. What a step sees is reduced
 * inside the step to a few values per example (`observe`); the rest happens on the host, in float64.
 *
 * `merge(a, b)` is associative, `empty()` its neutral element, and `update(a, o)` equals `merge(a, update(empty(), o))`.
 * `S` is JSON, so that a checkpoint can hold it.
 */
export interface Metric<S extends Json = Json, R extends Json = Json> {
  /** The name in events and reports: 'accuracy'. */
  readonly name: string;
  /** Whether more is better: what `monitor` chooses by. Undefined where there is no such order. */
  readonly direction?: 'maximize' | 'minimize';
  /** On tensors, inside the step; the shapes depend on shapes only. `weights` is one number an example, [batch]. */
  observe(prediction: Tensor, target: Tensor, weights: Tensor): Tree<Tensor>;
  empty(): S;
  update(state: S, observed: Tree<NdArray>): S;
  merge(a: S, b: S): S;
  /** The result; null where there is nothing to compute it from. */
  compute(state: S): R;
}
