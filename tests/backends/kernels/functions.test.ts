import type { NdArray } from '@tenon-ml/core';
import { Elu, Erf, Exp, Log, Log1p, Rsqrt, Sigmoid, Sqrt, Tanh } from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { backendPair, runKernel } from './reference.js';

const { ours } = backendPair();

/** erf by a series of positive terms, to some 1e-15. */
function erf(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

/** The distance of float32 numbers about x. */
function unit(x: number): number {
  return 2 ** (Math.max(-126, Math.floor(Math.log2(Math.abs(x)))) - 23);
}

/** Every so-manieth of all float32 numbers: all sizes, both signs, denormals, infinities. */
function everyFloat(stride: number): Float32Array {
  const bits = Uint32Array.from({ length: Math.floor(2 ** 32 / stride) }, (_, i) => i * stride);
  return new Float32Array(bits.buffer).filter((x) => !Number.isNaN(x));
}

function evenly(from: number, to: number, count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => from + ((to - from) * i) / count);
}

/** The largest errors against float64, in units in the last place, as assembly/math.ts and its kernels state them. */
const functions = [
  { kernel: Exp, exact: Math.exp, from: -104, to: 89, most: 1 },
  { kernel: Log, exact: Math.log, from: 0, to: 4, most: 1 },
  { kernel: Log1p, exact: Math.log1p, from: -1, to: 3, most: 2.2 },
  { kernel: Sigmoid, exact: (x: number) => 1 / (1 + Math.exp(-x)), from: -104, to: 20, most: 2.1 },
  { kernel: Tanh, exact: Math.tanh, from: -10, to: 10, most: 2.5 },
  { kernel: Erf, exact: erf, from: -5, to: 5, most: 1.2 },
  { kernel: Elu, exact: (x: number) => (x >= 0 ? x : Math.expm1(x)), from: -20, to: 1, most: 1 },
  { kernel: Rsqrt, exact: (x: number) => 1 / Math.sqrt(x), from: 0, to: 9, most: 1.5 },
  { kernel: Sqrt, exact: Math.sqrt, from: 0, to: 9, most: 0.5 },
];

test.each(functions)('$kernel is at most $most units off, for every size of number', (row) => {
  const { kernel, exact, from, to, most } = row;
  let worst = { error: 0, x: 0, got: 0 };
  for (const data of [everyFloat(20_011), evenly(from, to, 100_003)]) {
    const x: NdArray = { dtype: 'float32', shape: [data.length], data };
    const y = runKernel(ours, { kernel, inputs: { x } }).data as Float32Array;
    for (const [i, got] of y.entries()) {
      const wanted = exact(data[i]);
      if (Object.is(got, Math.fround(wanted))) continue;
      const error = Math.abs(got - wanted) / unit(Math.fround(wanted));
      if (!(error <= worst.error)) worst = { error, x: data[i], got };
    }
  }
  expect(worst.error, JSON.stringify(worst)).toBeLessThanOrEqual(most);
});

test.each(functions)('$kernel is right at 0, the infinities and NaN', ({ kernel, exact }) => {
  const data = Float32Array.of(
    0,
    -0,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    Number.NaN,
    1e-45,
    -1e-45,
  );
  const x: NdArray = { dtype: 'float32', shape: [7], data };
  const y = runKernel(ours, { kernel, inputs: { x } });
  expect(Array.from(y.data as Float32Array)).toEqual(Array.from(data, (value) => Math.fround(exact(value))));
});

test.each(functions)('$kernel gives an element the same bits wherever it stands', ({ kernel, from, to }) => {
  const data = evenly(from, to, 37);
  const whole = runKernel(ours, { kernel, inputs: { x: { dtype: 'float32', shape: [37], data } } });
  for (let start = 1; start < 8; start++) {
    const x: NdArray = { dtype: 'float32', shape: [37 - start], data: data.slice(start) };
    expect(runKernel(ours, { kernel, inputs: { x } }).data).toEqual(whole.data.slice(start));
  }
});
