import {
  type DType,
  dtypes,
  type ErrorParts,
  formatShape,
  type NdArray,
  sizeOf,
  TenonError,
} from '@tenon-ml/core';

/** A shape in which null is free. */
export type Shape = readonly (number | null)[];

/** What is known of an array without its values: enough to tell whether it fits. */
export interface ArrayKind {
  readonly dtype: string;
  readonly shape: Shape;
}

/** Whether two shapes can be those of the same array: equal, but where one of them is free. */
export function shapesAgree(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((n, axis) => n === null || b[axis] === null || n === b[axis]);
}

/** `float32 [batch, 10]` */
export function describeKind({ dtype, shape }: ArrayKind): string {
  return `${dtype} ${formatShape(shape)}`;
}

/** Whether a device holds the dtype as an int32: what labels are given as. */
export function isIntegerLabels(dtype: string): boolean {
  return dtype !== 'bool' && Object.hasOwn(dtypes, dtype) && dtypes[dtype as DType].device === 'int32';
}

/**
 * Throws unless prediction and target are one array each, and the prediction is float32 with at least `rank` axes.
 * `expected` says what it should be.
 */
export function checkArrays(
  loss: string,
  target: ArrayKind,
  prediction: ArrayKind,
  rank: number,
  expected: string,
): void {
  for (const [name, value] of Object.entries({ prediction, target })) {
    if (Array.isArray(value?.shape)) continue;
    throw mismatch(
      'STRUCTURE_MISMATCH',
      loss,
      `one array as ${name}`,
      value === null || typeof value !== 'object' ? String(value) : `{ ${Object.keys(value).join(', ')} }`,
      'For several outputs write a loss that picks the parts and calls this one.',
    );
  }
  if (prediction.dtype !== 'float32') {
    throw mismatch('DTYPE_MISMATCH', loss, `predictions ${expected}`, describeKind(prediction));
  }
  if (prediction.shape.length < rank) {
    throw mismatch('SHAPE_MISMATCH', loss, `predictions ${expected}`, describeKind(prediction));
  }
}

/**
 * Throws unless the target has the prediction's shape. Nothing is broadcast: [batch, 1] against [batch] would compare
 * every prediction with every target.
 */
export function checkSameShape(loss: string, target: ArrayKind, prediction: ArrayKind): void {
  if (shapesAgree(target.shape, prediction.shape)) return;
  const squeezed = (shape: Shape): Shape => (shape.at(-1) === 1 ? shape.slice(0, -1) : shape);
  const byOne = shapesAgree(squeezed(target.shape), squeezed(prediction.shape));
  throw mismatch(
    'SHAPE_MISMATCH',
    loss,
    `targets of the prediction's shape ${formatShape(prediction.shape)}`,
    formatShape(target.shape),
    byOne
      ? `Reshape the targets to ${formatShape(prediction.shape)}: nothing is broadcast.`
      : 'One target is needed for each output of the model.',
  );
}

export function mismatch(
  code: ErrorParts['code'],
  where: string,
  expected: string,
  got: string,
  hint?: string,
): TenonError {
  return new TenonError({ code, where, expected, got, hint });
}

/** Where element `index` of an array is: `record 3 of the batch`, or with `, position [1, 2]` for more axes. */
export function recordOf(index: number, shape: readonly number[]): string {
  const inner = shape.slice(1);
  const perRecord = sizeOf(inner);
  const position: number[] = [];
  let rest = index % perRecord;
  for (const length of [...inner].reverse()) {
    position.unshift(rest % length);
    rest = Math.floor(rest / length);
  }
  const record = `record ${Math.floor(index / perRecord)} of the batch`;
  return position.length === 0 ? record : `${record}, position ${formatShape(position)}`;
}

/** Throws `NOT_FINITE` at the first element that is NaN or infinite. */
export function checkFinite(loss: string, target: NdArray): void {
  const { data, shape } = target;
  for (let i = 0; i < data.length; i++) {
    if (Number.isFinite(Number(data[i]))) continue;
    throw mismatch(
      'NOT_FINITE',
      `${loss}, ${recordOf(i, shape)}`,
      'a finite target',
      String(data[i]),
      'Fill in or filter out records with missing values before they are batched.',
    );
  }
}
