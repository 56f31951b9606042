import { narrow } from './math';

// Kernels that make each element from two, broadcast: [a, b, out, mode, elements, chunk] in the modes of equal shapes
// and of a scalar, where a part is a chunk of elements, a multiple of 16; and
// [a, b, out, ROWS, inner, rows, rows a part, a's step, b's step, axes, (length, a's stride, b's stride) …], where each
// row of `inner` elements of the result is made from runs of a and b that step by 1 or stay (step 0). Strides are in
// elements, of the axes before the last, the outermost first.

const BOTH = 0;
const RIGHT_SCALAR = 1;
const LEFT_SCALAR = 2;

const ADD = 0;
const SUB = 1;
const MULTIPLY = 2;
const DIVIDE = 3;
const MAXIMUM = 4;
const MINIMUM = 5;
const SQUARED_DIFFERENCE = 6;
const ADD_INTEGER = 10;
const SUB_INTEGER = 11;
const MULTIPLY_INTEGER = 12;
const GREATER = 20;
const GREATER_EQUAL = 21;
const LESS = 22;
const LESS_EQUAL = 23;
const EQUAL = 24;
const NOT_EQUAL = 25;

@inline
function apply(op: i32, a: v128, b: v128): v128 {
  if (op == ADD) return f32x4.add(a, b);
  if (op == SUB) return f32x4.sub(a, b);
  if (op == MULTIPLY) return f32x4.mul(a, b);
  if (op == DIVIDE) return f32x4.div(a, b);
  if (op == MAXIMUM) return f32x4.max(a, b);
  if (op == MINIMUM) return f32x4.min(a, b);
  if (op == SQUARED_DIFFERENCE) return f32x4.mul(f32x4.sub(a, b), f32x4.sub(a, b));
  if (op == ADD_INTEGER) return i32x4.add(a, b);
  if (op == SUB_INTEGER) return i32x4.sub(a, b);
  if (op == MULTIPLY_INTEGER) return i32x4.mul(a, b);
  if (op == GREATER) return f32x4.gt(a, b);
  if (op == GREATER_EQUAL) return f32x4.ge(a, b);
  if (op == LESS) return f32x4.lt(a, b);
  if (op == LESS_EQUAL) return f32x4.le(a, b);
  if (op == EQUAL) return f32x4.eq(a, b);
  return f32x4.ne(a, b);
}

/** Where in an operand the row `row` of the result begins, in bytes. `stride` is the word of the operand's first one. */
@inline
function placeOf(row: i32, axes: i32, lengths: usize, stride: usize): usize {
  if (axes == 1) return <usize>(row * load<i32>(lengths + stride)) << 2;
  let place = 0;
  for (let axis = axes - 1; axis >= 0; axis--) {
    const words = lengths + <usize>(axis * 12);
    const length = load<i32>(words);
    const outer = row / length;
    place += (row - outer * length) * load<i32>(words + stride);
    row = outer;
  }
  return <usize>place << 2;
}

@inline
function operand(at: usize, step: i32): v128 {
  return step ? v128.load(at) : v128.load32_splat(at);
}

/** A row of the result; the steps are constants where this is used, in bytes of an element. */
@inline
function run(op: i32, a: usize, b: usize, out: usize, count: i32, aStep: i32, bStep: i32): void {
  let i = 0;
  for (; i <= count - 4; i += 4, out += 16) {
    v128.store(out, apply(op, operand(a, aStep), operand(b, bStep)));
    a += <usize>(aStep << 2);
    b += <usize>(bStep << 2);
  }
  for (; i < count; i++, out += 4) {
    const y = apply(op, v128.load32_splat(a), v128.load32_splat(b));
    store<i32>(out, i32x4.extract_lane(y, 0));
    a += <usize>aStep;
    b += <usize>bStep;
  }
}

@inline
function binary(op: i32, args: usize, begin: i32, end: i32): void {
  const a = <usize>load<u32>(args);
  const b = <usize>load<u32>(args, 4);
  const out = <usize>load<u32>(args, 8);
  const mode = load<i32>(args, 12);
  if (mode <= LEFT_SCALAR) {
    const chunk = load<i32>(args, 20);
    const last = <usize>min(load<i32>(args, 16), end * chunk) << 2;
    let at = <usize>(begin * chunk) << 2;
    if (mode == BOTH) {
      for (; at < last; at += 64) {
        const x = a + at;
        const y = b + at;
        const to = out + at;
        v128.store(to, apply(op, v128.load(x), v128.load(y)));
        v128.store(to, apply(op, v128.load(x, 16), v128.load(y, 16)), 16);
        v128.store(to, apply(op, v128.load(x, 32), v128.load(y, 32)), 32);
        v128.store(to, apply(op, v128.load(x, 48), v128.load(y, 48)), 48);
      }
    } else if (mode == RIGHT_SCALAR) {
      const y = v128.load32_splat(b);
      for (; at < last; at += 32) {
        v128.store(out + at, apply(op, v128.load(a + at), y));
        v128.store(out + at, apply(op, v128.load(a + at, 16), y), 16);
      }
    } else {
      const x = v128.load32_splat(a);
      for (; at < last; at += 32) {
        v128.store(out + at, apply(op, x, v128.load(b + at)));
        v128.store(out + at, apply(op, x, v128.load(b + at, 16)), 16);
      }
    }
    return;
  }
  const inner = load<i32>(args, 16);
  const rowsPerPart = load<i32>(args, 24);
  const aStep = load<i32>(args, 28) << 2;
  const bStep = load<i32>(args, 32) << 2;
  const axes = load<i32>(args, 36);
  const lengths = args + 40;
  const last = min(load<i32>(args, 20), end * rowsPerPart);
  for (let row = begin * rowsPerPart; row < last; row++) {
    const x = a + placeOf(row, axes, lengths, 4);
    const y = b + placeOf(row, axes, lengths, 8);
    const to = out + (<usize>(row * inner) << 2);
    if (bStep == 0) run(op, x, y, to, inner, 4, 0);
    else if (aStep == 0) run(op, x, y, to, inner, 0, 4);
    else run(op, x, y, to, inner, 4, 4);
  }
}

/** As `binary`, to bool. */
@inline
function comparison(op: i32, args: usize, begin: i32, end: i32): void {
  const a = <usize>load<u32>(args);
  const b = <usize>load<u32>(args, 4);
  const out = <usize>load<u32>(args, 8);
  const mode = load<i32>(args, 12);
  if (mode <= LEFT_SCALAR) {
    const chunk = load<i32>(args, 20);
    const last = <usize>min(load<i32>(args, 16), end * chunk);
    // A scalar is the same vector again and again.
    const aStep: usize = mode == LEFT_SCALAR ? 0 : 16;
    const bStep: usize = mode == RIGHT_SCALAR ? 0 : 16;
    const aScalar = v128.load32_splat(a);
    const bScalar = v128.load32_splat(b);
    let x = a + (aStep * <usize>(begin * chunk) >> 2);
    let y = b + (bStep * <usize>(begin * chunk) >> 2);
    for (let i = <usize>(begin * chunk); i < last; i += 16) {
      if (mode == BOTH) {
        const c = apply(op, v128.load(x), v128.load(y));
        const d = apply(op, v128.load(x, 16), v128.load(y, 16));
        const e = apply(op, v128.load(x, 32), v128.load(y, 32));
        const f = apply(op, v128.load(x, 48), v128.load(y, 48));
        v128.store(out + i, narrow(c, d, e, f));
      } else if (mode == RIGHT_SCALAR) {
        const c = apply(op, v128.load(x), bScalar);
        const d = apply(op, v128.load(x, 16), bScalar);
        const e = apply(op, v128.load(x, 32), bScalar);
        const f = apply(op, v128.load(x, 48), bScalar);
        v128.store(out + i, narrow(c, d, e, f));
      } else {
        const c = apply(op, aScalar, v128.load(y));
        const d = apply(op, aScalar, v128.load(y, 16));
        const e = apply(op, aScalar, v128.load(y, 32));
        const f = apply(op, aScalar, v128.load(y, 48));
        v128.store(out + i, narrow(c, d, e, f));
      }
      x += aStep << 2;
      y += bStep << 2;
    }
    return;
  }
  const inner = load<i32>(args, 16);
  const rowsPerPart = load<i32>(args, 24);
  const aStep = <usize>(load<i32>(args, 28) << 2);
  const bStep = <usize>(load<i32>(args, 32) << 2);
  const axes = load<i32>(args, 36);
  const lengths = args + 40;
  const last = min(load<i32>(args, 20), end * rowsPerPart);
  for (let row = begin * rowsPerPart; row < last; row++) {
    let x = a + placeOf(row, axes, lengths, 4);
    let y = b + placeOf(row, axes, lengths, 8);
    const to = out + <usize>(row * inner);
    for (let i: usize = 0; i < <usize>inner; i++) {
      const c = apply(op, v128.load32_splat(x), v128.load32_splat(y));
      store<u8>(to + i, <u8>(i32x4.extract_lane(c, 0) & 1));
      x += aStep;
      y += bStep;
    }
  }
}

export function add(args: usize, begin: i32, end: i32): void {
  binary(ADD, args, begin, end);
}

export function sub(args: usize, begin: i32, end: i32): void {
  binary(SUB, args, begin, end);
}

export function multiply(args: usize, begin: i32, end: i32): void {
  binary(MULTIPLY, args, begin, end);
}

export function divide(args: usize, begin: i32, end: i32): void {
  binary(DIVIDE, args, begin, end);
}

/** NaN if either is. */
export function maximum(args: usize, begin: i32, end: i32): void {
  binary(MAXIMUM, args, begin, end);
}

export function minimum(args: usize, begin: i32, end: i32): void {
  binary(MINIMUM, args, begin, end);
}

export function squaredDifference(args: usize, begin: i32, end: i32): void {
  binary(SQUARED_DIFFERENCE, args, begin, end);
}

/** int32, modulo 2³², as the next two. */
export function addInteger(args: usize, begin: i32, end: i32): void {
  binary(ADD_INTEGER, args, begin, end);
}

export function subInteger(args: usize, begin: i32, end: i32): void {
  binary(SUB_INTEGER, args, begin, end);
}

export function multiplyInteger(args: usize, begin: i32, end: i32): void {
  binary(MULTIPLY_INTEGER, args, begin, end);
}

export function greater(args: usize, begin: i32, end: i32): void {
  comparison(GREATER, args, begin, end);
}

export function greaterEqual(args: usize, begin: i32, end: i32): void {
  comparison(GREATER_EQUAL, args, begin, end);
}

export function less(args: usize, begin: i32, end: i32): void {
  comparison(LESS, args, begin, end);
}

export function lessEqual(args: usize, begin: i32, end: i32): void {
  comparison(LESS_EQUAL, args, begin, end);
}

export function equal(args: usize, begin: i32, end: i32): void {
  comparison(EQUAL, args, begin, end);
}

export function notEqual(args: usize, begin: i32, end: i32): void {
  comparison(NOT_EQUAL, args, begin, end);
}
