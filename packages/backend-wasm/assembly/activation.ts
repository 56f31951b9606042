import { errorFunction, exponential, hyperbolicTangent, multiplyAdd, splat } from './math';

// Activations that tfjs has no kernel for, and derivatives: elements and chunks as in elementwise.ts and broadcast.ts.

const RELU_GRAD = 0;
const SIGMOID_GRAD = 1;
const TANH_GRAD = 2;
const GELU_GRAD = 3;
const GELU_TANH_GRAD = 4;
const ELU_GRAD = 5;

// √½, √(2/π), 1/√(2π), and the factor of the cubic term.
const ROOT_HALF: f32 = 0.7071067811865476;
const TANH_SCALE: f32 = 0.7978845608028654;
const DENSITY: f32 = 0.3989422804014327;
const CUBIC: f32 = 0.044715;
const CUBIC_SLOPE: f32 = 0.134145;

@inline
function tanhArgument(x: v128, square: v128): v128 {
  return f32x4.mul(f32x4.mul(x, multiplyAdd(square, splat(CUBIC), splat(1))), splat(TANH_SCALE));
}

@inline
function geluOf(approximate: bool, x: v128): v128 {
  const share = approximate
    ? hyperbolicTangent(tanhArgument(x, f32x4.mul(x, x)))
    : errorFunction(f32x4.mul(x, splat(ROOT_HALF)));
  return f32x4.mul(f32x4.mul(x, splat(0.5)), f32x4.add(share, splat(1)));
}

/** dy · f′, from the function's output or its input. */
@inline
function derivative(op: i32, dy: v128, x: v128): v128 {
  const one = splat(1);
  if (op == RELU_GRAD) {
    // dy times 1, 0 or NaN, as the product with step(y).
    const step = v128.bitselect(v128.and(f32x4.gt(x, splat(0)), one), x, f32x4.eq(x, x));
    return f32x4.mul(dy, step);
  }
  if (op == SIGMOID_GRAD) return f32x4.mul(dy, f32x4.mul(x, f32x4.sub(one, x)));
  if (op == TANH_GRAD) return f32x4.mul(dy, f32x4.sub(one, f32x4.mul(x, x)));
  if (op == ELU_GRAD) {
    return v128.bitselect(dy, f32x4.mul(dy, f32x4.add(x, one)), f32x4.ge(x, splat(0)));
  }
  const square = f32x4.mul(x, x);
  if (op == GELU_GRAD) {
    const below = f32x4.mul(f32x4.add(errorFunction(f32x4.mul(x, splat(ROOT_HALF))), one), splat(0.5));
    const density = f32x4.mul(exponential(f32x4.mul(square, splat(-0.5))), splat(DENSITY));
    return f32x4.mul(dy, multiplyAdd(x, density, below));
  }
  const t = hyperbolicTangent(tanhArgument(x, square));
  const slope = f32x4.mul(multiplyAdd(square, splat(CUBIC_SLOPE), one), splat(TANH_SCALE));
  const bend = f32x4.mul(f32x4.mul(x, f32x4.sub(one, f32x4.mul(t, t))), slope);
  return f32x4.mul(dy, f32x4.mul(f32x4.add(f32x4.add(t, one), bend), splat(0.5)));
}

@inline
function gelus(approximate: bool, args: usize, begin: i32, end: i32): void {
  const x = <usize>load<u32>(args);
  const out = <usize>load<u32>(args, 4);
  const chunk = load<i32>(args, 12);
  const last = <usize>min(load<i32>(args, 8), end * chunk) << 2;
  for (let at = <usize>(begin * chunk) << 2; at < last; at += 16) {
    v128.store(out + at, geluOf(approximate, v128.load(x + at)));
  }
}

/** [dy, x or y, out, elements, chunk]. */
@inline
function derivatives(op: i32, args: usize, begin: i32, end: i32): void {
  const dy = <usize>load<u32>(args);
  const x = <usize>load<u32>(args, 4);
  const out = <usize>load<u32>(args, 8);
  const chunk = load<i32>(args, 16);
  const last = <usize>min(load<i32>(args, 12), end * chunk) << 2;
  for (let at = <usize>(begin * chunk) << 2; at < last; at += 16) {
    v128.store(out + at, derivative(op, v128.load(dy + at), v128.load(x + at)));
  }
}

/** x/2 · (1 + erf(x/√2)). */
export function gelu(args: usize, begin: i32, end: i32): void {
  gelus(false, args, begin, end);
}

/** x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))). */
export function geluTanh(args: usize, begin: i32, end: i32): void {
  gelus(true, args, begin, end);
}

export function geluGrad(args: usize, begin: i32, end: i32): void {
  derivatives(GELU_GRAD, args, begin, end);
}

export function geluTanhGrad(args: usize, begin: i32, end: i32): void {
  derivatives(GELU_TANH_GRAD, args, begin, end);
}

/** dy · [y > 0]. */
export function reluGrad(args: usize, begin: i32, end: i32): void {
  derivatives(RELU_GRAD, args, begin, end);
}

/** dy · y · (1 − y). */
export function sigmoidGrad(args: usize, begin: i32, end: i32): void {
  derivatives(SIGMOID_GRAD, args, begin, end);
}

/** dy · (1 − y²). */
export function tanhGrad(args: usize, begin: i32, end: i32): void {
  derivatives(TANH_GRAD, args, begin, end);
}

/** dy where y isn't negative, dy · (y + 1) where it is. */
export function eluGrad(args: usize, begin: i32, end: i32): void {
  derivatives(ELU_GRAD, args, begin, end);
}
