import { exponential, lanesSum, loadTail, logarithm, logarithmOfOnePlus, lowerHalf, splat, storeTail, upperHalf } from './math';

// Softmax and its cross-entropy, by rows of `count` elements.

/** The largest of a row; NaN if there is one. */
function largestOf(at: usize, count: i32): f32 {
  let y = splat(-Infinity);
  let i = 0;
  for (; i <= count - 4; i += 4, at += 16) y = f32x4.max(y, v128.load(at));
  for (; i < count; i++, at += 4) y = f32x4.max(y, v128.load32_splat(at));
  y = f32x4.max(y, v128.shuffle<i32>(y, y, 2, 3, 0, 1));
  y = f32x4.max(y, v128.shuffle<i32>(y, y, 1, 0, 3, 2));
  return f32x4.extract_lane(y, 0);
}

/** out ← e^(x − shift), and their sum. */
function exponentials(at: usize, out: usize, count: i32, shift: f32): f64 {
  let low = f64x2.splat(0);
  let high = f64x2.splat(0);
  let i = 0;
  for (; i <= count - 4; i += 4, at += 16, out += 16) {
    const e = exponential(f32x4.sub(v128.load(at), splat(shift)));
    v128.store(out, e);
    low = f64x2.add(low, lowerHalf(e));
    high = f64x2.add(high, upperHalf(e));
  }
  if (i < count) {
    const e = exponential(f32x4.sub(loadTail(at, count - i, -Infinity), splat(shift)));
    storeTail(out, count - i, e);
    const real = keep(e, count - i);
    low = f64x2.add(low, lowerHalf(real));
    high = f64x2.add(high, upperHalf(real));
  }
  return lanesSum(f64x2.add(low, high));
}

/** The first `count` lanes, and 0 in the others. */
@inline
function keep(x: v128, count: i32): v128 {
  const lanes = i32x4(0, 1, 2, 3);
  return v128.and(x, i32x4.lt_s(lanes, i32x4.splat(count)));
}

/** e^(x − max) / Σ: [x, out, rows, count, rows a part]. */
export function softmax(args: usize, begin: i32, end: i32): void {
  const x = <usize>load<u32>(args);
  const out = <usize>load<u32>(args, 4);
  const count = load<i32>(args, 12);
  const rowsPerPart = load<i32>(args, 16);
  const bytes = <usize>count << 2;
  const last = min(load<i32>(args, 8), end * rowsPerPart);
  for (let row = begin * rowsPerPart; row < last; row++) {
    const at = x + <usize>row * bytes;
    const to = out + <usize>row * bytes;
    const total = <f32>exponentials(at, to, count, largestOf(at, count));
    let i: usize = 0;
    for (; i + 16 <= bytes; i += 16) v128.store(to + i, f32x4.div(v128.load(to + i), splat(total)));
    for (; i < bytes; i += 4) store<f32>(to + i, load<f32>(to + i) / total);
  }
}

/** Σ e^(x − shift). */
function sumOfExponentials(at: usize, count: i32, shift: f32): f64 {
  let low = f64x2.splat(0);
  let high = f64x2.splat(0);
  let i = 0;
  for (; i <= count - 4; i += 4, at += 16) {
    const e = exponential(f32x4.sub(v128.load(at), splat(shift)));
    low = f64x2.add(low, lowerHalf(e));
    high = f64x2.add(high, upperHalf(e));
  }
  if (i < count) {
    const e = exponential(f32x4.sub(loadTail(at, count - i, -Infinity), splat(shift)));
    const real = keep(e, count - i);
    low = f64x2.add(low, lowerHalf(real));
    high = f64x2.add(high, upperHalf(real));
  }
  return lanesSum(f64x2.add(low, high));
}

/** −Σ t · (x − max − log Σ e^(x − max)) of each row: [logits, target, out, rows, count, rows a part]. */
export function softmaxCrossEntropy(args: usize, begin: i32, end: i32): void {
  const logits = <usize>load<u32>(args);
  const target = <usize>load<u32>(args, 4);
  const out = <usize>load<u32>(args, 8);
  const count = load<i32>(args, 16);
  const rowsPerPart = load<i32>(args, 20);
  const bytes = <usize>count << 2;
  const last = min(load<i32>(args, 12), end * rowsPerPart);
  for (let row = begin * rowsPerPart; row < last; row++) {
    let x = logits + <usize>row * bytes;
    let t = target + <usize>row * bytes;
    const shift = largestOf(x, count);
    const total = splat(<f32>sumOfExponentials(x, count, shift));
    const logTotal = logarithm(total);
    let low = f64x2.splat(0);
    let high = f64x2.splat(0);
    let i = 0;
    for (; i <= count - 4; i += 4, x += 16, t += 16) {
      const logProbability = f32x4.sub(f32x4.sub(v128.load(x), splat(shift)), logTotal);
      const term = f32x4.mul(v128.load(t), logProbability);
      low = f64x2.add(low, lowerHalf(term));
      high = f64x2.add(high, upperHalf(term));
    }
    let rest = lanesSum(f64x2.add(low, high));
    for (; i < count; i++, x += 4, t += 4) {
      rest += <f64>(load<f32>(t) * (load<f32>(x) - shift - f32x4.extract_lane(logTotal, 0)));
    }
    // 0 − x, so that what is certain costs 0 and not −0.
    store<f32>(out + (<usize>row << 2), <f32>(0.0 - rest));
  }
}

/** dy · (softmax(x) · Σ t − t): [dy, logits, target, out, rows, count, rows a part]. */
export function softmaxCrossEntropyGrad(args: usize, begin: i32, end: i32): void {
  const dy = <usize>load<u32>(args);
  const logits = <usize>load<u32>(args, 4);
  const target = <usize>load<u32>(args, 8);
  const out = <usize>load<u32>(args, 12);
  const count = load<i32>(args, 20);
  const rowsPerPart = load<i32>(args, 24);
  const bytes = <usize>count << 2;
  const last = min(load<i32>(args, 16), end * rowsPerPart);
  for (let row = begin * rowsPerPart; row < last; row++) {
    const x = logits + <usize>row * bytes;
    const t = target + <usize>row * bytes;
    const to = out + <usize>row * bytes;
    const total = exponentials(x, to, count, largestOf(x, count));
    let mass: f64 = 0;
    for (let i: usize = 0; i < bytes; i += 4) mass += <f64>load<f32>(t + i);
    const factor = <f32>(mass / total);
    const slope = load<f32>(dy + (<usize>row << 2));
    let i: usize = 0;
    for (; i + 16 <= bytes; i += 16) {
      const difference = f32x4.sub(f32x4.mul(v128.load(to + i), splat(factor)), v128.load(t + i));
      v128.store(to + i, f32x4.mul(splat(slope), difference));
    }
    for (; i < bytes; i += 4) {
      store<f32>(to + i, slope * (load<f32>(to + i) * factor - load<f32>(t + i)));
    }
  }
}

/** A row of so many words for each int32, `off` but for `on` where the int32 says: [indices, out, rows, count, rows a part, on, off]. */
export function oneHot(args: usize, begin: i32, end: i32): void {
  const indices = <usize>load<u32>(args);
  const out = <usize>load<u32>(args, 4);
  const count = load<i32>(args, 12);
  const rowsPerPart = load<i32>(args, 16);
  const on = load<i32>(args, 20);
  const off = load<i32>(args, 24);
  const last = min(load<i32>(args, 8), end * rowsPerPart);
  for (let row = begin * rowsPerPart; row < last; row++) {
    const index = load<i32>(indices + (<usize>row << 2));
    const to = out + (<usize>(row * count) << 2);
    for (let i = 0; i < count; i++) store<i32>(to + (<usize>i << 2), i == index ? on : off);
  }
}

/** max(x, 0) − x·t + log(1 + e^−|x|): [logits, target, out, elements, chunk], as in elementwise.ts. */
export function sigmoidCrossEntropy(args: usize, begin: i32, end: i32): void {
  const logits = <usize>load<u32>(args);
  const target = <usize>load<u32>(args, 4);
  const out = <usize>load<u32>(args, 8);
  const chunk = load<i32>(args, 16);
  const last = <usize>min(load<i32>(args, 12), end * chunk) << 2;
  for (let at = <usize>(begin * chunk) << 2; at < last; at += 16) {
    const x = v128.load(logits + at);
    const linear = f32x4.sub(f32x4.max(x, splat(0)), f32x4.mul(x, v128.load(target + at)));
    const e = exponential(f32x4.neg(f32x4.abs(x)));
    v128.store(out + at, f32x4.add(linear, logarithmOfOnePlus(e)));
  }
}
