import {
  Acosh,
  Asinh,
  Atanh,
  Cos,
  Elu,
  Erf,
  Exp,
  Expm1,
  Log,
  Log1p,
  Rsqrt,
  Sigmoid,
  Sin,
  Softplus,
  Sqrt,
  Tan,
  Tanh,
} from '@tensorflow/tfjs-core';

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

/** The functions of one number, in float64, and where they are neither 0 nor infinite nor at their limits. */
export const functions = [
  { kernel: Exp, exact: Math.exp, from: -104, to: 89 },
  { kernel: Log, exact: Math.log, from: 0, to: 4 },
  { kernel: Log1p, exact: Math.log1p, from: -1, to: 3 },
  { kernel: Sigmoid, exact: (x: number) => 1 / (1 + Math.exp(-x)), from: -104, to: 20 },
  { kernel: Tanh, exact: Math.tanh, from: -10, to: 10 },
  { kernel: Erf, exact: erf, from: -5, to: 5 },
  { kernel: Elu, exact: (x: number) => (x >= 0 ? x : Math.expm1(x)), from: -20, to: 1 },
  { kernel: Rsqrt, exact: (x: number) => 1 / Math.sqrt(x), from: 0, to: 9 },
  { kernel: Sqrt, exact: Math.sqrt, from: 0, to: 9 },
  { kernel: Expm1, exact: Math.expm1, from: -20, to: 20 },
  {
    kernel: Softplus,
    exact: (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
    from: -20,
    to: 20,
  },
  { kernel: Sin, exact: Math.sin, from: -500, to: 500 },
  { kernel: Cos, exact: Math.cos, from: -500, to: 500 },
  { kernel: Tan, exact: Math.tan, from: -1.5, to: 1.5 },
  { kernel: Asinh, exact: Math.asinh, from: -50, to: 50 },
  { kernel: Acosh, exact: Math.acosh, from: 1, to: 50 },
  { kernel: Atanh, exact: Math.atanh, from: -0.999, to: 0.999 },
];

export function evenly(from: number, to: number, count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => from + ((to - from) * i) / count);
}
