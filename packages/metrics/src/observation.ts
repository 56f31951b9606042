import { broadcastLeft, formatShape, type NdArray, sameShape, TenonError, type Tree } from '@tenon-ml/core';
import {
  any,
  argMax,
  cast,
  fill,
  greater,
  isNaN as isNotANumber,
  reshape,
  scalar,
  type Tensor,
  where,
} from '@tensorflow/tfjs-core';

/** The class of a prediction that is NaN. */
const NO_CLASS = -1;
/** The label of a target that is NaN: none that anyone would ignore on purpose. */
const NO_LABEL = -(2 ** 31);

/** How predictions and targets are made into classes. */
export interface ClassOptions {
  /** The metric's name, for events and reports; needed where two metrics of one kind stand side by side. */
  readonly name?: string;
  /** For predictions of one number an example: class 1 where it is above this. 0, for logits, by default. */
  readonly threshold?: number;
  /** Examples with this label are left out, as in `softmaxCrossEntropy({ ignoreLabel })`. None by default. */
  readonly ignoreLabel?: number;
}

/** What a step gives out for classification metrics; the shapes are those of the labels, [batch] or [batch, …]. */
export type ObservedClasses = {
  /** int32; −1 where a prediction is NaN. */
  readonly predicted: Tensor;
  /** int32; −2³¹ where a target is NaN. */
  readonly label: Tensor;
  /** float32, broadcast from the left against the others. */
  readonly weights: Tensor;
  /** int32 []: how many classes the prediction tells apart. */
  readonly classes: Tensor;
};

/**
 * Predicted classes and labels, inside the step.
 *
 * - prediction [batch, …, classes] (logits or probabilities): the class is where the largest is, the lowest of equals,
 *   as NumPy's argmax; a row with a NaN has no class, −1. [batch] or [batch, …, 1]: class 1 where it is above the
 *   threshold, else 0.
 * - target: int32 or bool labels [batch, …]; or float32 of the prediction's shape, one-hot or probabilities: its
 *   largest, or with one number an example class 1 where it is above ½.
 */
export function observeClasses(
  metric: string,
  prediction: Tensor,
  target: Tensor,
  weights: Tensor,
  threshold = 0,
): ObservedClasses {
  const { shape } = prediction;
  const last = shape.at(-1);
  if (prediction.dtype !== 'float32' || last === undefined) {
    throw new TenonError({
      code: prediction.dtype === 'float32' ? 'SHAPE_MISMATCH' : 'DTYPE_MISMATCH',
      where: metric,
      expected: 'predictions of float32 [batch, …, classes], [batch, …, 1] or [batch]',
      got: `${prediction.dtype} ${formatShape(shape)}`,
    });
  }
  const single = isOneNumber(shape);
  const outer = shape.length === 1 ? shape : shape.slice(0, -1);
  // Only checks that the weights fit: they are broadcast on the host.
  broadcastLeft(weights, outer);
  return {
    predicted: single ? above(prediction, threshold, outer, NO_CLASS) : largest(prediction, NO_CLASS),
    label: labelsOf(metric, target, shape, outer, single),
    weights,
    classes: scalar(classCount(prediction), 'int32'),
  };
}

/** How many classes a prediction tells apart: one number tells two. */
export function classCount({ shape }: Tensor): number {
  return isOneNumber(shape) ? 2 : shape[shape.length - 1];
}

function isOneNumber(shape: readonly number[]): boolean {
  return shape.length < 2 || shape[shape.length - 1] === 1;
}

function labelsOf(
  metric: string,
  target: Tensor,
  shape: readonly number[],
  outer: readonly number[],
  single: boolean,
): Tensor {
  if (target.dtype === 'float32') {
    if (!single && sameShape(target.shape, shape)) return largest(target, NO_LABEL);
    if (single && fits(target.shape, shape, outer)) return above(target, 0.5, outer, NO_LABEL);
  } else if (target.dtype === 'int32' || target.dtype === 'bool') {
    if (fits(target.shape, single ? shape : outer, outer)) return cast(reshape(target, [...outer]), 'int32');
  }
  const labels = `int32 labels of ${formatShape(outer)}`;
  throw new TenonError({
    code: 'SHAPE_MISMATCH',
    where: metric,
    expected: `${labels}, or float32 targets of ${formatShape(shape)}, for predictions of ${formatShape(shape)}`,
    got: `${target.dtype} ${formatShape(target.shape)}`,
    hint:
      target.dtype === 'float32' && sameShape(target.shape, outer)
        ? "If these are labels, cast them: cast(target, 'int32')."
        : sameShape(target.shape, shape)
          ? "For one-hot targets cast them: cast(target, 'float32')."
          : sameShape(target.shape, [...outer, 1])
            ? `Reshape the labels to ${formatShape(outer)}.`
            : undefined,
  });
}

function fits(shape: readonly number[], whole: readonly number[], outer: readonly number[]): boolean {
  return sameShape(shape, whole) || sameShape(shape, outer);
}

function largest(values: Tensor, none: number): Tensor {
  const found = argMax(values, -1);
  return where(any(isNotANumber(values), -1), fill(found.shape, none, 'int32'), found);
}

function above(values: Tensor, threshold: number, shape: readonly number[], none: number): Tensor {
  const flat = reshape(values, [...shape]);
  const classes = cast(greater(flat, threshold), 'int32');
  return where(isNotANumber(flat), fill(classes.shape, none, 'int32'), classes);
}

/**
 * Calls `visit` for every example that counts, on the host, and returns the number of classes. Throws
 * `LABEL_OUT_OF_RANGE` for a label that is no class of the prediction, and what `checkWeight` throws. An example of
 * weight 0 is left out, whatever it holds.
 */
export function visitExamples(
  metric: string,
  observed: Tree<NdArray>,
  ignoreLabel: number | undefined,
  visit: (label: number, predicted: number, weight: number) => void,
): number {
  const { predicted, label, weights, classes } = observed as { [K in keyof ObservedClasses]: NdArray };
  const count = Number(classes.data[0]);
  const perWeight = label.data.length / weights.data.length;
  for (let i = 0; i < label.data.length; i++) {
    const record = Math.floor(i / (label.data.length / label.shape[0]));
    const weight = checkWeight(metric, Number(weights.data[Math.floor(i / perWeight)]), record);
    const value = Number(label.data[i]);
    if (weight === 0 || value === ignoreLabel) continue;
    if (value < 0 || value >= count) {
      throw new TenonError({
        code: 'LABEL_OUT_OF_RANGE',
        where: `${metric}, record ${record} of the batch`,
        expected: `a label from 0 to ${count - 1}`,
        got: value === NO_LABEL ? 'a target that is NaN' : String(value),
        hint:
          value < 0 && value !== NO_LABEL
            ? `Mend the label, or leave such records out with the option { ignoreLabel: ${value} }.`
            : 'Mend the target: labels count from 0, and the model has an output for each.',
      });
    }
    visit(value, Number(predicted.data[i]), weight);
  }
  return count;
}

/** Throws `NOT_FINITE` or `DATA_INVALID` for an example weight that is no finite number of at least 0. */
export function checkWeight(metric: string, weight: number, record: number): number {
  if (weight >= 0 && weight < Number.POSITIVE_INFINITY) return weight;
  throw new TenonError({
    code: weight < 0 && Number.isFinite(weight) ? 'DATA_INVALID' : 'NOT_FINITE',
    where: `${metric}, record ${record} of the batch`,
    expected: 'a finite example weight of at least 0',
    got: String(weight),
  });
}
