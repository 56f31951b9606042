import { formatShape, TenonError } from '@tenon-ml/core';
import type { Tensor } from '@tensorflow/tfjs-core';

/** What can be said of an input before a step (its spec) and within it (the tensor). */
export interface InputLike {
  readonly shape: readonly (number | null)[];
  readonly dtype: string;
}

/** Throws `DTYPE_MISMATCH` for an input that isn't float32. */
export function checkFloat32(input: InputLike, where: string): void {
  if (input.dtype === 'float32') return;
  throw new TenonError({
    code: 'DTYPE_MISMATCH',
    where,
    expected: 'float32',
    got: `${input.dtype} ${formatShape(input.shape)}`,
    hint: 'Normalize the data, or cast it to float32, before it goes in.',
  });
}

/** The error for a shape that a layer can't take: what it takes, what came, what to do. */
export function shapeError(where: string, expected: string, input: InputLike, hint?: string): TenonError {
  return new TenonError({
    code: 'SHAPE_MISMATCH',
    where,
    expected,
    got: formatShape(input.shape),
    hint,
  });
}

/**
 * The tensors called `names` of a layer's own parameters or state. Throws `STRUCTURE_MISMATCH` where one is missing:
 * they are then another layer's.
 */
export function leaves(
  tree: { readonly [name: string]: unknown },
  names: readonly string[],
  where: string,
  what = 'parameters',
): Tensor[] {
  return names.map((name) => {
    const value = tree[name] as Tensor | undefined;
    if (value !== undefined && Array.isArray(value.shape)) return value;
    throw new TenonError({
      code: 'STRUCTURE_MISMATCH',
      where,
      expected: `${what} { ${names.join(', ')} }`,
      got: `{ ${Object.keys(tree).join(', ')} }`,
      hint: 'Pass what init made of this layer.',
    });
  });
}
