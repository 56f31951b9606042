import { type DType, dtypes, isDType, type TypedArray, type TypedArrays } from './dtype.js';
import { TenonError } from './errors.js';

/**
 * A value on the host: a dense, row-major array. Plain data, so that it can be posted to a worker or saved.
 *
 * The field names are reserved: a tree never has a node with `dtype`, `shape` and `data` (see `isNdArray`).
 */
export interface NdArray<D extends DType = DType> {
  readonly dtype: D;
  readonly shape: readonly number[];
  readonly data: TypedArrays[D];
}

/** Nested arrays of numbers or booleans, as deep as the array has dimensions. */
export type NestedNumbers = number | boolean | readonly NestedNumbers[];

/** The number of elements of a shape: the product of its sizes; 1 for a scalar. */
export function sizeOf(shape: readonly number[]): number {
  let size = 1;
  for (const length of shape) size *= length;
  return size;
}

/** `[2, 3]`, or `[batch, 3]` where the first size is free. */
export function formatShape(shape: readonly (number | null)[]): string {
  return `[${shape.map((length, axis) => length ?? (axis === 0 ? 'batch' : 'any')).join(', ')}]`;
}

/** Whether two shapes are equal, free axes included. */
export function sameShape(a: readonly (number | null)[], b: readonly (number | null)[]): boolean {
  return a.length === b.length && a.every((length, axis) => length === b[axis]);
}

/** Whether `value` is a host value rather than a tree of them. */
export function isNdArray(value: unknown): value is NdArray {
  if (typeof value !== 'object' || value === null) return false;
  const { dtype, shape, data } = value as Partial<NdArray>;
  return isDType(dtype) && Array.isArray(shape) && ArrayBuffer.isView(data);
}

/**
 * An NdArray over `data`, which is taken, not copied.
 *
 * Throws `SHAPE_MISMATCH` if the length isn't the product of the shape, `DTYPE_MISMATCH` if the array's class isn't
 * the dtype's.
 */
export function ndarray<D extends DType>(
  dtype: D,
  shape: readonly number[],
  data: TypedArrays[D],
): NdArray<D> {
  const array: NdArray<D> = { dtype, shape: [...shape], data };
  checkNdArray(array, 'ndarray');
  return array;
}

/**
 * Throws `SHAPE_MISMATCH` or `DTYPE_MISMATCH` for an array that contradicts itself, as one that wasn't made by
 * `ndarray` can.
 */
export function checkNdArray({ dtype, shape, data }: NdArray, where: string): void {
  const size = checkShape(shape, where);
  if (data.length !== size) {
    throw new TenonError({
      code: 'SHAPE_MISMATCH',
      where,
      expected: `${size} elements for the shape ${formatShape(shape)}`,
      got: `${data.length}`,
    });
  }
  // By name, so that arrays from another realm (a worker, a frame) are taken too.
  const name = dtypes[dtype].create(0).constructor.name;
  if (data.constructor.name !== name) {
    throw new TenonError({
      code: 'DTYPE_MISMATCH',
      where,
      expected: `a ${name} for ${dtype}`,
      got: data.constructor.name,
    });
  }
}

/** The number of elements of a shape. Throws `SHAPE_MISMATCH` for sizes that aren't integers of at least 0. */
export function checkShape(shape: readonly number[], where: string): number {
  if (shape.every((length) => Number.isInteger(length) && length >= 0)) return sizeOf(shape);
  throw new TenonError({
    code: 'SHAPE_MISMATCH',
    where,
    expected: 'a shape of integers of at least 0',
    got: formatShape(shape),
  });
}

/**
 * An NdArray from nested arrays: `fromNested([[1, 2], [3, 4]])` has the shape [2, 2].
 *
 * `dtype` is float32 by default, bool where the elements are booleans. Throws `SHAPE_MISMATCH` for ragged arrays and
 * `DTYPE_MISMATCH` for an element that the dtype doesn't hold.
 */
export function fromNested(values: NestedNumbers): NdArray<'float32'> | NdArray<'bool'>;
export function fromNested<D extends DType>(values: NestedNumbers, dtype: D): NdArray<D>;
export function fromNested(values: NestedNumbers, dtype?: DType): NdArray {
  const shape: number[] = [];
  for (let level: NestedNumbers = values; Array.isArray(level); level = level[0]) {
    shape.push(level.length);
    if (level.length === 0) break;
  }
  const flat: (number | boolean)[] = [];
  const walk = (level: NestedNumbers, axis: number): void => {
    if (Array.isArray(level) ? axis < shape.length && level.length === shape[axis] : axis === shape.length) {
      if (Array.isArray(level)) for (const inner of level) walk(inner, axis + 1);
      else flat.push(checkElement(level));
      return;
    }
    throw new TenonError({
      code: 'SHAPE_MISMATCH',
      where: 'fromNested',
      expected: `${shape[axis] ?? 'a number, not an array'}${axis < shape.length ? ` elements at depth ${axis}` : ''}`,
      got: Array.isArray(level) ? `${level.length} elements` : 'a number',
      hint: 'Every row needs the same length.',
    });
  };
  walk(values, 0);
  const target = dtype ?? (flat.length > 0 && typeof flat[0] === 'boolean' ? 'bool' : 'float32');
  const numbers = ndarray('float64', shape, Float64Array.from(flat, Number));
  return target === 'float32' ? narrow(numbers, 'float32') : cast(numbers, target);
}

function checkElement(element: unknown): number | boolean {
  if (typeof element === 'number' || typeof element === 'boolean') return element;
  throw new TenonError({
    code: 'DTYPE_MISMATCH',
    where: 'fromNested',
    expected: 'numbers or booleans',
    got: element === null ? 'null' : typeof element,
  });
}

/** A scalar (shape []) of float32, or of `dtype`. */
export function scalar(value: number): NdArray<'float32'>;
export function scalar<D extends DType>(value: number, dtype: D): NdArray<D>;
export function scalar(value: number, dtype: DType = 'float32'): NdArray {
  return fromNested(value, dtype);
}

/** Numbers by name as float32 scalars by name: how what changes from step to step enters a compiled step. */
export function scalars(values: { readonly [name: string]: number }): Record<string, NdArray<'float32'>> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, scalar(value)]));
}

/** An array of zeros. */
export function zeros<D extends DType = 'float32'>(shape: readonly number[], dtype?: D): NdArray<D> {
  const target = (dtype ?? 'float32') as D;
  return { dtype: target, shape: [...shape], data: dtypes[target].create(checkShape(shape, 'zeros')) };
}

/** An array whose every element is `value`, which the dtype must hold: `DTYPE_MISMATCH` otherwise. */
export function full<D extends DType = 'float32'>(
  shape: readonly number[],
  value: number,
  dtype?: D,
): NdArray<D> {
  const array = zeros(shape, dtype);
  const [element] = cast(ndarray('float64', [], Float64Array.of(value)), array.dtype).data;
  (array.data as { fill(element: number | bigint): void }).fill(element);
  return array;
}

/**
 * The same values as another dtype.
 *
 * Between floats this rounds to nearest, as it does from integers to floats. To an integer or bool every element must
 * be one that the dtype holds exactly: `DTYPE_MISMATCH` names the first that isn't.
 */
export function cast<D extends DType>(array: NdArray, dtype: D): NdArray<D> {
  if ((array.dtype as DType) === dtype) return array as unknown as NdArray<D>;
  const { range } = dtypes[dtype];
  if (range) {
    const [low, high] = range;
    const { data } = array;
    for (let i = 0; i < data.length; i++) {
      const value = Number(data[i]);
      if (!Number.isInteger(value) || value < low || value > high) {
        throw new TenonError({
          code: 'DTYPE_MISMATCH',
          where: `cast to ${dtype}`,
          expected: `integers from ${low} to ${high}`,
          got: `${value} at index ${i}`,
        });
      }
    }
  }
  return narrow(array, dtype);
}

/** The array with another shape of the same size; the data is shared. */
export function reshaped<D extends DType>(array: NdArray<D>, shape: readonly number[]): NdArray<D> {
  return ndarray(array.dtype, shape, array.data);
}

/**
 * Rows `begin` to `end` (exclusive) along the first axis: a view, no copy. Throws `SHAPE_MISMATCH` for rows that the array
 * doesn't have.
 */
export function rows<D extends DType>(array: NdArray<D>, begin: number, end: number): NdArray<D> {
  const [length = -1] = array.shape;
  if (!(Number.isInteger(begin) && Number.isInteger(end) && begin >= 0 && begin <= end && end <= length)) {
    throw new TenonError({
      code: 'SHAPE_MISMATCH',
      where: 'rows',
      expected: length < 0 ? 'an array of at least one axis' : `rows from 0 to ${length}`,
      got: length < 0 ? 'a scalar' : `${begin} to ${end}`,
    });
  }
  const width = sizeOf(array.shape.slice(1));
  const data = array.data.subarray(begin * width, end * width) as TypedArrays[D];
  return { dtype: array.dtype, shape: [end - begin, ...array.shape.slice(1)], data };
}

/** Nested arrays of the values, for printing and JSON. int64 becomes numbers; beyond 2⁵³ it throws. */
export function toNested(array: NdArray): NestedNumbers {
  const values = array.data;
  const at = (axis: number, offset: number): NestedNumbers => {
    if (axis === array.shape.length) {
      const value = Number(values[offset]);
      if (array.dtype === 'int64' && !Number.isSafeInteger(value)) {
        throw new TenonError({
          code: 'DTYPE_MISMATCH',
          where: 'toNested',
          expected: 'int64 values of at most 2^53 - 1, which a number holds exactly',
          got: `${values[offset]} at index ${offset}`,
        });
      }
      return array.dtype === 'bool' ? value !== 0 : value;
    }
    const stride = sizeOf(array.shape.slice(axis + 1));
    return Array.from({ length: array.shape[axis] }, (_, i) => at(axis + 1, offset + i * stride));
  };
  return at(0, 0);
}

/** Whether dtype, shape and every bit agree (so NaN equals NaN, and 0 differs from -0). */
export function sameBits(a: NdArray, b: NdArray): boolean {
  if (a.dtype !== b.dtype || !sameShape(a.shape, b.shape)) return false;
  const left = bytesOf(a.data);
  const right = bytesOf(b.data);
  return left.every((byte, i) => byte === right[i]);
}

/** The bytes under a typed array, as a view. */
export function bytesOf(data: TypedArray): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

function narrow<D extends DType>(array: NdArray, dtype: D): NdArray<D> {
  const result = dtypes[dtype].create(array.data.length);
  const source = array.data;
  if (result instanceof BigInt64Array) for (let i = 0; i < source.length; i++) result[i] = BigInt(source[i]);
  else for (let i = 0; i < source.length; i++) result[i] = Number(source[i]);
  return { dtype, shape: [...array.shape], data: result };
}
