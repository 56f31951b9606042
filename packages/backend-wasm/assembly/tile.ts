/**
 * The inner loops of every product: a tile of 4 × 8 sums of a·b, held in registers while k runs.
 *
 * 8 accumulators, 2 vectors of b, one splat of a and one product make 12 of the 16 vector registers that V8 has on
 * x64. Larger tiles load less for each product, but spill on Node 20 (5×8 halves the speed); unrolling k hurts as well.
 *
 * Both operands are read where they lie. a: one pointer a row, all advanced by `step` bytes for each k, so rows may be
 * rows of a matrix (step 4), columns (step = its row), or windows of an image; b: eight adjoining columns, advanced by
 * `bStep`. k is a nest of loops, so that windows need no unfolding: `outer` × `inner` runs of `length` steps, after
 * each run of which the rows skip `innerSkip` bytes, and after `inner` of them `outerSkip`.
 *
 * Each sum starts at 0, or at what is in c (`ACCUMULATE`), and adds its products in the order of k. So however k is cut
 * into blocks, and whichever tile an element falls in, it has the same bits.
 *
 * A tile with fewer than four rows gives the last row again for those that are missing: it is computed and stored twice.
 */
export const ACCUMULATE: i32 = 1;
/** Apply max(0, ·) to the finished sums. */
export const RELU: i32 = 2;

/** Four rows, five to eight columns (`width`; those beyond are read from b, and not stored). */
export function tile8(
  p0: usize,
  p1: usize,
  p2: usize,
  p3: usize,
  step: usize,
  outer: i32,
  inner: i32,
  length: i32,
  innerSkip: usize,
  outerSkip: usize,
  b: usize,
  bStep: usize,
  c0: usize,
  c1: usize,
  c2: usize,
  c3: usize,
  width: i32,
  flags: i32,
  bias: usize,
): void {
  let s00 = f32x4.splat(0);
  let s01 = s00;
  let s10 = s00;
  let s11 = s00;
  let s20 = s00;
  let s21 = s00;
  let s30 = s00;
  let s31 = s00;
  const rest = width - 4;
  if (flags & ACCUMULATE) {
    s00 = v128.load(c0);
    s10 = v128.load(c1);
    s20 = v128.load(c2);
    s30 = v128.load(c3);
    s01 = loadPart(c0 + 16, rest);
    s11 = loadPart(c1 + 16, rest);
    s21 = loadPart(c2 + 16, rest);
    s31 = loadPart(c3 + 16, rest);
  }
  for (let i = 0; i < outer; i++) {
    for (let j = 0; j < inner; j++) {
      const end = b + <usize>length * bStep;
      while (b != end) {
        const b0 = v128.load(b);
        const b1 = v128.load(b, 16);
        let a = v128.load32_splat(p0);
        s00 = f32x4.add(s00, f32x4.mul(a, b0));
        s01 = f32x4.add(s01, f32x4.mul(a, b1));
        a = v128.load32_splat(p1);
        s10 = f32x4.add(s10, f32x4.mul(a, b0));
        s11 = f32x4.add(s11, f32x4.mul(a, b1));
        a = v128.load32_splat(p2);
        s20 = f32x4.add(s20, f32x4.mul(a, b0));
        s21 = f32x4.add(s21, f32x4.mul(a, b1));
        a = v128.load32_splat(p3);
        s30 = f32x4.add(s30, f32x4.mul(a, b0));
        s31 = f32x4.add(s31, f32x4.mul(a, b1));
        p0 += step;
        p1 += step;
        p2 += step;
        p3 += step;
        b += bStep;
      }
      p0 += innerSkip;
      p1 += innerSkip;
      p2 += innerSkip;
      p3 += innerSkip;
    }
    p0 += outerSkip;
    p1 += outerSkip;
    p2 += outerSkip;
    p3 += outerSkip;
  }
  if (bias) {
    const low = v128.load(bias);
    const high = loadPart(bias + 16, rest);
    s00 = f32x4.add(s00, low);
    s01 = f32x4.add(s01, high);
    s10 = f32x4.add(s10, low);
    s11 = f32x4.add(s11, high);
    s20 = f32x4.add(s20, low);
    s21 = f32x4.add(s21, high);
    s30 = f32x4.add(s30, low);
    s31 = f32x4.add(s31, high);
  }
  if (flags & RELU) {
    const zero = f32x4.splat(0);
    s00 = f32x4.max(zero, s00);
    s01 = f32x4.max(zero, s01);
    s10 = f32x4.max(zero, s10);
    s11 = f32x4.max(zero, s11);
    s20 = f32x4.max(zero, s20);
    s21 = f32x4.max(zero, s21);
    s30 = f32x4.max(zero, s30);
    s31 = f32x4.max(zero, s31);
  }
  v128.store(c0, s00);
  v128.store(c1, s10);
  v128.store(c2, s20);
  v128.store(c3, s30);
  storePart(c0 + 16, s01, rest);
  storePart(c1 + 16, s11, rest);
  storePart(c2 + 16, s21, rest);
  storePart(c3 + 16, s31, rest);
}

/** Four rows, one to four columns: half the work of `tile8`, for the last columns of a product. */
export function tile4(
  p0: usize,
  p1: usize,
  p2: usize,
  p3: usize,
  step: usize,
  outer: i32,
  inner: i32,
  length: i32,
  innerSkip: usize,
  outerSkip: usize,
  b: usize,
  bStep: usize,
  c0: usize,
  c1: usize,
  c2: usize,
  c3: usize,
  width: i32,
  flags: i32,
  bias: usize,
): void {
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  if (flags & ACCUMULATE) {
    s0 = loadPart(c0, width);
    s1 = loadPart(c1, width);
    s2 = loadPart(c2, width);
    s3 = loadPart(c3, width);
  }
  for (let i = 0; i < outer; i++) {
    for (let j = 0; j < inner; j++) {
      const end = b + <usize>length * bStep;
      while (b != end) {
        const b0 = v128.load(b);
        s0 = f32x4.add(s0, f32x4.mul(v128.load32_splat(p0), b0));
        s1 = f32x4.add(s1, f32x4.mul(v128.load32_splat(p1), b0));
        s2 = f32x4.add(s2, f32x4.mul(v128.load32_splat(p2), b0));
        s3 = f32x4.add(s3, f32x4.mul(v128.load32_splat(p3), b0));
        p0 += step;
        p1 += step;
        p2 += step;
        p3 += step;
        b += bStep;
      }
      p0 += innerSkip;
      p1 += innerSkip;
      p2 += innerSkip;
      p3 += innerSkip;
    }
    p0 += outerSkip;
    p1 += outerSkip;
    p2 += outerSkip;
    p3 += outerSkip;
  }
  if (bias) {
    const low = loadPart(bias, width);
    s0 = f32x4.add(s0, low);
    s1 = f32x4.add(s1, low);
    s2 = f32x4.add(s2, low);
    s3 = f32x4.add(s3, low);
  }
  if (flags & RELU) {
    const zero = f32x4.splat(0);
    s0 = f32x4.max(zero, s0);
    s1 = f32x4.max(zero, s1);
    s2 = f32x4.max(zero, s2);
    s3 = f32x4.max(zero, s3);
  }
  storePart(c0, s0, width);
  storePart(c1, s1, width);
  storePart(c2, s2, width);
  storePart(c3, s3, width);
}

/**
 * One row, four panels of eight columns, for products of a single row: of `tile8`, three quarters would be thrown away.
 * The panels lie `bPanel` bytes apart; `bias` may be 0.
 */
export function tileRow(
  p: usize,
  step: usize,
  length: i32,
  b: usize,
  bStep: usize,
  bPanel: usize,
  c: usize,
  flags: i32,
  bias: usize,
): void {
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  let s4 = s0;
  let s5 = s0;
  let s6 = s0;
  let s7 = s0;
  if (flags & ACCUMULATE) {
    s0 = v128.load(c);
    s1 = v128.load(c, 16);
    s2 = v128.load(c, 32);
    s3 = v128.load(c, 48);
    s4 = v128.load(c, 64);
    s5 = v128.load(c, 80);
    s6 = v128.load(c, 96);
    s7 = v128.load(c, 112);
  }
  const end = b + <usize>length * bStep;
  while (b != end) {
    const a = v128.load32_splat(p);
    let from = b;
    s0 = f32x4.add(s0, f32x4.mul(a, v128.load(from)));
    s1 = f32x4.add(s1, f32x4.mul(a, v128.load(from, 16)));
    from += bPanel;
    s2 = f32x4.add(s2, f32x4.mul(a, v128.load(from)));
    s3 = f32x4.add(s3, f32x4.mul(a, v128.load(from, 16)));
    from += bPanel;
    s4 = f32x4.add(s4, f32x4.mul(a, v128.load(from)));
    s5 = f32x4.add(s5, f32x4.mul(a, v128.load(from, 16)));
    from += bPanel;
    s6 = f32x4.add(s6, f32x4.mul(a, v128.load(from)));
    s7 = f32x4.add(s7, f32x4.mul(a, v128.load(from, 16)));
    p += step;
    b += bStep;
  }
  if (bias) {
    s0 = f32x4.add(s0, v128.load(bias));
    s1 = f32x4.add(s1, v128.load(bias, 16));
    s2 = f32x4.add(s2, v128.load(bias, 32));
    s3 = f32x4.add(s3, v128.load(bias, 48));
    s4 = f32x4.add(s4, v128.load(bias, 64));
    s5 = f32x4.add(s5, v128.load(bias, 80));
    s6 = f32x4.add(s6, v128.load(bias, 96));
    s7 = f32x4.add(s7, v128.load(bias, 112));
  }
  if (flags & RELU) {
    const zero = f32x4.splat(0);
    s0 = f32x4.max(zero, s0);
    s1 = f32x4.max(zero, s1);
    s2 = f32x4.max(zero, s2);
    s3 = f32x4.max(zero, s3);
    s4 = f32x4.max(zero, s4);
    s5 = f32x4.max(zero, s5);
    s6 = f32x4.max(zero, s6);
    s7 = f32x4.max(zero, s7);
  }
  v128.store(c, s0);
  v128.store(c, s1, 16);
  v128.store(c, s2, 32);
  v128.store(c, s3, 48);
  v128.store(c, s4, 64);
  v128.store(c, s5, 80);
  v128.store(c, s6, 96);
  v128.store(c, s7, 112);
}

/** Exactly `count` (1 to 4) floats, zeros after them: what lies beyond may be another's, or outside of the block. */
// @ts-ignore: decorator
@inline
export function loadPart(from: usize, count: i32): v128 {
  if (count == 4) return v128.load(from);
  let result = v128.load32_zero(from);
  if (count > 1) result = v128.load_lane<f32>(from + 4, result, 1);
  if (count > 2) result = v128.load_lane<f32>(from + 8, result, 2);
  return result;
}

// @ts-ignore: decorator
@inline
export function storePart(to: usize, value: v128, count: i32): void {
  if (count == 4) {
    v128.store(to, value);
    return;
  }
  v128.store_lane<f32>(to, value, 0);
  if (count > 1) v128.store_lane<f32>(to + 4, value, 1);
  if (count > 2) v128.store_lane<f32>(to + 8, value, 2);
}
