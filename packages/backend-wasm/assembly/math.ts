// Functions on four float32 at a time, correct at 0, infinities, NaN and denormals. Errors are the largest that
// tests/backends/kernels/functions.test.ts finds against float64, in units in the last place.

@inline
export function splat(x: f32): v128 {
  return f32x4.splat(x);
}

@inline
function bits(x: i32): v128 {
  return i32x4.splat(x);
}

/** x · y + z, rounded twice: there is no fused one in plain SIMD. */
@inline
export function multiplyAdd(x: v128, y: v128, z: v128): v128 {
  return f32x4.add(f32x4.mul(x, y), z);
}

/** y · 2ⁿ for n from −252 to 254: in two steps, so that denormal results are rounded once. */
@inline
function scale(y: v128, n: v128): v128 {
  const half = i32x4.shr_s(n, 1);
  const first = i32x4.shl(i32x4.add(half, bits(127)), 23);
  const second = i32x4.shl(i32x4.add(i32x4.sub(n, half), bits(127)), 23);
  return f32x4.mul(f32x4.mul(y, first), second);
}

/** 1.5 · 2²³: what is added to it is rounded to an integer, which then stands in its low bits. */
const ROUNDER: f32 = 12582912.0;

/** (eʳ − 1 − r) / r² for |r| ≤ ½ log 2, of degree 5. Coefficients: Cephes, expf. */
@inline
function exponentialTail(r: v128): v128 {
  let p = multiplyAdd(splat(1.9875691500e-4), r, splat(1.3981999507e-3));
  p = multiplyAdd(p, r, splat(8.3334519073e-3));
  p = multiplyAdd(p, r, splat(4.1665795894e-2));
  p = multiplyAdd(p, r, splat(1.6666665459e-1));
  return multiplyAdd(p, r, splat(5.0000001201e-1));
}

/** eˣ, within 1 unit: x = n log 2 + r, eˣ = 2ⁿ eʳ. */
@inline
export function exponential(x: v128): v128 {
  x = f32x4.max(f32x4.min(x, splat(89.0)), splat(-104.0));
  const rounded = f32x4.add(f32x4.mul(x, splat(1.44269504088896341)), splat(ROUNDER));
  const n = i32x4.sub(rounded, splat(ROUNDER));
  const multiple = f32x4.sub(rounded, splat(ROUNDER));
  // log 2 in two pieces; the first has so few digits that its multiples are exact.
  let r = f32x4.sub(x, f32x4.mul(multiple, splat(0.693359375)));
  r = f32x4.add(r, f32x4.mul(multiple, splat(2.12194440e-4)));
  const p = f32x4.mul(exponentialTail(r), f32x4.mul(r, r));
  return scale(f32x4.add(f32x4.add(p, r), splat(1.0)), n);
}

/** eˣ − 1 for x ≤ 0, within 1 unit: it keeps its digits near 0. */
@inline
export function exponentialMinusOne(x: v128): v128 {
  const bounded = f32x4.max(x, splat(-30.0));
  const rounded = f32x4.add(f32x4.mul(bounded, splat(1.44269504088896341)), splat(ROUNDER));
  const n = i32x4.sub(rounded, splat(ROUNDER));
  const multiple = f32x4.sub(rounded, splat(ROUNDER));
  let r = f32x4.sub(bounded, f32x4.mul(multiple, splat(0.693359375)));
  r = f32x4.add(r, f32x4.mul(multiple, splat(2.12194440e-4)));
  const p = f32x4.add(f32x4.mul(exponentialTail(r), f32x4.mul(r, r)), r);
  const power: v128 = i32x4.shl(i32x4.add(n, bits(127)), 23);
  return f32x4.add(f32x4.mul(p, power), f32x4.sub(power, splat(1.0)));
}

/** log x, within 1 unit: x = 2ⁿ m with √½ ≤ m < √2. −∞ at 0, NaN below. Coefficients: Cephes, logf. */
@inline
export function logarithm(x: v128): v128 {
  const denormal = f32x4.lt(x, splat(1.17549435e-38));
  const scaled = v128.bitselect(f32x4.mul(x, splat(8388608.0)), x, denormal);
  const n = i32x4.shr_s(i32x4.sub(scaled, bits(0x3f3504f3)), 23);
  const m = f32x4.sub(i32x4.sub(scaled, i32x4.shl(n, 23)), splat(1.0));
  const exponent = f32x4.convert_i32x4_s(i32x4.sub(n, v128.and(denormal, bits(23))));
  let p = multiplyAdd(splat(7.0376836292e-2), m, splat(-1.1514610310e-1));
  p = multiplyAdd(p, m, splat(1.1676998740e-1));
  p = multiplyAdd(p, m, splat(-1.2420140846e-1));
  p = multiplyAdd(p, m, splat(1.4249322787e-1));
  p = multiplyAdd(p, m, splat(-1.6668057665e-1));
  p = multiplyAdd(p, m, splat(2.0000714765e-1));
  p = multiplyAdd(p, m, splat(-2.4999993993e-1));
  p = multiplyAdd(p, m, splat(3.3333331174e-1));
  const square = f32x4.mul(m, m);
  let y = f32x4.mul(f32x4.mul(p, m), square);
  y = f32x4.add(y, f32x4.mul(exponent, splat(-2.12194440e-4)));
  y = f32x4.sub(y, f32x4.mul(square, splat(0.5)));
  y = f32x4.add(f32x4.add(m, y), f32x4.mul(exponent, splat(0.693359375)));
  // NaN and ∞ are their own logarithms.
  y = v128.bitselect(y, x, f32x4.lt(x, splat(Infinity)));
  y = v128.bitselect(splat(-Infinity), y, f32x4.eq(x, splat(0.0)));
  return v128.bitselect(splat(NaN), y, f32x4.lt(x, splat(0.0)));
}

/** log(1 + x), within 2.2 units: log u · (x / (u − 1)) with u = 1 + x rounded, in which the rounding cancels (Kahan). */
@inline
export function logarithmOfOnePlus(x: v128): v128 {
  const u = f32x4.add(x, splat(1.0));
  const y = f32x4.mul(logarithm(u), f32x4.div(x, f32x4.sub(u, splat(1.0))));
  const itself = v128.or(f32x4.eq(u, splat(1.0)), f32x4.eq(x, splat(Infinity)));
  return v128.bitselect(x, y, itself);
}

/** 1 / (1 + e⁻ˣ), within 2.1 units: by e to the minus |x|, so that nothing overflows. */
@inline
export function logistic(x: v128): v128 {
  const e = exponential(f32x4.neg(f32x4.abs(x)));
  const top = v128.bitselect(e, splat(1.0), f32x4.lt(x, splat(0.0)));
  return f32x4.div(top, f32x4.add(e, splat(1.0)));
}

/** tanh x, within 2.5 units: tanh |x| = −m / (2 + m) with m = e^(−2|x|) − 1, and the sign of x. */
@inline
export function hyperbolicTangent(x: v128): v128 {
  const m = exponentialMinusOne(f32x4.mul(f32x4.abs(x), splat(-2.0)));
  const y = f32x4.div(f32x4.neg(m), f32x4.add(m, splat(2.0)));
  return v128.bitselect(x, y, bits(<i32>0x80000000));
}

/**
 * erf x, within 1.2 units: x + x·P(x²) for |x| < 0.9375, 1 − e^−Q(|x|) beyond, with polynomials of least largest error on [0, 0.9375]
 * and [0.9, 4.1], fitted by reweighted least squares.
 */
@inline
export function errorFunction(x: v128): v128 {
  const t = f32x4.abs(x);
  const s = f32x4.mul(x, x);
  let p = multiplyAdd(splat(-0.0005943142464607286), s, splat(0.004984378783035161));
  p = multiplyAdd(p, s, splat(-0.026761106905256855));
  p = multiplyAdd(p, s, splat(0.11281681829577994));
  p = multiplyAdd(p, s, splat(-0.37612483090732374));
  p = multiplyAdd(p, s, splat(0.128379148420257));
  const near = multiplyAdd(p, x, x);
  const bounded = f32x4.min(t, splat(4.0));
  let q = multiplyAdd(splat(-0.0001971697293292383), bounded, splat(0.0030555015774585375));
  q = multiplyAdd(q, bounded, splat(-0.022276705946075608));
  q = multiplyAdd(q, bounded, splat(0.1040366449743984));
  q = multiplyAdd(q, bounded, splat(0.6370604906143286));
  q = multiplyAdd(q, bounded, splat(1.1277491649633011));
  q = multiplyAdd(q, bounded, splat(0.00017758217698826684));
  const far = f32x4.sub(splat(1.0), exponential(f32x4.neg(q)));
  const signed = v128.bitselect(x, far, bits(<i32>0x80000000));
  return v128.bitselect(near, signed, f32x4.lt(t, splat(0.9375)));
}

/** The sum of two lanes of float64. */
@inline
export function lanesSum(x: v128): f64 {
  return f64x2.extract_lane(x, 0) + f64x2.extract_lane(x, 1);
}

/** Four float32, from as many as there are (1 to 3); the other lanes hold `rest`. */
@inline
export function loadTail(at: usize, count: i32, rest: f32): v128 {
  let x = splat(rest);
  x = f32x4.replace_lane(x, 0, load<f32>(at));
  if (count > 1) x = f32x4.replace_lane(x, 1, load<f32>(at, 4));
  if (count > 2) x = f32x4.replace_lane(x, 2, load<f32>(at, 8));
  return x;
}

/** Stores the first `count` (1 to 3) of four float32. */
@inline
export function storeTail(at: usize, count: i32, x: v128): void {
  store<f32>(at, f32x4.extract_lane(x, 0));
  if (count > 1) store<f32>(at, f32x4.extract_lane(x, 1), 4);
  if (count > 2) store<f32>(at, f32x4.extract_lane(x, 2), 8);
}

/** The two lower, and the two upper, of four float32 as float64. */
@inline
export function lowerHalf(x: v128): v128 {
  return f64x2.promote_low_f32x4(x);
}

@inline
export function upperHalf(x: v128): v128 {
  return f64x2.promote_low_f32x4(v128.shuffle<i32>(x, x, 2, 3, 2, 3));
}

/** Σ x over `count` float32, in eight lanes of float64. */
export function sumOf(at: usize, count: i32): f64 {
  let s0 = f64x2.splat(0);
  let s1 = f64x2.splat(0);
  let s2 = f64x2.splat(0);
  let s3 = f64x2.splat(0);
  let i = 0;
  for (; i <= count - 8; i += 8, at += 32) {
    s0 = f64x2.add(s0, f64x2.promote_low_f32x4(v128.load64_zero(at)));
    s1 = f64x2.add(s1, f64x2.promote_low_f32x4(v128.load64_zero(at, 8)));
    s2 = f64x2.add(s2, f64x2.promote_low_f32x4(v128.load64_zero(at, 16)));
    s3 = f64x2.add(s3, f64x2.promote_low_f32x4(v128.load64_zero(at, 24)));
  }
  let total = lanesSum(f64x2.add(f64x2.add(s0, s1), f64x2.add(s2, s3)));
  for (; i < count; i++, at += 4) total += <f64>load<f32>(at);
  return total;
}

/** Sixteen masks of 32 bits as sixteen bytes, 0 or 1. */
@inline
export function narrow(a: v128, b: v128, c: v128, d: v128): v128 {
  const bytes = i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d));
  return v128.and(bytes, i8x16.splat(1));
}
