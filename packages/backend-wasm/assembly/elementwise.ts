import {
  errorFunction,
  exponential,
  exponentialMinusOne,
  hyperbolicTangent,
  logarithm,
  logarithmOfOnePlus,
  logistic,
  splat,
} from './math';

// Kernels that make each element from one: [x, out, elements, chunk, …]. A part is a chunk of elements, a multiple of
// 16. They run over whole vectors, and so into the padding of blocks.

const RELU = 0;
const RELU6 = 1;
const STEP = 2;
const SQRT = 3;
const RSQRT = 4;
const SQUARE = 5;
const NEG = 6;
const ABS = 7;
const RECIPROCAL = 8;
const CLIP = 9;
const FROM_INTEGER = 10;
const LEAKY_RELU = 11;
const SIGN = 12;
const EXP = 20;
const LOG = 21;
const LOG1P = 22;
const SIGMOID = 23;
const TANH = 24;
const ERF = 25;
const ELU = 26;
const SELU = 27;

/** f(x); `a` and `b` are what the function takes besides. */
@inline
function apply(op: i32, x: v128, a: v128, b: v128): v128 {
  const zero = splat(0.0);
  const one = splat(1.0);
  // The sum makes −0 to 0. NaN stays, since no comparison with it holds.
  if (op == RELU) return f32x4.add(f32x4.pmax(x, zero), zero);
  if (op == RELU6) return f32x4.add(f32x4.pmin(f32x4.pmax(x, zero), splat(6.0)), zero);
  if (op == STEP) {
    const y = v128.bitselect(one, a, f32x4.gt(x, zero));
    return v128.bitselect(y, x, f32x4.eq(x, x));
  }
  if (op == SQRT) return f32x4.sqrt(x);
  if (op == RSQRT) return f32x4.div(one, f32x4.sqrt(x));
  if (op == SQUARE) return f32x4.mul(x, x);
  if (op == NEG) return f32x4.neg(x);
  if (op == ABS) return f32x4.abs(x);
  if (op == RECIPROCAL) return f32x4.div(one, x);
  if (op == CLIP) return f32x4.pmin(f32x4.pmax(x, a), b);
  if (op == FROM_INTEGER) return f32x4.convert_i32x4_s(x);
  if (op == LEAKY_RELU) return v128.bitselect(f32x4.mul(x, a), x, f32x4.lt(x, zero));
  if (op == SIGN) {
    return f32x4.sub(v128.and(f32x4.gt(x, zero), one), v128.and(f32x4.lt(x, zero), one));
  }
  if (op == EXP) return exponential(x);
  if (op == LOG) return logarithm(x);
  if (op == LOG1P) return logarithmOfOnePlus(x);
  if (op == SIGMOID) return logistic(x);
  if (op == TANH) return hyperbolicTangent(x);
  if (op == ERF) return errorFunction(x);
  const e = exponentialMinusOne(f32x4.pmin(x, zero));
  if (op == ELU) return v128.bitselect(x, e, f32x4.ge(x, zero));
  if (op == SELU) return v128.bitselect(f32x4.mul(x, a), f32x4.mul(e, b), f32x4.ge(x, zero));
  return x;
}

/** Four vectors at a time, for functions that memory is slower than. */
@inline
function light(op: i32, args: usize, begin: i32, end: i32, a: v128, b: v128): void {
  const x = <usize>load<u32>(args);
  const out = <usize>load<u32>(args, 4);
  const chunk = load<i32>(args, 12);
  const last = <usize>min(load<i32>(args, 8), end * chunk) << 2;
  for (let at = <usize>(begin * chunk) << 2; at < last; at += 64) {
    const from = x + at;
    const to = out + at;
    v128.store(to, apply(op, v128.load(from), a, b));
    v128.store(to, apply(op, v128.load(from, 16), a, b), 16);
    v128.store(to, apply(op, v128.load(from, 32), a, b), 32);
    v128.store(to, apply(op, v128.load(from, 48), a, b), 48);
  }
}

@inline
function heavy(op: i32, args: usize, begin: i32, end: i32, a: v128, b: v128): void {
  const x = <usize>load<u32>(args);
  const out = <usize>load<u32>(args, 4);
  const chunk = load<i32>(args, 12);
  const last = <usize>min(load<i32>(args, 8), end * chunk) << 2;
  for (let at = <usize>(begin * chunk) << 2; at < last; at += 16) {
    v128.store(out + at, apply(op, v128.load(x + at), a, b));
  }
}

/** A number among the words. */
@inline
function number(args: usize, word: usize): v128 {
  return v128.load32_splat(args + (word << 2));
}

/** max(0, x). */
export function relu(args: usize, begin: i32, end: i32): void {
  light(RELU, args, begin, end, splat(0), splat(0));
}

/** min(max(0, x), 6). */
export function relu6(args: usize, begin: i32, end: i32): void {
  light(RELU6, args, begin, end, splat(0), splat(0));
}

/** 1 where x > 0, and a word's number elsewhere. */
export function step(args: usize, begin: i32, end: i32): void {
  light(STEP, args, begin, end, number(args, 4), splat(0));
}

export function squareRoot(args: usize, begin: i32, end: i32): void {
  light(SQRT, args, begin, end, splat(0), splat(0));
}

export function reciprocalSquareRoot(args: usize, begin: i32, end: i32): void {
  light(RSQRT, args, begin, end, splat(0), splat(0));
}

export function square(args: usize, begin: i32, end: i32): void {
  light(SQUARE, args, begin, end, splat(0), splat(0));
}

export function negate(args: usize, begin: i32, end: i32): void {
  light(NEG, args, begin, end, splat(0), splat(0));
}

export function absolute(args: usize, begin: i32, end: i32): void {
  light(ABS, args, begin, end, splat(0), splat(0));
}

export function reciprocal(args: usize, begin: i32, end: i32): void {
  light(RECIPROCAL, args, begin, end, splat(0), splat(0));
}

/** −1, 0 or 1; 0 for NaN. */
export function sign(args: usize, begin: i32, end: i32): void {
  light(SIGN, args, begin, end, splat(0), splat(0));
}

/** x between two numbers among the words. */
export function clip(args: usize, begin: i32, end: i32): void {
  light(CLIP, args, begin, end, number(args, 4), number(args, 5));
}

/** x, times a word's number where it is negative. */
export function leakyRelu(args: usize, begin: i32, end: i32): void {
  light(LEAKY_RELU, args, begin, end, number(args, 4), splat(0));
}

/** int32 to the nearest float32. */
export function integerToFloat(args: usize, begin: i32, end: i32): void {
  light(FROM_INTEGER, args, begin, end, splat(0), splat(0));
}

export function exp(args: usize, begin: i32, end: i32): void {
  heavy(EXP, args, begin, end, splat(0), splat(0));
}

export function log(args: usize, begin: i32, end: i32): void {
  heavy(LOG, args, begin, end, splat(0), splat(0));
}

/** log(1 + x). */
export function log1p(args: usize, begin: i32, end: i32): void {
  heavy(LOG1P, args, begin, end, splat(0), splat(0));
}

export function sigmoid(args: usize, begin: i32, end: i32): void {
  heavy(SIGMOID, args, begin, end, splat(0), splat(0));
}

export function tanh(args: usize, begin: i32, end: i32): void {
  heavy(TANH, args, begin, end, splat(0), splat(0));
}

export function erf(args: usize, begin: i32, end: i32): void {
  heavy(ERF, args, begin, end, splat(0), splat(0));
}

/** x where it isn't negative, eˣ − 1 where it is. */
export function elu(args: usize, begin: i32, end: i32): void {
  heavy(ELU, args, begin, end, splat(0), splat(0));
}

/** As elu, times a word's number, and another where x is negative. */
export function selu(args: usize, begin: i32, end: i32): void {
  heavy(SELU, args, begin, end, number(args, 4), number(args, 5));
}

/** A word's bits, over and over: [out, words, chunk, bits]. */
export function fill(args: usize, begin: i32, end: i32): void {
  const out = <usize>load<u32>(args);
  const chunk = load<i32>(args, 8);
  const bits = v128.load32_splat(args, 12);
  const last = <usize>min(load<i32>(args, 4), end * chunk) << 2;
  for (let at = <usize>(begin * chunk) << 2; at < last; at += 16) v128.store(out + at, bits);
}
