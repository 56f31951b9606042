import {
  formatShape,
  isNdArray,
  type ModelArtifact,
  type NdArray,
  TenonError,
  type TensorSpec,
} from '@tenon-ml/core';

/** The class that is to be explained: one for all examples, or one for each. */
export type ClassTarget = number | readonly number[];

/** The number of classes of a model. Throws `USAGE` for one whose output isn't class logits. */
export function classesOf({ output, outputActivation }: ModelArtifact, where: string): number {
  const shape = 'shape' in output && Array.isArray(output.shape) ? (output as TensorSpec).shape : undefined;
  const classes = shape?.length === 2 && outputActivation !== null ? shape[1] : null;
  if (classes !== null) return classes;
  throw new TenonError({
    code: 'USAGE',
    where,
    expected: 'a model whose output is class logits [batch, classes]',
    got: shape
      ? `${formatShape(shape)}${outputActivation === null ? ', which are no logits' : ''}`
      : 'a tree of outputs',
    hint: 'Only the score of a class can be explained this way; activations() shows the outputs of any model.',
  });
}

/**
 * The targets as rows of zeros with a one, float32 [count, classes]. Throws `SHAPE_MISMATCH` unless there is one a row,
 * `LABEL_OUT_OF_RANGE` for what is no class.
 */
export function oneHot(
  target: ClassTarget,
  count: number,
  classes: number,
  where: string,
): NdArray<'float32'> {
  const targets = typeof target === 'number' ? new Array<number>(count).fill(target) : target;
  if (targets.length !== count) {
    throw new TenonError({
      code: 'SHAPE_MISMATCH',
      where: `${where}, target`,
      expected: `one class, or ${count}, one for each example`,
      got: String(targets.length),
    });
  }
  const data = new Float32Array(count * classes);
  for (const [i, index] of targets.entries()) {
    if (!(Number.isInteger(index) && index >= 0 && index < classes)) {
      throw new TenonError({
        code: 'LABEL_OUT_OF_RANGE',
        where: `${where}, target${typeof target === 'number' ? '' : ` of example ${i + 1}`}`,
        expected: `a class from 0 to ${classes - 1}`,
        got: String(index),
      });
    }
    data[i * classes + index] = 1;
  }
  return { dtype: 'float32', shape: [count, classes], data };
}

/** The class of the largest logit of each row, the first of equal ones. Throws `NOT_FINITE`. */
export function largest(logits: NdArray, where: string): number[] {
  const [count, classes] = logits.shape;
  return Array.from({ length: count }, (_, i) => {
    const row = Array.from(logits.data.subarray(i * classes, (i + 1) * classes) as Float32Array);
    if (row.every(Number.isFinite)) return row.indexOf(Math.max(...row));
    throw new TenonError({
      code: 'NOT_FINITE',
      where: `${where}, example ${i + 1}`,
      message: "the model's output is not finite",
      hint: 'Look for NaN, infinities and huge numbers in the input.',
    });
  });
}

/** Throws `USAGE` unless the input is one float32 array, which alone has a gradient of its own shape. */
export function checkDifferentiable(input: unknown, where: string): asserts input is NdArray<'float32'> {
  if (isNdArray(input) && input.dtype === 'float32') return;
  throw new TenonError({
    code: 'USAGE',
    where,
    expected: 'a model that takes one float32 array',
    got: isNdArray(input) ? `${input.dtype} ${formatShape(input.shape)}` : 'a tree of arrays',
    hint: 'There is no gradient with respect to integers, such as characters.',
  });
}
