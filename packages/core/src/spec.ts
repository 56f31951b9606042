import type { DType } from './dtype.js';
import { TenonError } from './errors.js';
import { formatShape } from './ndarray.js';

/** A shape and a dtype; null stands for the batch, or for another axis whose size is free. */
export interface TensorSpec {
  readonly shape: readonly (number | null)[];
  readonly dtype: DType;
}

/** `float32 [batch, 8, 8, 1]` */
export function formatSpec(spec: TensorSpec): string {
  return `${spec.dtype} ${formatShape(spec.shape)}`;
}

/** Whether a value of this shape and dtype is one that the spec describes. */
export function matchesSpec(value: TensorSpec, spec: TensorSpec): boolean {
  return (
    value.dtype === spec.dtype &&
    value.shape.length === spec.shape.length &&
    spec.shape.every((length, axis) => length === null || length === value.shape[axis])
  );
}

/** Throws `SHAPE_MISMATCH` or `DTYPE_MISMATCH` where `value` isn't what `spec` describes. */
export function checkSpec(value: TensorSpec, spec: TensorSpec, where: string, hint?: string): void {
  if (matchesSpec(value, spec)) return;
  throw new TenonError({
    code: value.dtype === spec.dtype ? 'SHAPE_MISMATCH' : 'DTYPE_MISMATCH',
    where,
    expected: formatSpec(spec),
    got: formatSpec({ dtype: value.dtype, shape: [...value.shape] }),
    hint,
  });
}
