import { type DTypePrecision, expectClose } from './tolerances.js';

/** A function of several numbers, whatever computes it. It must not keep or change the array that it gets. */
export type ScalarFunction = (x: Float64Array) => number;

export interface DifferenceOptions {
  /** The precision that `f` computes in, which sets the step (default float64). */
  readonly precision?: DTypePrecision;
  /** The step, relative to max(1, |xᵢ|). By default ∛ε, where truncation and rounding errors are of one size. */
  readonly step?: number;
}

const epsilon = { float64: Number.EPSILON, float32: 2 ** -23 } as const;

/**
 * The gradient of `f` at `x` by central differences: (f(x + hᵢeᵢ) − f(x − hᵢeᵢ)) / 2hᵢ.
 *
 * Its error is about h²·f‴/6 + ε·|f|/h. Keep `x` away from kinks (relu at 0, ties of a maximum) by more than the step.
 * In float32 the points are rounded first, so that `f` sees the step that is divided by.
 */
export function numericalGradient(
  f: ScalarFunction,
  x: ArrayLike<number>,
  options: DifferenceOptions = {},
): Float64Array {
  const { precision = 'float64', step = Math.cbrt(epsilon[precision]) } = options;
  const round = precision === 'float32' ? Math.fround : (value: number) => value;
  const gradient = new Float64Array(x.length);
  for (let i = 0; i < x.length; i++) {
    const h = step * Math.max(1, Math.abs(x[i]));
    const above = round(x[i] + h);
    const below = round(x[i] - h);
    const at = (value: number): number => {
      const point = Float64Array.from(x);
      point[i] = value;
      return f(point);
    };
    gradient[i] = (at(above) - at(below)) / (above - below);
  }
  return gradient;
}

/**
 * Throws unless `gradient` is that of `f` at `x` within the table's row `centralDifference`; the message names the
 * worst element.
 */
export function expectGradient(
  f: ScalarFunction,
  x: ArrayLike<number>,
  gradient: ArrayLike<number>,
  options: DifferenceOptions & { readonly name?: string } = {},
): void {
  const { precision = 'float64', name } = options;
  expectClose(gradient, numericalGradient(f, x, options), {
    op: 'centralDifference',
    dtype: precision,
    name,
  });
}
