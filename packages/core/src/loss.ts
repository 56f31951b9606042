import {
  div,
  equal,
  mul,
  neg,
  reshape,
  scalar,
  sum,
  type Tensor,
  where,
  zerosLike,
} from '@tensorflow/tfjs-core';
import { TenonError } from './errors.js';
import type { Json } from './layer.js';
import { formatShape, sameShape } from './ndarray.js';
import { defineOp, type Op } from './op.js';
import type { Downloaded, Specs, Tree } from './tree.js';

/** Values of a loss per element, and how much each of them counts. The two have the same shape. */
export type LossValues = {
  readonly values: Tensor;
  readonly weights: Tensor;
};

/**
 * A loss: a pure function on tensors, of predictions (logits, where there are any) and targets. The step takes
 * `weightedMean` of what it returns.
 */
export interface Loss<Out extends Tree<Tensor> = Tensor, Target extends Tree<Tensor> = Tensor> {
  (prediction: Out, target: Target): LossValues;
  /** For reports: `{ loss: 'softmaxCrossEntropy', labelSmoothing: 0.1 }`. */
  readonly spec: { readonly loss: string; readonly [option: string]: Json };
  /** What turns its predictions into probabilities, where they are class logits: saved with the model, for `classify`. */
  readonly outputActivation?: 'softmax' | 'sigmoid';
  /**
   * Checks targets on the host, before they are uploaded: a compiled step can't throw for a value. Throws
   * `LABEL_OUT_OF_RANGE` and the like, with the index of the record in the batch.
   */
  check?(target: Downloaded<Target>, prediction: Specs<Out>): void;
}

/**
 * Σ values·w / Σ w, with w = weights · exampleWeights, the latter broadcast from the left (one weight an example, or
 * one a position); 0 where Σ w is 0.
 *
 * Keras divides by the number of elements instead ("sum over batch size"). PyTorch's class weights divide by Σ w, as
 * we do: a weight of 0 is the same as leaving the example out (if its value is finite: 0 · NaN is NaN).
 */
export function weightedMean(loss: LossValues, exampleWeights?: Tensor): Tensor {
  const { weighted, total } = weightedSums(loss, exampleWeights);
  return quotient({ numerator: weighted, denominator: total }, {});
}

type Fraction = { readonly numerator: Tensor; readonly denominator: Tensor };

/**
 * a / b, and 0 with a gradient of 0 where b is 0. Written out, because tfjs can't follow the comparison where the
 * weights depend on the parameters, and would multiply 0 by infinity.
 */
const quotient: Op<Fraction, Record<string, never>> = defineOp<Fraction, Record<string, never>>({
  name: 'QuotientOrZero',
  reference({ numerator, denominator }) {
    const empty = equal(denominator, 0);
    return where(empty, zerosLike(numerator), div(numerator, where(empty, scalar(1), denominator)));
  },
  gradient: (dy, { inputs: { denominator }, output }) => ({
    numerator: quotient({ numerator: dy, denominator }, {}),
    denominator: neg(quotient({ numerator: mul(dy, output), denominator }, {})),
  }),
});

/** Σ values·w and Σ w, as scalars: what adds up over batches of uneven size, where means don't. */
export function weightedSums(loss: LossValues, exampleWeights?: Tensor): { weighted: Tensor; total: Tensor } {
  const { values, weights } = loss;
  if (!sameShape(values.shape, weights.shape)) {
    throw new TenonError({
      code: 'SHAPE_MISMATCH',
      where: 'loss',
      expected: `weights of the shape of the values, ${formatShape(values.shape)}`,
      got: formatShape(weights.shape),
    });
  }
  const combined = exampleWeights ? mul(weights, broadcastLeft(exampleWeights, weights.shape)) : weights;
  return { weighted: sum(mul(values, combined)), total: sum(combined) };
}

/**
 * `weights` with axes of size 1 appended until it broadcasts against `shape`: [batch] against [batch, time] becomes
 * [batch, 1]. Throws `SHAPE_MISMATCH` where its sizes aren't the first ones of `shape`.
 */
export function broadcastLeft(weights: Tensor, shape: readonly number[]): Tensor {
  const fits = weights.shape.length <= shape.length && weights.shape.every((n, axis) => n === shape[axis]);
  if (!fits) {
    throw new TenonError({
      code: 'SHAPE_MISMATCH',
      where: 'example weights',
      expected: `the first sizes of ${formatShape(shape)}, such as ${formatShape(shape.slice(0, 1))}`,
      got: formatShape(weights.shape),
    });
  }
  return reshape(weights, [...weights.shape, ...new Array(shape.length - weights.shape.length).fill(1)]);
}
