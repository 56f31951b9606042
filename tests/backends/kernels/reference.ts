import { type Backend, createKey, type NdArray, sameBits, sizeOf, withBackend } from '@tenon-ml/core';
import { cpu, expectClose, type OpFamily } from '@tenon-ml/testkit';
import { engine, type NamedAttrMap, type NamedTensorMap, type Tensor, tidy } from '@tensorflow/tfjs-core';
import { expect } from 'vitest';
import { started, type TestedOptions, testedBackend, testedDevice } from '../../hosts/tested_backend.js';

/** The two sides of a comparison: ours, and tfjs-backend-cpu as the reference. Started for the tests of a file. */
export function backendPair(options?: TestedOptions): {
  readonly ours: Backend;
  readonly reference: Backend;
} {
  const [ours, reference] = started(testedBackend(options), cpu());
  return { ours, reference };
}

/** What a kernel call is made of, with host values as inputs. */
export interface Call {
  readonly kernel: string;
  readonly inputs: { readonly [name: string]: NdArray | undefined };
  readonly attrs?: object;
}

/** Runs one kernel of one float32 result, below the ops and their checks. Everything it makes is freed. */
export async function runKernel(backend: Backend, call: Call): Promise<NdArray> {
  const [result] = await runKernelForAll(backend, call);
  if (result.dtype !== 'float32') throw new Error(`${call.kernel} gave ${result.dtype}`);
  return result;
}

/** Runs one kernel, and gives all its results. */
export function runKernelForAll(backend: Backend, { kernel, inputs, attrs = {} }: Call): Promise<NdArray[]> {
  return readAfter(backend, () => {
    const tensors = tensorsOf(inputs);
    const given = Array.isArray(inputs) ? Object.values(tensors) : tensors;
    try {
      return [engine().runKernel(kernel, given as NamedTensorMap, attrs as NamedAttrMap)].flat() as Tensor[];
    } finally {
      for (const tensor of Object.values(tensors)) tensor.dispose();
    }
  });
}

/** What core says a kernel of its own means: an op's one output, or a primitive's. */
export function runDefinition(
  backend: Backend,
  definition: { readonly reference?: (inputs: never, attrs: never) => Tensor | readonly Tensor[] },
  { inputs, attrs = {} }: Omit<Call, 'kernel'>,
): Promise<NdArray[]> {
  return readAfter(backend, () =>
    tidy(() => [definition.reference?.(tensorsOf(inputs) as never, attrs as never) ?? []].flat() as Tensor[]),
  );
}

/** Runs `run` on the backend, which is synchronous, and reads what it gives, which on a GPU is not. */
async function readAfter(backend: Backend, run: () => readonly Tensor[]): Promise<NdArray[]> {
  const results = withBackend(backend, run);
  try {
    return await Promise.all(
      results.map(async (tensor): Promise<NdArray> => {
        const { dtype, shape } = tensor;
        // Of nothing, tfjs-backend-cpu may give a plain array.
        const data = tensor.size === 0 ? typedArray(dtype) : (await tensor.data()).slice();
        return { dtype: dtype as 'float32', shape, data: data as Float32Array };
      }),
    );
  } finally {
    for (const tensor of results) tensor.dispose();
  }
}

function tensorsOf(inputs: Call['inputs']): NamedTensorMap {
  const tensors: NamedTensorMap = {};
  for (const [name, input] of Object.entries(inputs)) {
    if (!input) continue;
    const { data, shape, dtype } = input;
    tensors[name] = engine().makeTensor(data as Float32Array, [...shape], dtype as 'float32');
  }
  return tensors;
}

function typedArray(dtype: string): Float32Array {
  return (
    dtype === 'int32' ? new Int32Array(0) : dtype === 'bool' ? new Uint8Array(0) : new Float32Array(0)
  ) as Float32Array;
}

/** fast-check's options for a test whose shapes take many cases to go through; on a GPU each may be a shader. */
export function manyRuns(numRuns: number): { readonly numRuns?: number } {
  return testedDevice === 'gpu' ? {} : { numRuns };
}

export interface Agreement {
  readonly op: OpFamily;
  readonly reduction?: number;
  /** Whether ours may be NaN where the reference is a number (padding against Inf and NaN). */
  readonly moreNaN?: boolean;
}

type Arrays = NdArray | readonly NdArray[];

/**
 * For kernels that round as the reference does: throws unless dtypes, shapes and values are equal, the sign of 0 too.
 * (Which NaN one is, is the processor's matter.) A GPU need not round that way: there it is `expectAgreement`, and
 * equality where nothing is rounded: of integers and bools, and of the family 'exact', but for the sign of 0.
 */
export function expectSame(actual: Arrays, expected: Arrays, options: Agreement): void {
  const [own, wanted] = [[actual].flat(), [expected].flat()] as NdArray[][];
  // `toEqual` takes seconds for large arrays.
  if (own.length === wanted.length && own.every((array, i) => sameBits(array, wanted[i]))) return;
  if (testedDevice === 'cpu') {
    expect(own).toEqual(wanted);
    return;
  }
  expect(own.map(({ dtype, shape }) => [dtype, shape])).toEqual(
    wanted.map(({ dtype, shape }) => [dtype, shape]),
  );
  for (const [i, array] of own.entries()) {
    if (array.dtype === 'float32') expectAgreement(array, wanted[i], options);
    else expect(array).toEqual(wanted[i]);
  }
}

/** For kernels that only move values: the same as `expectSame` in every bit, NaNs' too, but on a GPU. */
export function expectBits(actual: Arrays, expected: Arrays): void {
  expectSame(actual, expected, { op: 'exact' });
  if (testedDevice === 'gpu') return;
  const [own, wanted] = [[actual].flat(), [expected].flat()] as NdArray[][];
  expect(own.every((array, i) => sameBits(array, wanted[i]))).toBe(true);
}

/** −0 as 0: for kernels that may give either where the reference gives one. */
export function withPositiveZeros(array: NdArray): NdArray {
  // −0 + 0 is 0.
  return { ...array, dtype: 'float32', data: (array.data as Float32Array).map((value) => value + 0) };
}

/** Throws unless shapes agree, NaN and the infinities are in the same places, and the rest is within the table. */
export function expectAgreement(actual: NdArray, reference: NdArray, options: Agreement): void {
  const finite = (array: NdArray): NdArray => ({
    dtype: 'float32',
    shape: array.shape,
    data: Float32Array.from(array.data as Float32Array, (value, i) => {
      if (Number.isNaN(actual.data[i]) && (options.moreNaN || Number.isNaN(reference.data[i]))) return 0;
      return value;
    }),
  });
  expectClose(finite(actual), finite(reference), { ...options, device: testedDevice });
}

const ordinary = [0, -0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
/** A GPU may take denormals for 0. */
const specials = testedDevice === 'gpu' ? ordinary : [...ordinary, 1e-40, -1e-40];

/** Standard normal values; with `special`, about a third of them are 0, −0, NaN, infinite or (not on a GPU) denormal. */
export function randomArray(seed: number, shape: readonly number[], special = false): NdArray<'float32'> {
  const [values, choices] = createKey(seed).split(2);
  const array = values.normal(shape);
  if (special) {
    for (const [i, word] of choices.bits(sizeOf(shape)).entries()) {
      if (word % 3 === 0) array.data[i] = specials[(word >>> 8) % specials.length];
    }
  }
  return array;
}
