import { lanesSum, loadTail, lowerHalf, sumOf, upperHalf } from './math';

/**
 * Sums over rows or columns of [outer, count, inner], in float64 where it costs nothing, else in float32 over a few rows
 * and in float64 over those. The order depends on the shape alone.
 */

/** Rows that `sumColumns` adds in float32 before it widens. */
const BLOCK: i32 = 16;

/**
 * The sums of rows that lie one after another, in pieces: [x] → [totals, float64], [rows, length, pieces of a row, length
 * of a piece]. A part is a piece of a row.
 */
export function sumPieces(args: usize, begin: i32, end: i32): void {
  const x = <usize>load<u32>(args);
  const totals = <usize>load<u32>(args, 4);
  const length = load<i32>(args, 12);
  const pieces = load<i32>(args, 16);
  const piece = load<i32>(args, 20);
  for (let part = begin; part < end; part++) {
    const row = part / pieces;
    const first = (part % pieces) * piece;
    const at = x + ((<usize>row * <usize>length + <usize>first) << 2);
    store<f64>(totals + (<usize>part << 3), sumOf(at, min(piece, length - first)));
  }
}

/** The sums of short rows: [x] → [y], [rows, length, rows in a part, divisor]. */
export function sumRows(args: usize, begin: i32, end: i32): void {
  const x = <usize>load<u32>(args);
  const y = <usize>load<u32>(args, 4);
  const length = load<i32>(args, 12);
  const perPart = load<i32>(args, 16);
  const divisor = <f64>load<i32>(args, 20);
  const stop = min(end * perPart, load<i32>(args, 8));
  for (let row = begin * perPart; row < stop; row++) {
    const total = sumOf(x + ((<usize>row * <usize>length) << 2), length);
    store<f32>(y + (<usize>row << 2), <f32>(total / divisor));
  }
}

/**
 * Sums over the rows of each [count, inner], a chunk of rows at a time: [x] → [totals, float64 [outer, chunks, inner]],
 * [count, inner, rows in a chunk, chunks]. A part is a chunk.
 */
export function sumColumns(args: usize, begin: i32, end: i32): void {
  const x = <usize>load<u32>(args);
  const totals = <usize>load<u32>(args, 4);
  const count = load<i32>(args, 8);
  const inner = load<i32>(args, 12);
  const rows = load<i32>(args, 16);
  const chunks = load<i32>(args, 20);
  const line = <usize>inner << 2;
  for (let part = begin; part < end; part++) {
    const first = (part % chunks) * rows;
    const height = min(rows, count - first);
    const from = x + <usize>((part / chunks) * count + first) * line;
    const to = totals + ((<usize>part * <usize>inner) << 3);
    let column = 0;
    for (; column <= inner - 8; column += 8) {
      eightColumns(from + (<usize>column << 2), line, height, to + (<usize>column << 3));
    }
    for (; column < inner; column++) oneColumn(from + (<usize>column << 2), line, height, to + (<usize>column << 3));
  }
}

function eightColumns(from: usize, line: usize, height: i32, to: usize): void {
  let t0 = f64x2.splat(0);
  let t1 = t0;
  let t2 = t0;
  let t3 = t0;
  let at = from;
  for (let row = 0; row < height; row += BLOCK) {
    const stop = min(BLOCK, height - row);
    let s0 = f32x4.splat(0);
    let s1 = s0;
    for (let i = 0; i < stop; i++, at += line) {
      s0 = f32x4.add(s0, v128.load(at));
      s1 = f32x4.add(s1, v128.load(at, 16));
    }
    t0 = f64x2.add(t0, lowerHalf(s0));
    t1 = f64x2.add(t1, upperHalf(s0));
    t2 = f64x2.add(t2, lowerHalf(s1));
    t3 = f64x2.add(t3, upperHalf(s1));
  }
  v128.store(to, t0);
  v128.store(to, t1, 16);
  v128.store(to, t2, 32);
  v128.store(to, t3, 48);
}

function oneColumn(from: usize, line: usize, height: i32, to: usize): void {
  let total: f64 = 0;
  let at = from;
  for (let row = 0; row < height; row += BLOCK) {
    const stop = min(BLOCK, height - row);
    let sum: f32 = 0;
    for (let i = 0; i < stop; i++, at += line) sum += load<f32>(at);
    total += <f64>sum;
  }
  store<f64>(to, total);
}

/** Adds up partial sums: [totals, float64 [outer, chunks, inner]] → [y], [outer, chunks, inner, divisor]. One part. */
export function finishSums(args: usize, begin: i32, end: i32): void {
  const totals = <usize>load<u32>(args);
  const y = <usize>load<u32>(args, 4);
  const outer = load<i32>(args, 8);
  const chunks = load<i32>(args, 12);
  const inner = load<i32>(args, 16);
  const divisor = <f64>load<i32>(args, 20);
  for (let o = 0; o < outer; o++) {
    for (let column = 0; column < inner; column++) {
      let total: f64 = 0;
      let at = totals + ((<usize>(o * chunks) * <usize>inner + <usize>column) << 3);
      for (let chunk = 0; chunk < chunks; chunk++, at += <usize>inner << 3) total += load<f64>(at);
      store<f32>(y + (<usize>(o * inner + column) << 2), <f32>(total / divisor));
    }
  }
}

/** The largest, or smallest, of each row: [x] → [y], [rows, length, rows in a part]. NaN where there is one. */
export function maxRows(args: usize, begin: i32, end: i32): void {
  extremeRows(true, args, begin, end);
}
export function minRows(args: usize, begin: i32, end: i32): void {
  extremeRows(false, args, begin, end);
}

// @ts-ignore: decorator
@inline
function extremeRows(largest: bool, args: usize, begin: i32, end: i32): void {
  const x = <usize>load<u32>(args);
  const y = <usize>load<u32>(args, 4);
  const length = load<i32>(args, 12);
  const perPart = load<i32>(args, 16);
  const stop = min(end * perPart, load<i32>(args, 8));
  for (let row = begin * perPart; row < stop; row++) {
    const at = x + ((<usize>row * <usize>length) << 2);
    store<f32>(y + (<usize>row << 2), largest ? maxOf(at, length) : -maxOfNegated(at, length));
  }
}

/** The largest of `count` float32; −Inf of none, NaN where one is. */
function maxOf(at: usize, count: i32): f32 {
  let m = f32x4.splat(-Infinity);
  let i = 0;
  for (; i <= count - 4; i += 4, at += 16) m = f32x4.max(m, v128.load(at));
  if (i < count) m = f32x4.max(m, loadTail(at, count - i, -Infinity));
  return lanesMax(m);
}

function maxOfNegated(at: usize, count: i32): f32 {
  let m = f32x4.splat(-Infinity);
  let i = 0;
  for (; i <= count - 4; i += 4, at += 16) m = f32x4.max(m, f32x4.neg(v128.load(at)));
  if (i < count) m = f32x4.max(m, f32x4.neg(loadTail(at, count - i, Infinity)));
  return lanesMax(m);
}

// @ts-ignore: decorator
@inline
function lanesMax(m: v128): f32 {
  const pair = f32x4.max(m, v128.shuffle<i32>(m, m, 2, 3, 0, 1));
  return max(f32x4.extract_lane(pair, 0), f32x4.extract_lane(pair, 1));
}
