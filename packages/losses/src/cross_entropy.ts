import {
  formatShape,
  isNdArray,
  type Loss,
  labelsToProbabilities,
  type NdArray,
  sigmoidCrossEntropyElements,
  softmaxCrossEntropyRows,
  TenonError,
  type TensorSpec,
} from '@tenon-ml/core';
import {
  add,
  cast,
  fill,
  greaterEqual,
  less,
  logicalAnd,
  mul,
  notEqual,
  ones,
  reshape,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
  where,
  zerosLike,
} from '@tensorflow/tfjs-core';
import {
  type ArrayKind,
  checkArrays,
  checkFinite,
  checkSameShape,
  describeKind,
  isIntegerLabels,
  mismatch,
  recordOf,
  shapesAgree,
} from './targets.js';

/** Options of `softmaxCrossEntropy`. */
export interface SoftmaxCrossEntropyOptions {
  /** ε, from 0 (the default) to 1: how much of each target is spread evenly over all classes. */
  readonly labelSmoothing?: number;
  /** Elements with this integer label count for nothing: value 0, weight 0, gradient 0. None by default. */
  readonly ignoreLabel?: number;
}

/** Options of `sigmoidCrossEntropy`. */
export interface SigmoidCrossEntropyOptions {
  /** ε, from 0 (the default) to 1: how far each target is drawn to ½. */
  readonly labelSmoothing?: number;
}

/**
 * Cross-entropy of softmax(logits) with a target distribution over classes that exclude each other, in nats:
 *
 *   value = −Σ_c t_c · log softmax(x)_c
 *
 * - prediction: logits x, float32 [batch, …, classes], at least 2 classes: no softmax before this loss.
 * - target: integer labels, int32 [batch, …] from 0 to classes − 1; or probabilities, float32 [batch, …, classes].
 *   The dtype decides. Probabilities needn't sum to 1 (as in PyTorch).
 * - values, weights: [batch, …]; the weights are 1, and 0 where the label is `ignoreLabel`.
 *
 * With `labelSmoothing` ε the target is (1 − ε)·t + ε/K for K classes (Szegedy and others, "Rethinking the inception
 * architecture for computer vision", CVPR 2016), as in PyTorch and Keras. Finite for all finite logits; mask classes with −10⁹ rather than −∞, which is
 * NaN here (0·∞), as it is in PyTorch with probabilities.
 *
 * On a device nothing can throw for a value: a label that is out of range makes its value NaN, as TensorFlow does on
 * a GPU, so that the step is refused rather than wrong. `check` finds it on the host first: `LABEL_OUT_OF_RANGE`, with the record. A mismatch of
 * shapes throws `SHAPE_MISMATCH` in both.
 *
 * Differences. PyTorch's `cross_entropy`: classes are its second axis, ours the last; `ignore_index` is −100 by
 * default, ours is off; where every label is ignored its mean is NaN, ours 0 (see core's `weightedMean`). Keras: logits
 * here without `from_logits`; integer and one-hot labels are two losses there (`SparseCategoricalCrossentropy` has no
 * smoothing), and ignored labels stay in the mean's denominator.
 */
export function softmaxCrossEntropy(options: SoftmaxCrossEntropyOptions = {}): Loss {
  const name = 'softmaxCrossEntropy';
  const { labelSmoothing = 0, ignoreLabel } = options;
  checkSmoothing(name, labelSmoothing);
  if (ignoreLabel !== undefined && !(Number.isInteger(ignoreLabel) && (ignoreLabel | 0) === ignoreLabel)) {
    throw mismatch('INVALID_ARGUMENT', name, 'ignoreLabel to be an int32', String(ignoreLabel));
  }

  const loss = (prediction: Tensor, target: Tensor) => {
    const kind = softmaxTarget(name, target, prediction, ignoreLabel);
    const classes = prediction.shape[prediction.shape.length - 1];
    const outer = prediction.shape.slice(0, -1);
    const logits = reshape(prediction, [-1, classes]) as Tensor2D;
    if (kind === 'probabilities') {
      const probabilities = smooth(reshape(target, [-1, classes]), labelSmoothing, classes) as Tensor2D;
      const values = reshape(softmaxCrossEntropyRows(logits, probabilities), outer);
      return { values, weights: ones(values.shape) };
    }
    const labels = reshape(target, [-1]) as Tensor1D;
    const probabilities = smooth(labelsToProbabilities(labels, classes), labelSmoothing, classes) as Tensor2D;
    const computed = softmaxCrossEntropyRows(logits, probabilities);
    const inRange = logicalAnd(greaterEqual(labels, 0), less(labels, classes));
    const checked = where(inRange, computed, fill(labels.shape, Number.NaN));
    if (ignoreLabel === undefined) {
      const values = reshape(checked, outer);
      return { values, weights: ones(values.shape) };
    }
    const counts = notEqual(labels, ignoreLabel);
    return {
      values: reshape(where(counts, checked, zerosLike(checked)), outer),
      weights: reshape(cast(counts, 'float32'), outer),
    };
  };

  return Object.freeze(
    Object.assign(loss, {
      spec: { loss: name, labelSmoothing, ...(ignoreLabel === undefined ? {} : { ignoreLabel }) },
      outputActivation: 'softmax' as const,
      check(target: NdArray, prediction: TensorSpec): void {
        if (softmaxTarget(name, target, prediction, ignoreLabel) === 'probabilities') {
          checkProbabilities(name, target);
        } else {
          checkLabels(name, target, prediction.shape.at(-1) ?? null, ignoreLabel);
        }
      },
    }),
  );
}

/**
 * Cross-entropy of sigmoid(logits) with target probabilities, for yes-or-no questions that don't exclude each other, in
 * nats, per element:
 *
 *   value = −t·log σ(x) − (1 − t)·log(1 − σ(x)) = max(x, 0) − x·t + log(1 + exp(−|x|))
 *
 * - prediction: logits x, float32 of any shape [batch, …]: no sigmoid before this loss.
 * - target: probabilities t in [0, 1], float32 of the same shape; or 0 and 1 as int32 or bool.
 * - values, weights: of the same shape; the weights are 1.
 *
 * With `labelSmoothing` ε the target is (1 − ε)·t + ε/2, as in Keras' `BinaryCrossentropy`; PyTorch's
 * `binary_cross_entropy_with_logits`, whose formula this is otherwise, has none. Its gradient σ(x) − t is exact at 0
 * too. Keras averages over the last axis before it weighs; here each element has a value of its own.
 *
 * Shapes must be equal, nothing is broadcast: throws `SHAPE_MISMATCH`. `check` throws `LABEL_OUT_OF_RANGE` for integer
 * targets but 0 and 1, `NOT_FINITE` and `DATA_INVALID` for targets that aren't probabilities, with the record.
 */
export function sigmoidCrossEntropy(options: SigmoidCrossEntropyOptions = {}): Loss {
  const name = 'sigmoidCrossEntropy';
  const { labelSmoothing = 0 } = options;
  checkSmoothing(name, labelSmoothing);

  const loss = (prediction: Tensor, target: Tensor) => {
    checkSigmoidTarget(name, target, prediction);
    const values = sigmoidCrossEntropyElements(
      prediction,
      smooth(cast(target, 'float32'), labelSmoothing, 2),
    );
    return { values, weights: ones(values.shape) };
  };

  return Object.freeze(
    Object.assign(loss, {
      spec: { loss: name, labelSmoothing },
      outputActivation: 'sigmoid' as const,
      check(target: NdArray, prediction: TensorSpec): void {
        checkSigmoidTarget(name, target, prediction);
        if (isIntegerLabels(target.dtype)) checkLabels(name, target, 2, undefined);
        else checkProbabilities(name, target, 1);
      },
    }),
  );
}

/** (1 − ε)·t + ε/K */
function smooth(target: Tensor, smoothing: number, classes: number): Tensor {
  return smoothing === 0 ? target : add(mul(target, 1 - smoothing), smoothing / classes);
}

/** What the target is, by its dtype; throws where dtype or shape don't fit. */
function softmaxTarget(
  name: string,
  target: ArrayKind,
  prediction: ArrayKind,
  ignoreLabel: number | undefined,
): 'labels' | 'probabilities' {
  checkArrays(name, target, prediction, 2, 'of float32 [batch, …, classes]');
  const outer = prediction.shape.slice(0, -1);
  const classes = prediction.shape.at(-1) ?? null;
  if (classes !== null && classes < 2) {
    throw mismatch(
      'SHAPE_MISMATCH',
      name,
      'logits of at least 2 classes',
      formatShape(prediction.shape),
      'The softmax of one logit is always 1: use sigmoidCrossEntropy for a yes-or-no question.',
    );
  }
  if (isIntegerLabels(target.dtype)) {
    if (shapesAgree(target.shape, outer)) return 'labels';
    throw mismatch(
      'SHAPE_MISMATCH',
      name,
      `integer labels of ${formatShape(outer)} for logits of ${formatShape(prediction.shape)}`,
      describeKind(target),
      shapesAgree(target.shape, prediction.shape)
        ? "For one-hot targets cast them: cast(target, 'float32')."
        : shapesAgree(target.shape, [...outer, 1])
          ? `Reshape the labels to ${formatShape(outer)}.`
          : undefined,
    );
  }
  if (target.dtype === 'float32') {
    if (!shapesAgree(target.shape, prediction.shape)) {
      throw mismatch(
        shapesAgree(target.shape, outer) ? 'DTYPE_MISMATCH' : 'SHAPE_MISMATCH',
        name,
        `integer labels as int32 ${formatShape(outer)} or probabilities as float32 ${formatShape(prediction.shape)}`,
        describeKind(target),
        shapesAgree(target.shape, outer) ? hintForFloatLabels(target) : undefined,
      );
    }
    if (ignoreLabel === undefined) return 'probabilities';
    throw mismatch(
      'DTYPE_MISMATCH',
      name,
      'integer labels, since ignoreLabel is set',
      `probabilities: ${describeKind(target)}`,
      'Give rows of probabilities that should not count an example weight of 0.',
    );
  }
  throw mismatch(
    'DTYPE_MISMATCH',
    name,
    'integer labels as int32 or probabilities as float32',
    describeKind(target),
    `Cast them: cast(target, '${target.dtype === 'float64' || target.dtype === 'bool' ? 'float32' : 'int32'}').`,
  );
}

function hintForFloatLabels(target: ArrayKind): string {
  const index = isNdArray(target) ? target.data.findIndex((label) => !Number.isInteger(Number(label))) : -1;
  if (!isNdArray(target) || index < 0) return "If these are labels, cast them: cast(target, 'int32').";
  return `These are no labels: ${recordOf(index, target.shape)} is ${target.data[index]}.`;
}

function checkSigmoidTarget(name: string, target: ArrayKind, prediction: ArrayKind): void {
  checkArrays(name, target, prediction, 1, 'of float32 [batch, …]');
  if (target.dtype !== 'float32' && target.dtype !== 'bool' && !isIntegerLabels(target.dtype)) {
    throw mismatch(
      'DTYPE_MISMATCH',
      name,
      'probabilities as float32, or 0 and 1 as int32 or bool',
      describeKind(target),
      `Cast them: cast(target, '${target.dtype === 'float64' ? 'float32' : 'int32'}').`,
    );
  }
  checkSameShape(name, target, prediction);
}

function checkSmoothing(name: string, labelSmoothing: number): void {
  if (labelSmoothing >= 0 && labelSmoothing <= 1) return;
  throw mismatch('INVALID_ARGUMENT', name, 'labelSmoothing from 0 to 1', String(labelSmoothing));
}

function checkLabels(
  name: string,
  target: NdArray,
  classes: number | null,
  ignoreLabel: number | undefined,
): void {
  const { data, shape } = target;
  for (let i = 0; i < data.length; i++) {
    const label = Number(data[i]);
    if (label === ignoreLabel || (label >= 0 && (classes === null || label < classes))) continue;
    const last = classes === null ? '' : ` to ${classes - 1}`;
    throw new TenonError({
      code: 'LABEL_OUT_OF_RANGE',
      where: `${name}, ${recordOf(i, shape)}`,
      expected: `a label from 0${last}`,
      got: String(label),
      hint:
        name === 'sigmoidCrossEntropy'
          ? 'Its targets are 0 or 1; for one of several classes use softmaxCrossEntropy.'
          : label === classes
            ? 'Labels count from 0: subtract 1 if yours count from 1, or give the model another output.'
            : label < 0
              ? `Mend the label, or leave such records out of the loss: softmaxCrossEntropy({ ignoreLabel: ${label} }).`
              : 'Mend the label, or give the model as many outputs as there are classes.',
    });
  }
}

function checkProbabilities(name: string, target: NdArray, largest = Number.POSITIVE_INFINITY): void {
  if (target.dtype === 'bool') return;
  checkFinite(name, target);
  const { data, shape } = target;
  const index = (data as Float32Array).findIndex((value) => value < 0 || value > largest);
  if (index < 0) return;
  throw mismatch(
    'DATA_INVALID',
    `${name}, ${recordOf(index, shape)}`,
    largest === 1 ? 'probabilities from 0 to 1' : 'probabilities of at least 0',
    String(data[index]),
    'Targets are probabilities, not logits.',
  );
}
