import { narrow } from './math';

// Kernels to and from bool (a byte each, 0 or 1): [inputs, out, elements, chunk]. Sixteen elements at a time; a part
// is a chunk, a multiple of 16.

const NOT_ZERO = 0;
const FINITE = 1;
const IS_NAN = 2;
const INFINITE = 3;
const INTEGER = 4;

@inline
function test(op: i32, x: v128): v128 {
  if (op == NOT_ZERO) return f32x4.ne(x, f32x4.splat(0));
  if (op == FINITE) return f32x4.lt(f32x4.abs(x), f32x4.splat(Infinity));
  if (op == IS_NAN) return f32x4.ne(x, x);
  if (op == INFINITE) return f32x4.eq(f32x4.abs(x), f32x4.splat(Infinity));
  return i32x4.ne(x, i32x4.splat(0));
}

@inline
function tests(op: i32, args: usize, begin: i32, end: i32): void {
  const x = <usize>load<u32>(args);
  const out = <usize>load<u32>(args, 4);
  const chunk = load<i32>(args, 12);
  const last = <usize>min(load<i32>(args, 8), end * chunk);
  for (let i = <usize>(begin * chunk); i < last; i += 16) {
    const from = x + (i << 2);
    const a = test(op, v128.load(from));
    const b = test(op, v128.load(from, 16));
    const c = test(op, v128.load(from, 32));
    const d = test(op, v128.load(from, 48));
    v128.store(out + i, narrow(a, b, c, d));
  }
}

/** x ≠ 0 of float32; NaN is. */
export function floatToBool(args: usize, begin: i32, end: i32): void {
  tests(NOT_ZERO, args, begin, end);
}

/** x ≠ 0 of int32. */
export function integerToBool(args: usize, begin: i32, end: i32): void {
  tests(INTEGER, args, begin, end);
}

export function isFinite(args: usize, begin: i32, end: i32): void {
  tests(FINITE, args, begin, end);
}

export function isNaN(args: usize, begin: i32, end: i32): void {
  tests(IS_NAN, args, begin, end);
}

export function isInfinite(args: usize, begin: i32, end: i32): void {
  tests(INFINITE, args, begin, end);
}

/** Bytes to int32. */
export function boolToInteger(args: usize, begin: i32, end: i32): void {
  const x = <usize>load<u32>(args);
  const out = <usize>load<u32>(args, 4);
  const chunk = load<i32>(args, 12);
  const last = <usize>min(load<i32>(args, 8), end * chunk);
  for (let i = <usize>(begin * chunk); i < last; i += 4) {
    const halves = i16x8.extend_low_i8x16_u(v128.load32_zero(x + i));
    v128.store(out + (i << 2), i32x4.extend_low_i16x8_u(halves));
  }
}

/** Bytes to float32. */
export function boolToFloat(args: usize, begin: i32, end: i32): void {
  const x = <usize>load<u32>(args);
  const out = <usize>load<u32>(args, 4);
  const chunk = load<i32>(args, 12);
  const last = <usize>min(load<i32>(args, 8), end * chunk);
  for (let i = <usize>(begin * chunk); i < last; i += 4) {
    const halves = i16x8.extend_low_i8x16_u(v128.load32_zero(x + i));
    v128.store(out + (i << 2), f32x4.convert_i32x4_u(i32x4.extend_low_i16x8_u(halves)));
  }
}

/** As JavaScript's x | 0: the integer part modulo 2³², 0 for what is not finite. */
@inline
function wrap(x: f32): i32 {
  // Multiples of 2⁴⁰ from 2⁶³ on.
  return magnitude(x) < 9223372036854775808.0 ? <i32><i64>x : 0;
}

@inline
function magnitude(x: f32): f32 {
  return x < 0 ? -x : x;
}

/** float32 to int32, towards zero. */
export function floatToInteger(args: usize, begin: i32, end: i32): void {
  const x = <usize>load<u32>(args);
  const out = <usize>load<u32>(args, 4);
  const chunk = load<i32>(args, 12);
  const last = <usize>min(load<i32>(args, 8), end * chunk) << 2;
  for (let at = <usize>(begin * chunk) << 2; at < last; at += 16) {
    const values = v128.load(x + at);
    if (i32x4.all_true(f32x4.lt(f32x4.abs(values), f32x4.splat(2147483648.0)))) {
      v128.store(out + at, i32x4.trunc_sat_f32x4_s(values));
    } else {
      store<i32>(out + at, wrap(f32x4.extract_lane(values, 0)));
      store<i32>(out + at, wrap(f32x4.extract_lane(values, 1)), 4);
      store<i32>(out + at, wrap(f32x4.extract_lane(values, 2)), 8);
      store<i32>(out + at, wrap(f32x4.extract_lane(values, 3)), 12);
    }
  }
}

/** [a, b, out, elements, chunk]: b where a isn't 0, which is `a && b`. */
export function logicalAnd(args: usize, begin: i32, end: i32): void {
  const a = <usize>load<u32>(args);
  const b = <usize>load<u32>(args, 4);
  const out = <usize>load<u32>(args, 8);
  const chunk = load<i32>(args, 16);
  const last = <usize>min(load<i32>(args, 12), end * chunk);
  for (let i = <usize>(begin * chunk); i < last; i += 16) {
    v128.store(out + i, v128.and(i8x16.ne(v128.load(a + i), i8x16.splat(0)), v128.load(b + i)));
  }
}

/** [a, b, out, elements, chunk]: `a || b`. */
export function logicalOr(args: usize, begin: i32, end: i32): void {
  const a = <usize>load<u32>(args);
  const b = <usize>load<u32>(args, 4);
  const out = <usize>load<u32>(args, 8);
  const chunk = load<i32>(args, 16);
  const last = <usize>min(load<i32>(args, 12), end * chunk);
  for (let i = <usize>(begin * chunk); i < last; i += 16) {
    const x = v128.load(a + i);
    v128.store(out + i, v128.bitselect(x, v128.load(b + i), i8x16.ne(x, i8x16.splat(0))));
  }
}

/** 1 where x is 0, else 0. */
export function logicalNot(args: usize, begin: i32, end: i32): void {
  const x = <usize>load<u32>(args);
  const out = <usize>load<u32>(args, 4);
  const chunk = load<i32>(args, 12);
  const last = <usize>min(load<i32>(args, 8), end * chunk);
  for (let i = <usize>(begin * chunk); i < last; i += 16) {
    v128.store(out + i, v128.and(i8x16.eq(v128.load(x + i), i8x16.splat(0)), i8x16.splat(1)));
  }
}

/** [condition, yes, no, out, elements, chunk]: by element, the 32 bits of yes where the condition's byte is 1. */
export function select32(args: usize, begin: i32, end: i32): void {
  const condition = <usize>load<u32>(args);
  const yes = <usize>load<u32>(args, 4);
  const no = <usize>load<u32>(args, 8);
  const out = <usize>load<u32>(args, 12);
  const chunk = load<i32>(args, 20);
  const last = <usize>min(load<i32>(args, 16), end * chunk);
  for (let i = <usize>(begin * chunk); i < last; i += 4) {
    const halves = i16x8.extend_low_i8x16_u(v128.load32_zero(condition + i));
    const mask = i32x4.eq(i32x4.extend_low_i16x8_u(halves), i32x4.splat(1));
    const at = i << 2;
    v128.store(out + at, v128.bitselect(v128.load(yes + at), v128.load(no + at), mask));
  }
}

/** As select32, of bytes. */
export function select8(args: usize, begin: i32, end: i32): void {
  const condition = <usize>load<u32>(args);
  const yes = <usize>load<u32>(args, 4);
  const no = <usize>load<u32>(args, 8);
  const out = <usize>load<u32>(args, 12);
  const chunk = load<i32>(args, 20);
  const last = <usize>min(load<i32>(args, 16), end * chunk);
  for (let i = <usize>(begin * chunk); i < last; i += 16) {
    const mask = i8x16.eq(v128.load(condition + i), i8x16.splat(1));
    v128.store(out + i, v128.bitselect(v128.load(yes + i), v128.load(no + i), mask));
  }
}

/** All of `yes` or all of `no`, by one byte: [condition, yes, no, out, bytes, chunk]. */
export function choose(args: usize, begin: i32, end: i32): void {
  const yes = load<u8>(<usize>load<u32>(args)) != 0;
  const from = <usize>(yes ? load<u32>(args, 4) : load<u32>(args, 8));
  const to = <usize>load<u32>(args, 12);
  const chunk = load<i32>(args, 20);
  const first = begin * chunk;
  const last = min(load<i32>(args, 16), end * chunk);
  if (first < last) memory.copy(to + first, from + first, last - first);
}
