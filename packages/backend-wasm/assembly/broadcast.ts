/**
 * Kernels of two float32 operands, broadcast: [a, b] → [y], then
 *
 * - `…Same`, `…Scalar` (b is one number), `…ScalarFirst` (a is): [vectors, vectors in a part]
 * - `…Rows`: [axes, rows, rows in a part, length, aStep, bStep, then for each outer axis its length and the strides of
 *   a and b, in elements, the innermost first]. A row is the innermost axis; a step along it is 0 or 1 elements.
 */

const ADD: i32 = 0;
const SUB: i32 = 1;
const MULTIPLY: i32 = 2;
const DIVIDE: i32 = 3;
const MAXIMUM: i32 = 4;
const MINIMUM: i32 = 5;
const SQUARED_DIFFERENCE: i32 = 6;

// @ts-ignore: decorator
@inline
function apply(op: i32, a: v128, b: v128): v128 {
  if (op == ADD) return f32x4.add(a, b);
  if (op == SUB) return f32x4.sub(a, b);
  if (op == MULTIPLY) return f32x4.mul(a, b);
  if (op == DIVIDE) return f32x4.div(a, b);
  if (op == MAXIMUM) return f32x4.max(a, b);
  if (op == MINIMUM) return f32x4.min(a, b);
  const d = f32x4.sub(a, b);
  return f32x4.mul(d, d);
}

// @ts-ignore: decorator
@inline
function one(op: i32, a: f32, b: f32): f32 {
  if (op == ADD) return a + b;
  if (op == SUB) return a - b;
  if (op == MULTIPLY) return a * b;
  if (op == DIVIDE) return a / b;
  if (op == MAXIMUM) return max(a, b);
  if (op == MINIMUM) return min(a, b);
  const d = a - b;
  return d * d;
}

/** `which`: 0 both are whole, 1 b is one number, 2 a is. */
// @ts-ignore: decorator
@inline
function whole(op: i32, which: i32, args: usize, begin: i32, end: i32): void {
  const a = <usize>load<u32>(args);
  const b = <usize>load<u32>(args, 4);
  const y = <usize>load<u32>(args, 8);
  const perPart = load<i32>(args, 16);
  const stop = <usize>min(end * perPart, load<i32>(args, 12)) << 4;
  const number = v128.load32_splat(which == 2 ? a : b);
  for (let at = <usize>(begin * perPart) << 4; at < stop; at += 16) {
    const left = which == 2 ? number : v128.load(a + at);
    const right = which == 1 ? number : v128.load(b + at);
    v128.store(y + at, apply(op, left, right));
  }
}

// @ts-ignore: decorator
@inline
function rows(op: i32, args: usize, begin: i32, end: i32): void {
  const a = <usize>load<u32>(args);
  const b = <usize>load<u32>(args, 4);
  const y = <usize>load<u32>(args, 8);
  const axes = load<i32>(args, 12);
  const count = load<i32>(args, 16);
  const perPart = load<i32>(args, 20);
  const length = load<i32>(args, 24);
  const aStep = load<i32>(args, 28);
  const bStep = load<i32>(args, 32);
  const stop = min(end * perPart, count);
  for (let row = begin * perPart; row < stop; row++) {
    // Where the row begins in each operand.
    let rest = row;
    let p = a;
    let q = b;
    for (let axis = 0; axis < axes; axis++) {
      const words = args + 36 + <usize>(axis * 12);
      const size = load<i32>(words);
      const index = rest % size;
      rest /= size;
      p += <usize>(index * load<i32>(words, 4)) << 2;
      q += <usize>(index * load<i32>(words, 8)) << 2;
    }
    const out = y + ((<usize>row * <usize>length) << 2);
    const bytes = <usize>length << 2;
    const vectors = bytes & ~15;
    let at: usize = 0;
    if (aStep != 0 && bStep != 0) {
      for (; at < vectors; at += 16) v128.store(out + at, apply(op, v128.load(p + at), v128.load(q + at)));
      for (; at < bytes; at += 4) store<f32>(out + at, one(op, load<f32>(p + at), load<f32>(q + at)));
    } else if (aStep != 0) {
      const number = v128.load32_splat(q);
      for (; at < vectors; at += 16) v128.store(out + at, apply(op, v128.load(p + at), number));
      for (; at < bytes; at += 4) store<f32>(out + at, one(op, load<f32>(p + at), load<f32>(q)));
    } else {
      const number = v128.load32_splat(p);
      for (; at < vectors; at += 16) v128.store(out + at, apply(op, number, v128.load(q + at)));
      for (; at < bytes; at += 4) store<f32>(out + at, one(op, load<f32>(p), load<f32>(q + at)));
    }
  }
}

export function addSame(args: usize, begin: i32, end: i32): void {
  whole(ADD, 0, args, begin, end);
}
export function addScalar(args: usize, begin: i32, end: i32): void {
  whole(ADD, 1, args, begin, end);
}
export function addScalarFirst(args: usize, begin: i32, end: i32): void {
  whole(ADD, 2, args, begin, end);
}
export function addRows(args: usize, begin: i32, end: i32): void {
  rows(ADD, args, begin, end);
}
export function subSame(args: usize, begin: i32, end: i32): void {
  whole(SUB, 0, args, begin, end);
}
export function subScalar(args: usize, begin: i32, end: i32): void {
  whole(SUB, 1, args, begin, end);
}
export function subScalarFirst(args: usize, begin: i32, end: i32): void {
  whole(SUB, 2, args, begin, end);
}
export function subRows(args: usize, begin: i32, end: i32): void {
  rows(SUB, args, begin, end);
}
export function multiplySame(args: usize, begin: i32, end: i32): void {
  whole(MULTIPLY, 0, args, begin, end);
}
export function multiplyScalar(args: usize, begin: i32, end: i32): void {
  whole(MULTIPLY, 1, args, begin, end);
}
export function multiplyScalarFirst(args: usize, begin: i32, end: i32): void {
  whole(MULTIPLY, 2, args, begin, end);
}
export function multiplyRows(args: usize, begin: i32, end: i32): void {
  rows(MULTIPLY, args, begin, end);
}
export function divideSame(args: usize, begin: i32, end: i32): void {
  whole(DIVIDE, 0, args, begin, end);
}
export function divideScalar(args: usize, begin: i32, end: i32): void {
  whole(DIVIDE, 1, args, begin, end);
}
export function divideScalarFirst(args: usize, begin: i32, end: i32): void {
  whole(DIVIDE, 2, args, begin, end);
}
export function divideRows(args: usize, begin: i32, end: i32): void {
  rows(DIVIDE, args, begin, end);
}
export function maximumSame(args: usize, begin: i32, end: i32): void {
  whole(MAXIMUM, 0, args, begin, end);
}
export function maximumScalar(args: usize, begin: i32, end: i32): void {
  whole(MAXIMUM, 1, args, begin, end);
}
export function maximumScalarFirst(args: usize, begin: i32, end: i32): void {
  whole(MAXIMUM, 2, args, begin, end);
}
export function maximumRows(args: usize, begin: i32, end: i32): void {
  rows(MAXIMUM, args, begin, end);
}
export function minimumSame(args: usize, begin: i32, end: i32): void {
  whole(MINIMUM, 0, args, begin, end);
}
export function minimumScalar(args: usize, begin: i32, end: i32): void {
  whole(MINIMUM, 1, args, begin, end);
}
export function minimumScalarFirst(args: usize, begin: i32, end: i32): void {
  whole(MINIMUM, 2, args, begin, end);
}
export function minimumRows(args: usize, begin: i32, end: i32): void {
  rows(MINIMUM, args, begin, end);
}
export function squaredDifferenceSame(args: usize, begin: i32, end: i32): void {
  whole(SQUARED_DIFFERENCE, 0, args, begin, end);
}
export function squaredDifferenceScalar(args: usize, begin: i32, end: i32): void {
  whole(SQUARED_DIFFERENCE, 1, args, begin, end);
}
export function squaredDifferenceScalarFirst(args: usize, begin: i32, end: i32): void {
  whole(SQUARED_DIFFERENCE, 2, args, begin, end);
}
export function squaredDifferenceRows(args: usize, begin: i32, end: i32): void {
  rows(SQUARED_DIFFERENCE, args, begin, end);
}
