import type { NdArray } from '@tenon-ml/core';
import { Elu, Erf, Exp, Log, Log1p, Rsqrt, Sigmoid, Sqrt, Tanh } from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { evenly, functions } from '../kernels/functions_cases.js';
import { backendPair, runKernel } from '../kernels/reference.js';

const { ours } = backendPair();

/** The distance of float32 numbers about x. */
function unit(x: number): number {
  return 2 ** (Math.max(-126, Math.floor(Math.log2(Math.abs(x)))) - 23);
}

/** Every so-manieth of all float32 numbers: all sizes, both signs, denormals, infinities. */
function everyFloat(stride: number): Float32Array {
  const bits = Uint32Array.from({ length: Math.floor(2 ** 32 / stride) }, (_, i) => i * stride);
  return new Float32Array(bits.buffer).filter((x) => !Number.isNaN(x));
}

/** The largest errors against float64, in units in the last place, as assembly/math.ts and its kernels state them. */
const bounds: { readonly [kernel: string]: number } = {
  [Exp]: 1,
  [Log]: 1,
  [Log1p]: 2.2,
  [Sigmoid]: 2.1,
  [Tanh]: 2.5,
  [Erf]: 1.2,
  [Elu]: 1,
  [Rsqrt]: 1.5,
  [Sqrt]: 0.5,
};
const rows = functions
  .filter(({ kernel }) => kernel in bounds)
  .map((row) => ({ ...row, most: bounds[row.kernel] }));

test.each(rows)('$kernel is at most $most units off, for every size of number', async (row) => {
  const { kernel, exact, from, to, most } = row;
  let worst = { error: 0, x: 0, got: 0 };
  for (const data of [everyFloat(20_011), evenly(from, to, 100_003)]) {
    const x: NdArray = { dtype: 'float32', shape: [data.length], data };
    const y = (await runKernel(ours, { kernel, inputs: { x } })).data as Float32Array;
    for (const [i, got] of y.entries()) {
      const wanted = exact(data[i]);
      if (Object.is(got, Math.fround(wanted))) continue;
      const error = Math.abs(got - wanted) / unit(Math.fround(wanted));
      if (!(error <= worst.error)) worst = { error, x: data[i], got };
    }
  }
  expect(worst.error, JSON.stringify(worst)).toBeLessThanOrEqual(most);
});
