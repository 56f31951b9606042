import { formatShape, isNdArray, type NdArray } from '@tenon-ml/core';

/**
 * The precisions that results are compared in; integers and booleans are compared exactly. 'mixed-float16' is of results in
 * float32 that were computed by way of float16, which `compile` does on request.
 */
export type Precision = DTypePrecision | 'mixed-float16';

/** Those that are a dtype. */
export type DTypePrecision = 'float64' | 'float32';

/** How far two results of one operation may be apart, before the length of its reductions is counted. */
export interface Tolerance {
  /** Relative to the largest absolute value of the reference, not to each element. */
  readonly rtol: number;
  /** Absolute: what remains where the reference is all zeros, or cancels to nearly that. */
  readonly atol: number;
}

/**
 * The families of operations, by how rounding enters them.
 *
 * - `exact`: moves or selects values (flatten, max pooling, relu, one-hot, confusion counts).
 * - `elementwise`: a few additions, products, quotients or square roots for each element (squared error).
 * - `transcendental`: exp, log, tanh, sigmoid, softmax, whose kernels differ between backends.
 * - `sum`: sums and means, average pooling; gradients of biases.
 * - `product`: matrix products and convolutions, forward and backward.
 * - `normalization`: divides by a measured deviation (batch norm): cancellation before, amplification after.
 * - `loss`: values, means and gradients of losses, logits of any size.
 * - `optimizer`: parameters after steps; the reduction is the number of steps.
 * - `network`: a chain of layers with a loss, forward and backward.
 * - `metric`: weighted counts and their quotients.
 * - `schedule`: learning rates, computed on the host.
 * - `centralDifference`: a derivative against a central difference, which itself is off by its step.
 */
export type OpFamily =
  | 'exact'
  | 'elementwise'
  | 'transcendental'
  | 'sum'
  | 'product'
  | 'normalization'
  | 'loss'
  | 'optimizer'
  | 'network'
  | 'metric'
  | 'schedule'
  | 'centralDifference';

/**
 * The one table of tolerances: |a − b| ≤ (atol + rtol · max|reference|) · √(length of the reduction).
 *
 * Float32's unit roundoff is 6·10⁻⁸. The rows leave room for another order of summation, fused multiply-adds and
 * the approximations of exp and log on GPUs, not for another formula: an epsilon in the wrong place or a biased
 * variance is out by orders of magnitude (the tests of this package hold some against the goldens). Float64's roundoff
 * is 1.1·10⁻¹⁶; its rows are for what is computed on the host. Float16's is 4.9·10⁻⁴: of mixed precision there are rows for
 * what it changes (the networks of this repository's tests are off by a third of theirs), and no others.
 */
export const tolerances: { readonly [P in DTypePrecision]: { readonly [F in OpFamily]: Tolerance } } & {
  readonly 'mixed-float16': { readonly [F in OpFamily]?: Tolerance };
} = {
  float32: {
    exact: { rtol: 0, atol: 0 },
    elementwise: { rtol: 5e-7, atol: 1e-9 },
    transcendental: { rtol: 2e-6, atol: 1e-7 },
    sum: { rtol: 5e-7, atol: 1e-7 },
    product: { rtol: 1e-6, atol: 1e-7 },
    normalization: { rtol: 2e-6, atol: 1e-6 },
    loss: { rtol: 2e-6, atol: 1e-7 },
    optimizer: { rtol: 5e-7, atol: 1e-8 },
    network: { rtol: 1e-5, atol: 1e-7 },
    metric: { rtol: 1e-6, atol: 1e-7 },
    schedule: { rtol: 2e-7, atol: 1e-9 },
    centralDifference: { rtol: 2e-3, atol: 1e-3 },
  },
  float64: {
    exact: { rtol: 0, atol: 0 },
    elementwise: { rtol: 2e-15, atol: 1e-17 },
    transcendental: { rtol: 1e-14, atol: 1e-15 },
    sum: { rtol: 2e-15, atol: 1e-15 },
    product: { rtol: 4e-15, atol: 1e-15 },
    normalization: { rtol: 1e-14, atol: 1e-14 },
    loss: { rtol: 1e-14, atol: 1e-15 },
    optimizer: { rtol: 4e-15, atol: 1e-15 },
    network: { rtol: 1e-13, atol: 1e-15 },
    metric: { rtol: 1e-13, atol: 1e-15 },
    schedule: { rtol: 1e-14, atol: 1e-16 },
    centralDifference: { rtol: 1e-7, atol: 1e-8 },
  },
  'mixed-float16': {
    product: { rtol: 1e-3, atol: 1e-6 },
    network: { rtol: 4e-3, atol: 2e-6 },
  },
};

/** What computed a result: a processor, which rounds every operation correctly, or a GPU, which need not. */
export type Device = 'cpu' | 'gpu';

/**
 * By how much more the results of a GPU may differ than the table allows; not at all where there is no entry. WGSL
 * leaves quotients and square roots 2.5 units in the last place, exp, log and sin more, and lets products be fused with
 * sums. An entry belongs here once it is measured: with the kernel, the largest difference, and the device.
 */
export const gpuFactors: { readonly [F in OpFamily]?: number } = {};

/** What is compared: host values, typed or plain arrays of numbers, or one number. */
export type Comparable = NdArray | ArrayLike<number> | number;

export interface CloseOptions {
  /** The row of the table. */
  readonly op: OpFamily;
  /** The precision that `actual` was computed in. By default its dtype; needed where it is not an NdArray. */
  readonly dtype?: Precision;
  /**
   * How many terms were summed for one element (default 1): the inner size of a matrix product, height · width · in
   * of a convolution's kernel, the elements that a mean was taken over, the steps that an optimizer made.
   */
  readonly reduction?: number;
  /** What computed `actual` (default 'cpu'). */
  readonly device?: Device;
  /** What is compared, for the message: `conv2d_same: params_grad kernel`. */
  readonly name?: string;
}

/** The largest difference that the table allows between a result and `reference`. */
export function allowedDifference(
  reference: Comparable,
  options: CloseOptions & { readonly dtype: Precision },
): number {
  const { rtol, atol } = toleranceOf(options.dtype, options.op);
  const { reduction = 1, device = 'cpu' } = options;
  if (!(Number.isFinite(reduction) && reduction >= 1)) {
    throw new RangeError(`reduction must be a number of terms of at least 1, got ${reduction}`);
  }
  let largest = 0;
  // Infinities are compared as such, and would make every finite difference pass.
  for (const value of valuesOf(reference)) {
    if (Number.isFinite(value)) largest = Math.max(largest, Math.abs(value));
  }
  const factor = device === 'gpu' ? (gpuFactors[options.op] ?? 1) : 1;
  return factor * ((atol + rtol * largest) * Math.sqrt(reduction));
}

/**
 * Throws unless every element of `actual` is within the table's tolerance of `reference`.
 *
 * Shapes must agree where both have one, lengths anywhere. Infinities must be equal; NaN is never close to anything,
 * itself included. The message names the worst element, both values, and what was allowed.
 */
export function expectClose(actual: Comparable, reference: Comparable, options: CloseOptions): void {
  const subject = options.name ? `${options.name}: ` : '';
  const dtype = options.dtype ?? precisionOf(actual);
  if (isNdArray(actual) && isNdArray(reference)) {
    const same =
      actual.shape.length === reference.shape.length &&
      actual.shape.every((size, axis) => size === reference.shape[axis]);
    if (!same) {
      throw new Error(
        `${subject}expected the shape ${formatShape(reference.shape)}, got ${formatShape(actual.shape)}`,
      );
    }
  }
  const got = valuesOf(actual);
  const wanted = valuesOf(reference);
  if (got.length !== wanted.length) {
    throw new Error(`${subject}expected ${wanted.length} elements, got ${got.length}`);
  }
  const allowed = allowedDifference(reference, { ...options, dtype });
  let worst = -1;
  let worstDifference = -1;
  let failures = 0;
  for (let i = 0; i < got.length; i++) {
    const difference = differenceOf(got[i], wanted[i]);
    if (difference > allowed) failures++;
    if (difference > worstDifference) {
      worst = i;
      worstDifference = difference;
    }
  }
  if (failures === 0) return;
  const shape = isNdArray(reference) ? reference.shape : isNdArray(actual) ? actual.shape : [got.length];
  const { rtol, atol } = toleranceOf(dtype, options.op);
  throw new Error(
    `${subject}${failures} of ${got.length} elements differ by more than ${show(allowed)}; ` +
      `the worst, at ${formatShape(indexOf(worst, shape))}: got ${got[worst]}, reference ${wanted[worst]}, ` +
      `difference ${show(worstDifference)}, ${show(worstDifference / allowed)} times what is allowed ` +
      `(${options.op} in ${dtype}: rtol ${rtol}, atol ${atol}, ` +
      `reduction ${options.reduction ?? 1}${options.device === 'gpu' ? ', on a GPU' : ''})`,
  );
}

function toleranceOf(precision: Precision, op: OpFamily): Tolerance {
  const tolerance: Tolerance | undefined = tolerances[precision][op];
  if (!tolerance) throw new RangeError(`the table has no tolerance for ${op} in ${precision}`);
  return tolerance;
}

/** NaN where it matters counts as infinitely far, so that it is the worst element. */
function differenceOf(got: number, wanted: number): number {
  if (got === wanted) return 0;
  const difference = Math.abs(got - wanted);
  return Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
}

function precisionOf(actual: Comparable): DTypePrecision {
  if (isNdArray(actual)) return actual.dtype === 'float64' ? 'float64' : 'float32';
  throw new TypeError('expectClose needs the option dtype where the result is not an NdArray');
}

function valuesOf(values: Comparable): Float64Array {
  if (typeof values === 'number') return Float64Array.of(values);
  const data = isNdArray(values) ? values.data : values;
  return Float64Array.from(data as ArrayLike<number | bigint>, Number);
}

function indexOf(position: number, shape: readonly number[]): number[] {
  const index: number[] = [];
  let rest = position;
  for (const size of [...shape].reverse()) {
    index.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  return index;
}

function show(value: number): string {
  return value === 0 || !Number.isFinite(value) ? String(value) : value.toExponential(2);
}
