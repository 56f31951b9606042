import { sumOf } from './math';

// Reductions of the middle axis of x [outer, count, inner]. The axis is cut into `chunks` of `chunk`, and the columns
// into blocks of `columns`; an item is a block of a chunk of an outer index, and a part is so many items. Of one chunk
// the result is the output; of several, partial results [outer, chunks, inner] that a second launch reduces.

/** Σ over a chunk for two columns, in float64, from `at` on with `row` bytes from row to row. */
@inline
function finish(out: usize, total: f64, divisor: f64, partial: bool): void {
  if (partial) store<f64>(out, total);
  else store<f32>(out, <f32>(total / divisor));
}

@inline
function finishTwo(out: usize, total: v128, divisor: f64, partial: bool): void {
  if (partial) v128.store(out, total);
  else {
    const y = f32x4.demote_f64x2_zero(f64x2.div(total, f64x2.splat(divisor)));
    v128.store64_lane(out, y, 0);
  }
}

/** Sums of `columns` neighbouring columns over `rows` rows, in float64 from the first row down. */
function sumColumns(
  at: usize,
  row: usize,
  rows: i32,
  columns: i32,
  out: usize,
  divisor: f64,
  partial: bool,
): void {
  const width: usize = partial ? 8 : 4;
  let column = 0;
  for (; column <= columns - 8; column += 8, at += 32, out += 8 * width) {
    let s0 = f64x2.splat(0);
    let s1 = f64x2.splat(0);
    let s2 = f64x2.splat(0);
    let s3 = f64x2.splat(0);
    let from = at;
    for (let i = 0; i < rows; i++, from += row) {
      s0 = f64x2.add(s0, f64x2.promote_low_f32x4(v128.load64_zero(from)));
      s1 = f64x2.add(s1, f64x2.promote_low_f32x4(v128.load64_zero(from, 8)));
      s2 = f64x2.add(s2, f64x2.promote_low_f32x4(v128.load64_zero(from, 16)));
      s3 = f64x2.add(s3, f64x2.promote_low_f32x4(v128.load64_zero(from, 24)));
    }
    finishTwo(out, s0, divisor, partial);
    finishTwo(out + 2 * width, s1, divisor, partial);
    finishTwo(out + 4 * width, s2, divisor, partial);
    finishTwo(out + 6 * width, s3, divisor, partial);
  }
  for (; column <= columns - 2; column += 2, at += 8, out += 2 * width) {
    let s = f64x2.splat(0);
    let from = at;
    for (let i = 0; i < rows; i++, from += row) {
      s = f64x2.add(s, f64x2.promote_low_f32x4(v128.load64_zero(from)));
    }
    finishTwo(out, s, divisor, partial);
  }
  if (column < columns) {
    let s: f64 = 0;
    for (let i = 0; i < rows; i++, at += row) s += <f64>load<f32>(at);
    finish(out, s, divisor, partial);
  }
}

/**
 * Σ x / divisor, accumulated in float64: [x, out, outer, count, inner, chunk, chunks, columns, items a part, divisor].
 * Of several chunks, `out` holds float64.
 */
export function sum(args: usize, begin: i32, end: i32): void {
  const x = <usize>load<u32>(args);
  const out = <usize>load<u32>(args, 4);
  const outer = load<i32>(args, 8);
  const count = load<i32>(args, 12);
  const inner = load<i32>(args, 16);
  const chunk = load<i32>(args, 20);
  const chunks = load<i32>(args, 24);
  const columns = load<i32>(args, 28);
  const itemsPerPart = load<i32>(args, 32);
  const divisor = <f64>load<i32>(args, 36);
  const partial = chunks > 1;
  const width: usize = partial ? 8 : 4;
  const blocks = (inner + columns - 1) / columns;
  const last = min(outer * chunks * blocks, end * itemsPerPart);
  for (let item = begin * itemsPerPart; item < last; item++) {
    const block = item % blocks;
    const piece = (item / blocks) % chunks;
    const row = item / blocks / chunks;
    const first = piece * chunk;
    const rows = min(chunk, count - first);
    const column = block * columns;
    const at = x + (<usize>((row * count + first) * inner + column) << 2);
    const to = out + <usize>((row * chunks + piece) * inner + column) * width;
    if (inner == 1) finish(to, sumOf(at, rows), divisor, partial);
    else sumColumns(at, <usize>inner << 2, rows, min(columns, inner - column), to, divisor, partial);
  }
}

/** Partial sums [outer, chunks, inner] added up from the first on: [partials, out, outer, chunks, inner, divisor, elements a part]. */
export function addPartials(args: usize, begin: i32, end: i32): void {
  const partials = <usize>load<u32>(args);
  const out = <usize>load<u32>(args, 4);
  const outer = load<i32>(args, 8);
  const chunks = load<i32>(args, 12);
  const inner = load<i32>(args, 16);
  const divisor = <f64>load<i32>(args, 20);
  const perPart = load<i32>(args, 24);
  const last = min(outer * inner, end * perPart);
  for (let element = begin * perPart; element < last; element++) {
    const row = element / inner;
    let at = partials + (<usize>(row * (chunks - 1) * inner + element) << 3);
    let total: f64 = 0;
    for (let i = 0; i < chunks; i++, at += <usize>inner << 3) total += load<f64>(at);
    store<f32>(out + (<usize>element << 2), <f32>(total / divisor));
  }
}

@inline
function pick(least: bool, a: v128, b: v128): v128 {
  return least ? f32x4.min(a, b) : f32x4.max(a, b);
}

@inline
function extremum(least: bool, at: usize, row: usize, rows: i32, columns: i32, out: usize): void {
  const start = f32x4.splat(least ? Infinity : -Infinity);
  let column = 0;
  for (; column <= columns - 4; column += 4, at += 16, out += 16) {
    let y = start;
    let from = at;
    for (let i = 0; i < rows; i++, from += row) y = pick(least, y, v128.load(from));
    v128.store(out, y);
  }
  for (; column < columns; column++, at += 4, out += 4) {
    let y = start;
    let from = at;
    for (let i = 0; i < rows; i++, from += row) y = pick(least, y, v128.load32_splat(from));
    store<f32>(out, f32x4.extract_lane(y, 0));
  }
}

@inline
function extremumOfRow(least: bool, at: usize, count: i32): f32 {
  let y = f32x4.splat(least ? Infinity : -Infinity);
  let z = y;
  let i = 0;
  for (; i <= count - 8; i += 8, at += 32) {
    y = pick(least, y, v128.load(at));
    z = pick(least, z, v128.load(at, 16));
  }
  for (; i < count; i++, at += 4) z = pick(least, z, v128.load32_splat(at));
  y = pick(least, y, z);
  y = pick(least, y, v128.shuffle<i32>(y, y, 2, 3, 0, 1));
  y = pick(least, y, v128.shuffle<i32>(y, y, 1, 0, 3, 2));
  return f32x4.extract_lane(y, 0);
}

@inline
function extrema(least: bool, args: usize, begin: i32, end: i32): void {
  const x = <usize>load<u32>(args);
  const out = <usize>load<u32>(args, 4);
  const outer = load<i32>(args, 8);
  const count = load<i32>(args, 12);
  const inner = load<i32>(args, 16);
  const chunk = load<i32>(args, 20);
  const chunks = load<i32>(args, 24);
  const columns = load<i32>(args, 28);
  const itemsPerPart = load<i32>(args, 32);
  const blocks = (inner + columns - 1) / columns;
  const last = min(outer * chunks * blocks, end * itemsPerPart);
  for (let item = begin * itemsPerPart; item < last; item++) {
    const block = item % blocks;
    const piece = (item / blocks) % chunks;
    const row = item / blocks / chunks;
    const first = piece * chunk;
    const rows = min(chunk, count - first);
    const column = block * columns;
    const at = x + (<usize>((row * count + first) * inner + column) << 2);
    const to = out + (<usize>((row * chunks + piece) * inner + column) << 2);
    if (inner == 1) store<f32>(to, extremumOfRow(least, at, rows));
    else extremum(least, at, <usize>inner << 2, rows, min(columns, inner - column), to);
  }
}

/** The largest of each, NaN where there is one; words as for `sum`, and partial results are float32. */
export function largest(args: usize, begin: i32, end: i32): void {
  extrema(false, args, begin, end);
}

export function least(args: usize, begin: i32, end: i32): void {
  extrema(true, args, begin, end);
}

@inline
function position(least: bool, args: usize, begin: i32, end: i32): void {
  const x = <usize>load<u32>(args);
  const out = <usize>load<u32>(args, 4);
  const outer = load<i32>(args, 8);
  const count = load<i32>(args, 12);
  const inner = load<i32>(args, 16);
  const perPart = load<i32>(args, 20);
  const last = min(outer * inner, end * perPart);
  for (let element = begin * perPart; element < last; element++) {
    const row = element / inner;
    let at = x + (<usize>(row * (count - 1) * inner + element) << 2);
    let best = load<f32>(at);
    let place = 0;
    for (let i = 1; i < count; i++) {
      at += <usize>inner << 2;
      const value = load<f32>(at);
      if (least ? value < best : value > best) {
        best = value;
        place = i;
      }
    }
    store<i32>(out + (<usize>element << 2), place);
  }
}

/** Where the first of the largest stands, int32: [x, out, outer, count, inner, elements a part]. */
export function positionOfLargest(args: usize, begin: i32, end: i32): void {
  position(false, args, begin, end);
}

export function positionOfLeast(args: usize, begin: i32, end: i32): void {
  position(true, args, begin, end);
}
