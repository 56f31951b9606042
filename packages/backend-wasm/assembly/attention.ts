import { exponential, lanesSum, loadTail, lowerHalf, splat, storeTail, upperHalf } from './math';

/**
 * The rows of attention between its products. A matrix of scores is [queries, keys]; where it is causal, query i sees the
 * keys up to i, and what lies behind them is 0 as far as the products read: to the end of the block of `block` queries that
 * the row is in.
 */

/** 0 in the lanes from `count` on. */
// @ts-ignore: decorator
@inline
function clearTail(x: v128, count: i32): v128 {
  return v128.and(x, i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(count)));
}

/** How many keys query `i` sees. */
// @ts-ignore: decorator
@inline
function seen(i: i32, keys: i32, causal: i32): i32 {
  return causal ? min(i + 1, keys) : keys;
}

/** Zeros from key `from` up to where the products read. */
// @ts-ignore: decorator
@inline
function clearRest(row: usize, i: i32, from: i32, keys: i32, block: i32): void {
  const end = min((i / block + 1) * block, keys);
  if (from < end) memory.fill(row + (<usize>from << 2), 0, <usize>(end - from) << 2);
}

/**
 * Scores to weights, in place: softmax(scale · x) by rows.
 * [scores] → [scores], [rows (of all matrices), queries, keys, block, causal, scale, rows in a part].
 */
export function attentionWeights(args: usize, begin: i32, end: i32): void {
  const scores = <usize>load<u32>(args, 4);
  const queries = load<i32>(args, 12);
  const keys = load<i32>(args, 16);
  const block = load<i32>(args, 20);
  const causal = load<i32>(args, 24);
  const scale = splat(load<f32>(args, 28));
  const perPart = load<i32>(args, 32);
  const stop = min(end * perPart, load<i32>(args, 8));
  for (let index = begin * perPart; index < stop; index++) {
    const row = scores + ((<usize>index * <usize>keys) << 2);
    const i = index % queries;
    const count = seen(i, keys, causal);
    const tail = count & 3;
    const last = row + (<usize>(count - tail) << 2);
    let most = splat(-Infinity);
    for (let at = row; at < last; at += 16) most = f32x4.max(most, f32x4.mul(v128.load(at), scale));
    let rest = most;
    if (tail) {
      // The first of the tail again, where there are fewer than four.
      rest = f32x4.mul(loadTail(last, tail, load<f32>(last)), scale);
      most = f32x4.max(most, rest);
    }
    most = f32x4.max(most, i32x4.shuffle(most, most, 2, 3, 0, 1));
    most = f32x4.max(most, i32x4.shuffle(most, most, 1, 0, 3, 2));
    let low = f64x2.splat(0);
    let high = low;
    for (let at = row; at < last; at += 16) {
      const e = exponential(f32x4.sub(f32x4.mul(v128.load(at), scale), most));
      v128.store(at, e);
      low = f64x2.add(low, lowerHalf(e));
      high = f64x2.add(high, upperHalf(e));
    }
    if (tail) {
      rest = clearTail(exponential(f32x4.sub(rest, most)), tail);
      low = f64x2.add(low, lowerHalf(rest));
      high = f64x2.add(high, upperHalf(rest));
    }
    const total = splat(<f32>lanesSum(f64x2.add(low, high)));
    for (let at = row; at < last; at += 16) v128.store(at, f32x4.div(v128.load(at), total));
    if (tail) storeTail(last, tail, f32x4.div(rest, total));
    clearRest(row, i, count, keys, block);
  }
}

/**
 * From the gradient of the weights, dP, to that of the scores before scaling, in place: dS = P ∘ (dP − Σ dP ∘ P) · scale.
 * [weights, above] → [above], [rows, queries, keys, block, causal, scale, rows in a part].
 */
export function attentionWeightsGrad(args: usize, begin: i32, end: i32): void {
  const weights = <usize>load<u32>(args);
  const above = <usize>load<u32>(args, 8);
  const queries = load<i32>(args, 16);
  const keys = load<i32>(args, 20);
  const block = load<i32>(args, 24);
  const causal = load<i32>(args, 28);
  const scale = splat(load<f32>(args, 32));
  const perPart = load<i32>(args, 36);
  const stop = min(end * perPart, load<i32>(args, 12));
  for (let index = begin * perPart; index < stop; index++) {
    const offset = (<usize>index * <usize>keys) << 2;
    const p = weights + offset;
    const d = above + offset;
    const i = index % queries;
    const count = seen(i, keys, causal);
    const tail = count & 3;
    const bytes = <usize>(count - tail) << 2;
    let low = f64x2.splat(0);
    let high = low;
    for (let at: usize = 0; at < bytes; at += 16) {
      const product = f32x4.mul(v128.load(p + at), v128.load(d + at));
      low = f64x2.add(low, lowerHalf(product));
      high = f64x2.add(high, upperHalf(product));
    }
    let pRest = low;
    let dRest = low;
    if (tail) {
      pRest = loadTail(p + bytes, tail, 0);
      dRest = loadTail(d + bytes, tail, 0);
      const product = f32x4.mul(pRest, dRest);
      low = f64x2.add(low, lowerHalf(product));
      high = f64x2.add(high, upperHalf(product));
    }
    const total = splat(<f32>lanesSum(f64x2.add(low, high)));
    for (let at: usize = 0; at < bytes; at += 16) {
      const difference = f32x4.sub(v128.load(d + at), total);
      v128.store(d + at, f32x4.mul(f32x4.mul(v128.load(p + at), difference), scale));
    }
    if (tail) storeTail(d + bytes, tail, f32x4.mul(f32x4.mul(pRest, f32x4.sub(dRest, total)), scale));
    clearRest(d, i, count, keys, block);
  }
}
