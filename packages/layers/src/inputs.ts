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

/**
 * Checks that the input is float32 [batch, time, width], and returns its width; `known` is what the parameters were
 * made for, `name` what the width is called.
 */
export function checkSequence(input: InputLike, where: string, known?: number, name = 'width'): number {
  const { shape } = input;
  const expected = `[batch, time, ${known ?? name}]`;
  if (shape.length !== 3) {
    const hint =
      input.dtype === 'int32'
        ? 'Token ids go through embedding(vocabulary, width) first.'
        : shape.length === 2
          ? 'It works along time, which comes second; give each example a time axis.'
          : undefined;
    throw shapeError(where, expected, input, hint);
  }
  const width = shape[2];
  if (width === null) throw shapeError(where, `${expected} with a known ${name}`, input);
  if (known !== undefined && width !== known) {
    throw shapeError(where, expected, input, 'Its parameters were made for inputs of that size.');
  }
  checkFloat32(input, where);
  return width;
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
