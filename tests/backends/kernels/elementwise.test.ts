import type { NdArray } from '@tenon-ml/core';
import {
  Abs,
  Cast,
  ClipByValue,
  Fill,
  Identity,
  IsFinite,
  IsInf,
  IsNan,
  LeakyRelu,
  Neg,
  OnesLike,
  Reciprocal,
  Relu,
  Relu6,
  Reshape,
  Selu,
  Sign,
  Sqrt,
  Square,
  Step,
  ZerosLike,
} from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { testedDevice } from '../../hosts/tested_backend.js';
import {
  backendPair,
  expectAgreement,
  expectSame,
  randomArray,
  runKernel,
  runKernelForAll,
  withPositiveZeros,
} from './reference.js';

const { ours, reference } = backendPair();

const shapes = fc.array(fc.nat({ max: 5 }), { maxLength: 5 });

test.each([
  { kernel: Relu, attrs: {} },
  { kernel: Relu6, attrs: {} },
  { kernel: Neg, attrs: {} },
  { kernel: Abs, attrs: {} },
  { kernel: Sign, attrs: {} },
  { kernel: Step, attrs: { alpha: 0 } },
  { kernel: Step, attrs: { alpha: 0.25 } },
  { kernel: ClipByValue, attrs: { clipValueMin: -0.5, clipValueMax: 0.7 } },
  { kernel: IsFinite, attrs: {} },
  { kernel: IsNan, attrs: {} },
  { kernel: IsInf, attrs: {} },
  { kernel: Identity, attrs: {} },
  { kernel: ZerosLike, attrs: {} },
  { kernel: OnesLike, attrs: {} },
])('$kernel gives the bits of the reference: $attrs', async ({ kernel, attrs }) => {
  await fc.assert(
    fc.asyncProperty(shapes, fc.nat(), fc.boolean(), async (shape, seed, special) => {
      const call = { kernel, inputs: { x: randomArray(seed, shape, special) }, attrs };
      const expected = await runKernelForAll(reference, call);
      expectSame(await runKernelForAll(ours, call), expected, { op: 'exact' });
    }),
  );
});

test.each([
  { kernel: Sqrt, attrs: {} },
  { kernel: Square, attrs: {} },
  { kernel: Reciprocal, attrs: {} },
  { kernel: LeakyRelu, attrs: { alpha: 0.25 } },
])('$kernel gives what the reference gives: $attrs', async ({ kernel, attrs }) => {
  await fc.assert(
    fc.asyncProperty(shapes, fc.nat(), fc.boolean(), async (shape, seed, special) => {
      const values = randomArray(seed, shape, special);
      // The sign of what is divided by 0 is a GPU's matter.
      const x = kernel === Reciprocal && testedDevice === 'gpu' ? withPositiveZeros(values) : values;
      const call = { kernel, inputs: { x }, attrs };
      const expected = await runKernelForAll(reference, call);
      expectSame(await runKernelForAll(ours, call), expected, { op: 'elementwise' });
    }),
  );
});

test('Selu is the reference', async () => {
  await fc.assert(
    fc.asyncProperty(shapes, fc.nat(), fc.boolean(), async (shape, seed, special) => {
      const call = { kernel: Selu, inputs: { x: randomArray(seed, shape, special) } };
      expectAgreement(await runKernel(ours, call), await runKernel(reference, call), {
        op: 'transcendental',
      });
    }),
  );
});

/** Numbers that are hard to convert: fractions, and beyond 2³¹, 2³² and 2⁶³. */
const hard = [0.5, -0.5, 1.9, -1.9, 2147483648, -2147483648, 3e9, -3e9, 5e9, 1e10, 9e18, 1e19, -1e19, 3e38];

/** What becomes of a number that int32 doesn't hold is a GPU's matter. */
function fits(value: number): boolean {
  return testedDevice === 'cpu' || (value >= -(2 ** 31) && value < 2 ** 31);
}

test.each([
  ['float32', 'int32'],
  ['float32', 'bool'],
  ['float32', 'float32'],
  ['int32', 'bool'],
  ['int32', 'int32'],
] as const)('Cast from %s to %s gives the bits of the reference', async (from, to) => {
  await fc.assert(
    fc.asyncProperty(shapes, fc.nat(), fc.boolean(), async (shape, seed, special) => {
      const values = randomArray(seed, shape, special);
      values.data.forEach((value, i) => {
        if ((seed + i) % 4 === 0) values.data[i] = hard[(seed + i) % hard.length];
        else if (from === 'int32') values.data[i] = value * 2;
        if (to === 'int32' && !fits(values.data[i])) values.data[i] = 7;
      });
      const x: NdArray =
        from === 'int32' ? { ...values, dtype: 'int32', data: Int32Array.from(values.data) } : values;
      const call = { kernel: Cast, inputs: { x }, attrs: { dtype: to } };
      const expected = await runKernelForAll(reference, call);
      expectSame(await runKernelForAll(ours, call), expected, { op: 'exact' });
    }),
  );
});

test('Cast widens int32 and bool to the same numbers', async () => {
  const numbers: NdArray = {
    dtype: 'int32',
    shape: [6],
    data: Int32Array.of(0, -1, 7, 2 ** 24 + 1, 2 ** 31 - 1, -(2 ** 31)),
  };
  const bools: NdArray = {
    dtype: 'bool',
    shape: [19],
    data: Uint8Array.from({ length: 19 }, (_, i) => i % 2),
  };
  for (const [x, dtype] of [
    [numbers, 'float32'],
    [bools, 'float32'],
    [bools, 'int32'],
  ] as const) {
    const [result] = await runKernelForAll(ours, { kernel: Cast, inputs: { x }, attrs: { dtype } });
    expect(result.dtype).toBe(dtype);
    const converted =
      dtype === 'int32' ? Int32Array.from(x.data as Uint8Array) : Float32Array.from(x.data as Int32Array);
    expect(result.data).toEqual(converted);
  }
});

test('Fill fills with a number of any dtype', async () => {
  for (const attrs of [
    { shape: [3, 7], value: -2.5, dtype: 'float32' },
    { shape: [5], value: -7, dtype: 'int32' },
    { shape: [], value: 1, dtype: 'bool' },
    { shape: [23], value: 1, dtype: 'bool' },
    { shape: [2], value: 3 },
    { shape: [0, 4], value: 3, dtype: 'float32' },
  ]) {
    const call = { kernel: Fill, inputs: {}, attrs };
    expect(await runKernelForAll(ours, call)).toEqual(await runKernelForAll(reference, call));
  }
});

test('Reshape shares the data, and refuses another size', async () => {
  const x = randomArray(3, [4, 6]);
  const call = { kernel: Reshape, inputs: { x }, attrs: { shape: [3, -1] } };
  expect(await runKernel(ours, call)).toEqual({ ...x, shape: [3, 8] });
  await expect(runKernel(ours, { ...call, attrs: { shape: [5, 5] } })).rejects.toThrow(/must match|size/);
});
