import {
  broadcastLeft,
  formatShape,
  type LossValues,
  type Metric,
  type NdArray,
  TenonError,
} from '@tenon-ml/core';
import { cast, equal, mul, ones, sum, Tensor, where, zerosLike } from '@tensorflow/tfjs-core';
import { addExact, type ExactSum, Summation, total } from './exact_sum.js';
import { checkWeight } from './observation.js';

/** The weighted sum of the values, the sum of the weights, and how many values were NaN or infinite. */
export type MeanState = { readonly sum: ExactSum; readonly weight: ExactSum; readonly notFinite: number };

/** A value for each example or for each of its elements: [batch, …]; with weights of their own, as losses give. */
export type MeanFunction = (prediction: Tensor, target: Tensor) => Tensor | LossValues;

/** Options of `mean`. */
export interface MeanOptions {
  /** Whether more or less is better, for choosing the best weights; neither by default. */
  readonly direction?: 'maximize' | 'minimize';
}

/**
 * The weighted mean of values: Σ v·w / Σ w over all elements of all examples.
 *
 * `f` computes the values inside the step, [batch, …]: `mean('absoluteError', (p, t) => abs(sub(p, t)))`. A loss is such
 * a function, and its own weights count: `mean('crossEntropy', softmaxCrossEntropy())` is the mean that the trainer
 * minimizes, exact over batches of any size. Without `f` it is the mean of the predictions themselves.
 *
 * Example weights are broadcast from the left. Elements of one example are summed in the step in float32, examples on
 * the host without rounding. An example of weight 0 is left out, whatever its value. NaN where a value was NaN or
 * infinite (null in JSON); null where the weights sum to 0.
 *
 * NumPy's `average(values, weights=…)`; Keras' `Mean`, which sums in float32.
 */
export function mean(
  name: string,
  f: MeanFunction = (prediction) => prediction,
  options: MeanOptions = {},
): Metric<MeanState, number | null> {
  const merge = (a: MeanState, b: MeanState): MeanState => ({
    sum: addExact(a.sum, b.sum),
    weight: addExact(a.weight, b.weight),
    notFinite: a.notFinite + b.notFinite,
  });
  return Object.freeze<Metric<MeanState, number | null>>({
    name,
    ...(options.direction ? { direction: options.direction } : {}),
    observe: (prediction, target, weights) => observeValues(name, f(prediction, target), weights),
    empty: () => ({ sum: [], weight: [], notFinite: 0 }),
    update(state, observed) {
      const { values, weights, counts } = observed as { values: NdArray; weights: NdArray; counts?: NdArray };
      const seen = new Summation();
      const perRecord = weights.data.length / weights.shape[0];
      let notFinite = 0;
      for (let i = 0; i < weights.data.length; i++) {
        const weight = checkWeight(name, Number(weights.data[i]), Math.floor(i / perRecord));
        const count = counts ? Number(counts.data[i]) : 1;
        if (weight === 0 || count === 0) continue;
        const value = Number(values.data[i]);
        seen.add('weight', weight * count);
        // Both are float32, so that the product is exact.
        if (Number.isFinite(value)) seen.add('sum', value * weight);
        else notFinite++;
      }
      return merge(state, { sum: seen.sum('sum'), weight: seen.sum('weight'), notFinite });
    },
    merge,
    compute({ sum, weight, notFinite }) {
      if (weight.length === 0) return null;
      return notFinite > 0 ? Number.NaN : total(sum) / total(weight);
    },
  });
}

/** Sums of the values of each example, and, but where that is 1 for all, how many values or what weights that were. */
function observeValues(
  name: string,
  result: Tensor | LossValues,
  weights: Tensor,
): { [name: string]: Tensor } {
  const own = result instanceof Tensor ? undefined : result.weights;
  const values = cast(result instanceof Tensor ? result : result.values, 'float32');
  if (values.shape.length === 0) {
    throw new TenonError({
      code: 'SHAPE_MISMATCH',
      where: name,
      expected: 'a value for each example, [batch, …]',
      got: formatShape(values.shape),
      hint: 'Return the values before they are averaged: this metric takes the mean.',
    });
  }
  broadcastLeft(weights, values.shape);
  const inner = values.shape.map((_, axis) => axis).slice(weights.shape.length);
  if (!own && inner.length === 0) return { values, weights };
  const each = own ?? ones(values.shape);
  // An element that its own weight leaves out counts for nothing, NaN or not.
  const counted = own ? where(equal(own, 0), zerosLike(values), mul(values, own)) : values;
  return { values: sum(counted, inner), counts: sum(each, inner), weights };
}
