import { exponential, lanesSum, loadTail, logarithm, lowerHalf, splat, storeTail, upperHalf } from './math';

/**
 * Softmax and cross-entropy by rows of [rows, classes]: log softmax(x) = x − max x − log Σ exp(x − max x). The sums run in
 * float64, four lanes at a time.
 */

/** Four elements at `at`, of which `left` count; the others are `rest`. */
// @ts-ignore: decorator
@inline
function loadFour(at: usize, left: i32, rest: f32): v128 {
  return left >= 4 ? v128.load(at) : loadTail(at, left, rest);
}

// @ts-ignore: decorator
@inline
function storeFour(at: usize, left: i32, x: v128): void {
  if (left >= 4) v128.store(at, x);
  else storeTail(at, left, x);
}

/** The largest of a row; NaN where one is. */
function rowMax(at: usize, count: i32): f32 {
  let m = splat(-Infinity);
  for (let i = 0; i < count; i += 4) m = f32x4.max(m, loadFour(at + (<usize>i << 2), count - i, -Infinity));
  const pair = f32x4.max(m, v128.shuffle<i32>(m, m, 2, 3, 0, 1));
  return max(f32x4.extract_lane(pair, 0), f32x4.extract_lane(pair, 1));
}

/** log Σ exp(x − largest). */
function rowLogSum(at: usize, count: i32, largest: f32): f32 {
  const shift = splat(largest);
  let low = f64x2.splat(0);
  let high = low;
  for (let i = 0; i < count; i += 4) {
    // exp(−Inf) is 0: lanes beyond the end add nothing.
    const e = exponential(f32x4.sub(loadFour(at + (<usize>i << 2), count - i, -Infinity), shift));
    const kept = count - i >= 4 ? e : clearTail(e, count - i);
    low = f64x2.add(low, lowerHalf(kept));
    high = f64x2.add(high, upperHalf(kept));
  }
  return f32x4.extract_lane(logarithm(splat(<f32>lanesSum(f64x2.add(low, high)))), 0);
}

/** 0 in the lanes from `count` on. */
// @ts-ignore: decorator
@inline
function clearTail(x: v128, count: i32): v128 {
  return v128.and(x, i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(count)));
}

/** [logits, target] → [y], [rows, classes, rows in a part]: y = −Σ t · log softmax(x). */
export function softmaxCrossEntropy(args: usize, begin: i32, end: i32): void {
  const logits = <usize>load<u32>(args);
  const target = <usize>load<u32>(args, 4);
  const y = <usize>load<u32>(args, 8);
  const classes = load<i32>(args, 16);
  const perPart = load<i32>(args, 20);
  const stop = min(end * perPart, load<i32>(args, 12));
  for (let row = begin * perPart; row < stop; row++) {
    const offset = (<usize>row * <usize>classes) << 2;
    const largest = rowMax(logits + offset, classes);
    const logSum = splat(rowLogSum(logits + offset, classes, largest));
    const shift = splat(largest);
    let low = f64x2.splat(0);
    let high = low;
    for (let i = 0; i < classes; i += 4) {
      const at = offset + (<usize>i << 2);
      const left = classes - i;
      const logProbability = f32x4.sub(f32x4.sub(loadFour(logits + at, left, 0), shift), logSum);
      let product = f32x4.mul(loadFour(target + at, left, 0), logProbability);
      if (left < 4) product = clearTail(product, left);
      low = f64x2.add(low, lowerHalf(product));
      high = f64x2.add(high, upperHalf(product));
    }
    store<f32>(y + (<usize>row << 2), -(<f32>lanesSum(f64x2.add(low, high))));
  }
}

/** [dy, logits, target] → [dlogits], [rows, classes, rows in a part]: dy · (softmax(x) · Σ t − t). */
export function softmaxCrossEntropyGrad(args: usize, begin: i32, end: i32): void {
  const dy = <usize>load<u32>(args);
  const logits = <usize>load<u32>(args, 4);
  const target = <usize>load<u32>(args, 8);
  const dx = <usize>load<u32>(args, 12);
  const classes = load<i32>(args, 20);
  const perPart = load<i32>(args, 24);
  const stop = min(end * perPart, load<i32>(args, 16));
  for (let row = begin * perPart; row < stop; row++) {
    const offset = (<usize>row * <usize>classes) << 2;
    const largest = rowMax(logits + offset, classes);
    const logSum = splat(rowLogSum(logits + offset, classes, largest));
    const shift = splat(largest);
    const scale = v128.load32_splat(dy + (<usize>row << 2));
    let sum: f64 = 0;
    for (let i = 0; i < classes; i++) sum += <f64>load<f32>(target + offset + (<usize>i << 2));
    const weight = splat(<f32>sum);
    for (let i = 0; i < classes; i += 4) {
      const at = offset + (<usize>i << 2);
      const left = classes - i;
      const logProbability = f32x4.sub(f32x4.sub(loadFour(logits + at, left, 0), shift), logSum);
      const difference = f32x4.sub(
        f32x4.mul(exponential(logProbability), weight),
        loadFour(target + at, left, 0),
      );
      storeFour(dx + at, left, f32x4.mul(scale, difference));
    }
  }
}

/** [x] → [y], [rows, classes, rows in a part]: exp(x − max x) / Σ exp(x − max x). */
export function softmaxRows(args: usize, begin: i32, end: i32): void {
  const x = <usize>load<u32>(args);
  const y = <usize>load<u32>(args, 4);
  const classes = load<i32>(args, 12);
  const perPart = load<i32>(args, 16);
  const stop = min(end * perPart, load<i32>(args, 8));
  for (let row = begin * perPart; row < stop; row++) {
    const offset = (<usize>row * <usize>classes) << 2;
    const shift = splat(rowMax(x + offset, classes));
    let low = f64x2.splat(0);
    let high = low;
    for (let i = 0; i < classes; i += 4) {
      const at = offset + (<usize>i << 2);
      const left = classes - i;
      const e = exponential(f32x4.sub(loadFour(x + at, left, 0), shift));
      storeFour(y + at, left, e);
      const kept = left < 4 ? clearTail(e, left) : e;
      low = f64x2.add(low, lowerHalf(kept));
      high = f64x2.add(high, upperHalf(kept));
    }
    const total = splat(<f32>lanesSum(f64x2.add(low, high)));
    for (let i = 0; i < classes; i += 4) {
      const at = offset + (<usize>i << 2);
      const left = classes - i;
      storeFour(y + at, left, f32x4.div(loadFour(y + at, left, 0), total));
    }
  }
}
