import { wasm } from '@tenon-ml/backend-wasm';
import { type Backend, createKey, type NdArray, sameBits, sizeOf, withBackend } from '@tenon-ml/core';
import { cpu, expectClose, type OpFamily } from '@tenon-ml/testkit';
import { engine, type NamedAttrMap, type NamedTensorMap, type Tensor, tidy } from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, expect } from 'vitest';

/** The two sides of a comparison: ours, and tfjs-backend-cpu as the reference. Started for the tests of a file. */
export function backendPair(): { readonly ours: Backend; readonly reference: Backend } {
  const pair = { ours: wasm(), reference: cpu() };
  beforeAll(async () => {
    await pair.ours.init();
    await pair.reference.init();
  });
  afterAll(async () => {
    await pair.ours.dispose();
  });
  return pair;
}

/** What a kernel call is made of, with host values as inputs. */
export interface Call {
  readonly kernel: string;
  readonly inputs: { readonly [name: string]: NdArray | undefined };
  readonly attrs?: object;
}

/** Runs one kernel of one float32 result, below the ops and their checks. Everything it makes is freed. */
export function runKernel(backend: Backend, call: Call): NdArray {
  const [result] = runKernelForAll(backend, call);
  if (result.dtype !== 'float32') throw new Error(`${call.kernel} gave ${result.dtype}`);
  return result;
}

/** Runs one kernel, and gives all its results. */
export function runKernelForAll(backend: Backend, { kernel, inputs, attrs = {} }: Call): NdArray[] {
  return withBackend(backend, () => {
    const tfjs = engine();
    const tensors: NamedTensorMap = {};
    for (const [name, input] of Object.entries(inputs)) {
      if (!input) continue;
      const { data, shape, dtype } = input;
      tensors[name] = tfjs.makeTensor(data as Float32Array, [...shape], dtype as 'float32');
    }
    const given = Array.isArray(inputs) ? Object.values(tensors) : tensors;
    const result = tfjs.runKernel(kernel, given as NamedTensorMap, attrs as NamedAttrMap);
    const results = Array.isArray(result) ? result : [result as Tensor];
    const arrays = results.map((tensor): NdArray => {
      const { dtype, shape } = tensor;
      // Of nothing, tfjs-backend-cpu may give a plain array.
      const data = tensor.size === 0 ? typedArray(dtype) : tensor.dataSync().slice();
      return { dtype: dtype as 'float32', shape, data };
    });
    for (const tensor of [...Object.values(tensors), ...results]) tensor.dispose();
    return arrays;
  });
}

/** What core says a kernel of its own means: an op's one output, or a primitive's. */
export function runDefinition(
  backend: Backend,
  definition: { readonly reference?: (inputs: never, attrs: never) => Tensor | readonly Tensor[] },
  { inputs, attrs = {} }: Omit<Call, 'kernel'>,
): NdArray[] {
  return withBackend(backend, () => {
    const results = tidy(() => {
      const tensors: NamedTensorMap = {};
      for (const [name, input] of Object.entries(inputs)) {
        if (!input) continue;
        const { data, shape, dtype } = input;
        tensors[name] = engine().makeTensor(data as Float32Array, [...shape], dtype as 'float32');
      }
      return [definition.reference?.(tensors as never, attrs as never) ?? []].flat() as Tensor[];
    });
    return results.map((tensor): NdArray => {
      const { dtype, shape } = tensor;
      const array = { dtype: dtype as 'float32', shape, data: tensor.dataSync().slice() as Float32Array };
      tensor.dispose();
      return array;
    });
  });
}

function typedArray(dtype: string): Float32Array {
  return (
    dtype === 'int32' ? new Int32Array(0) : dtype === 'bool' ? new Uint8Array(0) : new Float32Array(0)
  ) as Float32Array;
}

/** Throws unless shapes, dtypes and bits are equal. (`toEqual` alone takes seconds for large arrays.) */
export function expectBits(actual: readonly NdArray[], expected: readonly NdArray[]): void {
  const equal = actual.length === expected.length && actual.every((array, i) => sameBits(array, expected[i]));
  if (!equal) expect(actual).toEqual(expected);
  expect(equal).toBe(true);
}

export interface Agreement {
  readonly op: OpFamily;
  readonly reduction?: number;
  /** Whether ours may be NaN where the reference is a number (padding against Inf and NaN). */
  readonly moreNaN?: boolean;
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
  expectClose(finite(actual), finite(reference), options);
}

/** Standard normal values; with `special`, about a third of them are 0, −0, NaN, infinite or denormal. */
export function randomArray(seed: number, shape: readonly number[], special = false): NdArray<'float32'> {
  const [values, choices] = createKey(seed).split(2);
  const array = values.normal(shape);
  const specials = [0, -0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e-40, -1e-40];
  if (special) {
    for (const [i, word] of choices.bits(sizeOf(shape)).entries()) {
      if (word % 3 === 0) array.data[i] = specials[(word >>> 8) % specials.length];
    }
  }
  return array;
}
