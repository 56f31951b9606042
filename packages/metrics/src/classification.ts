import { type Metric, type NdArray, TenonError, type Tree } from '@tenon-ml/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { addExact, addSums, type ExactSum, Summation, type Sums, total } from './exact_sum.js';
import { type ClassOptions, classCount, observeClasses, visitExamples } from './observation.js';

/** The weight of the examples that were right, and of all. */
export type AccuracyState = { readonly correct: ExactSum; readonly total: ExactSum };

/**
 * The share of examples whose predicted class is their label: Σ w·[ŷ = y] / Σ w.
 *
 * Predictions are logits or probabilities [batch, …, classes], of which the largest counts (the lowest of equals), or
 * one number an example, [batch] or [batch, …, 1], which is class 1 above `threshold`. Targets are int32 labels
 * [batch, …], or float32 of the prediction's shape (one-hot or probabilities). A prediction that is NaN is wrong.
 *
 * Equals scikit-learn's `accuracy_score(labels, predictions, sample_weight=weights)` of the whole data set, over
 * batches of any size; null where the weights sum to 0. Keras splits this into `Accuracy`, `BinaryAccuracy` (whose
 * threshold is ½: ours is 0, for logits), `CategoricalAccuracy` and `SparseCategoricalAccuracy`.
 */
export function accuracy(options: ClassOptions = {}): Metric<AccuracyState, number | null> {
  const { name = 'accuracy', threshold, ignoreLabel } = options;
  const merge = (a: AccuracyState, b: AccuracyState): AccuracyState => ({
    correct: addExact(a.correct, b.correct),
    total: addExact(a.total, b.total),
  });
  return Object.freeze<Metric<AccuracyState, number | null>>({
    name,
    direction: 'maximize',
    observe: (prediction, target, weights) => observeClasses(name, prediction, target, weights, threshold),
    empty: () => ({ correct: [], total: [] }),
    update(state, observed) {
      const seen = new Summation();
      visitExamples(name, observed, ignoreLabel, (label, predicted, weight) => {
        seen.add('total', weight);
        if (label === predicted) seen.add('correct', weight);
      });
      return merge(state, { correct: seen.sum('correct'), total: seen.sum('total') });
    },
    merge,
    compute: (state) => (state.total.length === 0 ? null : total(state.correct) / total(state.total)),
  });
}

/** How scores of several classes become one; see `precision`. */
export type Average = 'binary' | 'macro' | 'micro' | 'weighted' | 'none';

/** Options of `precision`, `recall` and `f1`. */
export interface ClassScoreOptions extends ClassOptions {
  /** 'binary' by default, as in scikit-learn: the score of the class `positive`. */
  readonly average?: Average;
  /** Averages over the classes 0 to classes − 1, whether they occur or not, instead of those that occur. */
  readonly classes?: number;
  /** The class that 'binary' is about: 1 by default. Given, the predictions may have more than two classes. */
  readonly positive?: number;
}

/** What the scores of a class are made of, by class: weights of the examples. */
export type ClassCounts = {
  /** How many classes the predictions had; 0 before the first. */
  readonly classes: number;
  /** By class: predicted and right. */
  readonly truePositives: Sums;
  /** By class: predicted. */
  readonly predicted: Sums;
  /** By class: labelled (scikit-learn's support). */
  readonly labels: Sums;
};

/** A score of one class, or an average over classes; null where no example was seen. */
export type ClassScore = Metric<ClassCounts, number | null>;
/** A score for each class, from class 0; null where no example was seen. */
export type ClassScores = Metric<ClassCounts, readonly number[] | null>;

/**
 * Precision: of the examples that were predicted as a class, the share that is of it: TP / (TP + FP); 0 where nothing
 * was predicted as the class (scikit-learn's `zero_division=0`).
 *
 * `average` says what becomes of the classes:
 * - 'binary' (the default): the score of the class `positive` alone. With more than two classes it has to be given.
 * - 'macro': the plain mean over the classes that occur among labels or predictions; with `classes` over 0 … classes − 1.
 * - 'weighted': the mean over classes, weighted by the labels of each.
 * - 'micro': from the sums of TP and FP over all classes; for one label an example that is the accuracy.
 * - 'none': an array, class by class, 0 for those that don't occur.
 *
 * Predictions, targets and weights are as for `accuracy`. A prediction that is NaN is of no class: it counts in no
 * class's predictions, and stays in the labels.
 *
 * Equals scikit-learn's `precision_score(labels, predictions, average=…, sample_weight=weights, zero_division=0)` on the
 * whole data set, `labels=range(classes)` where `classes` is given; but that an example of weight 0 doesn't make its
 * class occur in 'macro'. Keras' `Precision` counts over all classes at once, at a threshold of ½ ('micro', for one
 * logit 'binary'); torchmetrics' 'macro' leaves out classes that don't occur, as we do.
 */
export function precision(options: ClassScoreOptions & { readonly average: 'none' }): ClassScores;
export function precision(
  options?: ClassScoreOptions & { readonly average?: Exclude<Average, 'none'> },
): ClassScore;
export function precision(options?: ClassScoreOptions): ClassScore | ClassScores;
export function precision(options: ClassScoreOptions = {}): ClassScore | ClassScores {
  return classScore('precision', options, (truePositives, predicted) => ratio(truePositives, predicted));
}

/**
 * Recall: of the examples of a class, the share that was predicted as it: TP / (TP + FN); 0 where no example is of the
 * class. scikit-learn's `recall_score` with `zero_division=0`. Averages and differences: see `precision`.
 */
export function recall(options: ClassScoreOptions & { readonly average: 'none' }): ClassScores;
export function recall(
  options?: ClassScoreOptions & { readonly average?: Exclude<Average, 'none'> },
): ClassScore;
export function recall(options?: ClassScoreOptions): ClassScore | ClassScores;
export function recall(options: ClassScoreOptions = {}): ClassScore | ClassScores {
  return classScore('recall', options, (truePositives, _, labels) => ratio(truePositives, labels));
}

/**
 * F1, the harmonic mean of precision and recall: 2·TP / (2·TP + FP + FN); 0 where a class neither occurs nor is
 * predicted. scikit-learn's `f1_score` with `zero_division=0`: 'macro' is the mean of the classes' F1, not the F1 of
 * the means. Averages and differences: see `precision`. Keras' `F1Score` averages over all classes (`classes` here).
 */
export function f1(options: ClassScoreOptions & { readonly average: 'none' }): ClassScores;
export function f1(options?: ClassScoreOptions & { readonly average?: Exclude<Average, 'none'> }): ClassScore;
export function f1(options?: ClassScoreOptions): ClassScore | ClassScores;
export function f1(options: ClassScoreOptions = {}): ClassScore | ClassScores {
  return classScore('f1', options, (truePositives, predicted, labels) =>
    ratio(2 * truePositives, predicted + labels),
  );
}

type Score = (truePositives: number, predicted: number, labels: number) => number;

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}

function classScore(kind: string, options: ClassScoreOptions, score: Score): ClassScore | ClassScores {
  const { name = kind, average = 'binary', classes, positive, threshold, ignoreLabel } = options;
  checkOptions(kind, options);

  const merge = (a: ClassCounts, b: ClassCounts): ClassCounts => ({
    classes: Math.max(a.classes, b.classes),
    truePositives: addSums(a.truePositives, b.truePositives),
    predicted: addSums(a.predicted, b.predicted),
    labels: addSums(a.labels, b.labels),
  });
  const scoreOf = (state: ClassCounts, index: string): number =>
    score(total(state.truePositives[index]), total(state.predicted[index]), total(state.labels[index]));

  const compute = (state: ClassCounts): number | number[] | null => {
    const labelled = Object.keys(state.labels);
    if (labelled.length === 0) return null;
    if (average === 'binary') return scoreOf(state, String(positive ?? 1));
    if (average === 'none') return indices(classes ?? state.classes).map((index) => scoreOf(state, index));
    if (average === 'micro')
      return score(sumOf(state.truePositives), sumOf(state.predicted), sumOf(state.labels));
    if (average === 'weighted') {
      const weighted = labelled.map((index) => scoreOf(state, index) * total(state.labels[index]));
      return plainSum(weighted) / sumOf(state.labels);
    }
    const averaged =
      classes === undefined ? [...new Set([...labelled, ...Object.keys(state.predicted)])] : indices(classes);
    return plainSum(averaged.map((index) => scoreOf(state, index))) / averaged.length;
  };

  const metric: Metric<ClassCounts, number | readonly number[] | null> = {
    name,
    ...(average === 'none' ? {} : { direction: 'maximize' }),
    observe(prediction: Tensor, target: Tensor, weights: Tensor) {
      checkClasses(name, classCount(prediction), options);
      return observeClasses(name, prediction, target, weights, threshold);
    },
    empty: () => ({ classes: 0, truePositives: {}, predicted: {}, labels: {} }),
    update(state: ClassCounts, observed: Tree<NdArray>) {
      const truePositives = new Summation();
      const predictions = new Summation();
      const labels = new Summation();
      const count = visitExamples(name, observed, ignoreLabel, (label, predicted, weight) => {
        labels.add(label, weight);
        if (predicted >= 0) predictions.add(predicted, weight);
        if (predicted === label) truePositives.add(label, weight);
      });
      return merge(state, {
        classes: count,
        truePositives: truePositives.sums(),
        predicted: predictions.sums(),
        labels: labels.sums(),
      });
    },
    merge,
    compute,
  };
  return Object.freeze(metric) as ClassScore | ClassScores;
}

function indices(count: number): string[] {
  return Array.from({ length: count }, (_, index) => String(index));
}

function sumOf(sums: Sums): number {
  return total(Object.values(sums).reduce(addExact, []));
}

function plainSum(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

function checkOptions(kind: string, { average = 'binary', classes, positive }: ClassScoreOptions): void {
  const averages = ['binary', 'macro', 'micro', 'weighted', 'none'];
  const wrong = (expected: string, got: unknown): TenonError =>
    new TenonError({ code: 'INVALID_ARGUMENT', where: kind, expected, got: String(got) });
  if (!averages.includes(average)) throw wrong(`average to be one of ${averages.join(', ')}`, `'${average}'`);
  if (classes !== undefined && !(Number.isInteger(classes) && classes >= 2)) {
    throw wrong('classes to be an integer of at least 2', classes);
  }
  if (positive === undefined) return;
  if (!(Number.isInteger(positive) && positive >= 0)) throw wrong('positive to be a class, from 0', positive);
  if (average !== 'binary') throw wrong("positive with average: 'binary' only", `average: '${average}'`);
}

function checkClasses(
  metric: string,
  count: number,
  { average = 'binary', classes, positive }: ClassScoreOptions,
): void {
  if (classes !== undefined && classes !== count) {
    throw new TenonError({
      code: 'SHAPE_MISMATCH',
      where: metric,
      expected: `predictions of ${classes} classes`,
      got: String(count),
      hint: `Set classes: ${count}, or leave the option out.`,
    });
  }
  if (average !== 'binary' || (positive === undefined ? count === 2 : positive < count)) return;
  throw new TenonError({
    code: 'INVALID_ARGUMENT',
    where: metric,
    expected:
      positive === undefined ? "predictions of 2 classes for average: 'binary'" : `positive below ${count}`,
    got: positive === undefined ? `${count} classes` : String(positive),
    hint: "Choose average: 'macro', 'micro', 'weighted' or 'none', or name the class: { positive: 3 }.",
  });
}

/** Weights of examples by label and predicted class; the key of a cell is label · classes + predicted. */
export type ConfusionState = { readonly cells: Sums };

/** Options of `confusionMatrix`. */
export interface ConfusionMatrixOptions extends ClassOptions {
  /** How many classes there are: the size of the matrix. */
  readonly classes: number;
}

/**
 * The confusion matrix: element [i][j] is the weight of the examples of class i that were predicted as class j; with
 * weights of 1, their number. Rows are labels, columns predictions, as in scikit-learn's `confusion_matrix(labels,
 * predictions, labels=range(classes), sample_weight=weights)` and TensorFlow's.
 *
 * Predictions, targets and weights are as for `accuracy`. A prediction that is NaN is of no class and in no column. All
 * zeros where no example was seen.
 */
export function confusionMatrix(
  options: ConfusionMatrixOptions,
): Metric<ConfusionState, readonly (readonly number[])[]> {
  const { name = 'confusionMatrix', classes, threshold, ignoreLabel } = options;
  checkOptions('confusionMatrix', { classes });
  const merge = (a: ConfusionState, b: ConfusionState): ConfusionState => ({
    cells: addSums(a.cells, b.cells),
  });
  return Object.freeze<Metric<ConfusionState, readonly (readonly number[])[]>>({
    name,
    observe(prediction, target, weights) {
      checkClasses(name, classCount(prediction), { classes, average: 'none' });
      return observeClasses(name, prediction, target, weights, threshold);
    },
    empty: () => ({ cells: {} }),
    update(state, observed) {
      const cells = new Summation();
      visitExamples(name, observed, ignoreLabel, (label, predicted, weight) => {
        if (predicted >= 0) cells.add(label * classes + predicted, weight);
      });
      return merge(state, { cells: cells.sums() });
    },
    merge,
    compute: ({ cells }) =>
      Array.from({ length: classes }, (_, i) =>
        Array.from({ length: classes }, (_, j) => total(cells[i * classes + j])),
      ),
  });
}
