/**
 * Functions that kernels may use. WGSL lets a compiler assume that there are no NaN and no infinities in what it
 * computes, so both are made and asked for by their bits, and the bits come from where it can't look.
 */
const FUNCTIONS: { readonly [name: string]: string } = {
  opaque: 'var<private> opaque: u32 = 0u;',
  floatOf: 'fn floatOf(bits: u32) -> f32 { return bitcast<f32>(bits | opaque); }',
  nan: 'fn nan() -> f32 { return floatOf(0x7fc00000u); }',
  infinity: 'fn infinity() -> f32 { return floatOf(0x7f800000u); }',
  isNan: 'fn isNan(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }',
  isInfinite: 'fn isInfinite(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) == 0x7f800000u; }',
  isFinite: 'fn isFinite(x: f32) -> bool { return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u; }',
  // What a conversion does beyond 65504 is left open, and some GPUs end there: infinity is what tells of an overflow.
  narrowed: `fn narrowed(x: f32) -> f16 {
  if (abs(x) < 65520f) { return f16(x); }
  let bits = select(select(0x7c00u, 0xfc00u, x < 0f), 0x7e00u, isNan(x));
  return bitcast<vec2h>(bits | opaque).x;
}`,
  narrowedVector:
    'fn narrowedVector(x: vec4f) -> vec4h { return vec4h(narrowed(x.x), narrowed(x.y), narrowed(x.z), narrowed(x.w)); }',
  hostFloat: 'fn hostFloat(k: u32) -> f32 { return bitcast<f32>(host[k / 4u][k % 4u]); }',
  hostInteger: 'fn hostInteger(k: u32) -> i32 { return bitcast<i32>(host[k / 4u][k % 4u]); }',
  maximum: `fn maximum(a: f32, b: f32) -> f32 {
  if (isNan(a)) { return a; }
  if (isNan(b)) { return b; }
  return select(b, a, a > b);
}`,
  minimum: `fn minimum(a: f32, b: f32) -> f32 {
  if (isNan(a)) { return a; }
  if (isNan(b)) { return b; }
  return select(b, a, a < b);
}`,
  squareRoot: 'fn squareRoot(x: f32) -> f32 { return select(sqrt(x), nan(), x < 0f || isNan(x)); }',
  reciprocalSquareRoot:
    'fn reciprocalSquareRoot(x: f32) -> f32 { return select(select(inverseSqrt(x), infinity(), x == 0f), nan(), x < 0f || isNan(x)); }',
  // Keeps a compiler from regrouping sums that are meant to cancel in this order, as WGSL lets it.
  fixed: 'fn fixed(x: f32) -> f32 { return floatOf(bitcast<u32>(x)); }',
  // x − n log 2, which is in two pieces; the first has so few digits that its multiples are exact.
  remainder:
    'fn remainder(x: f32, n: f32) -> f32 { return fixed(x - n * 0.693359375f) + n * 2.12194440e-4f; }',
  // eʳ − 1 for |r| ≤ ½ log 2. Coefficients: Cephes, expf.
  exponentialTail: `fn exponentialTail(r: f32) -> f32 {
  let p = ((((1.9875691500e-4f * r + 1.3981999507e-3f) * r + 8.3334519073e-3f) * r + 4.1665795894e-2f) * r
    + 1.6666665459e-1f) * r + 5.0000001201e-1f;
  return p * (r * r) + r;
}`,
  power: 'fn power(n: i32) -> f32 { return bitcast<f32>(u32(n + 127i) << 23u); }',
  // eˣ = 2ⁿ eʳ. WGSL's own may be off by 3 + 2|x| units. 2ⁿ in two steps, as it may be too large or small for one.
  exponential: `fn exponential(x: f32) -> f32 {
  let n = round(clamp(x, -104f, 89f) * 1.4426950408889634f);
  let half = i32(n) / 2i;
  let y = (exponentialTail(remainder(x, n)) + 1f) * power(half) * power(i32(n) - half);
  if (isNan(x)) { return x; }
  if (x > 88.72284f) { return infinity(); }
  return select(y, 0f, x < -103.97208f);
}`,
  // 2ⁿ (eʳ − 1) + (2ⁿ − 1) keeps its digits near 0.
  exponentialMinusOne: `fn exponentialMinusOne(x: f32) -> f32 {
  if (x > 20f || isNan(x)) { return exponential(x); }
  let bounded = max(x, -30f);
  let n = round(bounded * 1.4426950408889634f);
  let scale = power(i32(n));
  return exponentialTail(remainder(bounded, n)) * scale + fixed(scale - 1f);
}`,
  // x = 2ⁿ m with √½ ≤ m < √2. Coefficients: Cephes, logf.
  logarithm: `fn logarithm(x: f32) -> f32 {
  if (isNan(x) || x < 0f) { return nan(); }
  if (x == 0f) { return -infinity(); }
  if (isInfinite(x)) { return x; }
  let small = x < 1.17549435e-38f;
  let bits = bitcast<i32>(select(x, x * 8388608f, small));
  let exponent = (bits - 0x3f3504f3i) >> 23u;
  let m = bitcast<f32>(bits - (exponent << 23u)) - 1f;
  let n = f32(exponent - select(0i, 23i, small));
  let p = (((((((7.0376836292e-2f * m - 1.1514610310e-1f) * m + 1.1676998740e-1f) * m - 1.2420140846e-1f) * m
    + 1.4249322787e-1f) * m - 1.6668057665e-1f) * m + 2.0000714765e-1f) * m - 2.4999993993e-1f) * m + 3.3333331174e-1f;
  let tail = p * m * (m * m) - n * 2.12194440e-4f - 0.5f * (m * m);
  return fixed(m + tail) + n * 0.693359375f;
}`,
  // Kahan's: log u · (x / (u − 1)) with u = 1 + x rounded, in which the rounding cancels.
  logarithmOfOnePlus: `fn logarithmOfOnePlus(x: f32) -> f32 {
  let u = fixed(1f + x);
  if (u == 1f) { return x; }
  let y = logarithm(u);
  return select(y, y * (x / (u - 1f)), isFinite(y));
}`,
  sigmoid: `fn sigmoid(x: f32) -> f32 {
  let small = exponential(-abs(x));
  return select(small / (1f + small), 1f / (1f + small), x >= 0f || isNan(x));
}`,
  // tanh |x| = −m / (2 + m) with m = e^(−2|x|) − 1.
  hyperbolicTangent: `fn hyperbolicTangent(x: f32) -> f32 {
  if (isNan(x)) { return x; }
  let m = exponentialMinusOne(-2f * abs(x));
  let y = -m / (2f + m);
  return select(y, -y, x < 0f);
}`,
  softplus: `fn softplus(x: f32) -> f32 {
  if (isNan(x)) { return x; }
  return max(x, 0f) + logarithmOfOnePlus(exponential(-abs(x)));
}`,
  // x + x·P(x²) for |x| < 0.9375, 1 − e^−Q(|x|) beyond: the polynomials of backend-wasm's assembly/math.ts.
  errorFunction: `fn errorFunction(x: f32) -> f32 {
  if (isNan(x)) { return x; }
  let s = x * x;
  let t = min(abs(x), 4f);
  if (t < 0.9375f) {
    let p = ((((-0.00059431425f * s + 0.0049843788f) * s - 0.026761107f) * s + 0.11281682f) * s - 0.37612483f) * s
      + 0.12837915f;
    return p * x + x;
  }
  let q = (((((-0.00019716973f * t + 0.0030555016f) * t - 0.022276706f) * t + 0.104036644f) * t + 0.6370604906f) * t
    + 1.1277491649633011f) * t + 0.00017758217698826684f;
  let y = 1f - exponential(-q);
  return select(y, -y, x < 0f);
}`,
  // Of x = n π/2 + r with |r| ≤ π/4. WGSL's own may be off by 5e-4, and by anything beyond π. π/2 is in
  // three pieces whose multiples are exact up to 8192. Coefficients: Cephes, sinf and cosf.
  sineAndCosine: `fn sineAndCosine(x: f32) -> vec2f {
  if (!isFinite(x)) { return vec2f(nan()); }
  if (abs(x) > 8192f) { return vec2f(sin(x), cos(x)); }
  let n = round(x * 0.63661977f);
  let r = fixed(fixed(x - n * 1.5703125f) - n * 4.837512969970703e-4f) - n * 7.549789954891882e-8f;
  let s = r * r;
  let sine = ((-1.9515295891e-4f * s + 8.3321608736e-3f) * s - 1.6666654611e-1f) * s * r + r;
  let cosine = ((2.443315711809948e-5f * s - 1.388731625493765e-3f) * s + 4.166664568298827e-2f) * s * s - 0.5f * s + 1f;
  let turned = select(vec2f(sine, cosine), vec2f(cosine, -sine), (i32(n) & 1i) != 0i);
  return select(turned, -turned, (i32(n) & 2i) != 0i);
}`,
  tangent: `fn tangent(x: f32) -> f32 {
  let both = sineAndCosine(x);
  return both.x / both.y;
}`,
  // log(x + √(x² + 1)), beyond 10⁹ log 2x.
  inverseHyperbolicSine: `fn inverseHyperbolicSine(x: f32) -> f32 {
  if (isNan(x)) { return x; }
  let a = abs(x);
  var y = 0f;
  if (a > 1e9f) { y = logarithm(a) + 0.6931472f; } else { y = logarithmOfOnePlus(a + a * a / (1f + sqrt(1f + a * a))); }
  return select(y, -y, x < 0f);
}`,
  // log(x + √(x² − 1)), beyond 10⁹ log 2x.
  inverseHyperbolicCosine: `fn inverseHyperbolicCosine(x: f32) -> f32 {
  if (isNan(x) || x < 1f) { return nan(); }
  if (x > 1e9f) { return logarithm(x) + 0.6931472f; }
  let t = x - 1f;
  return logarithmOfOnePlus(t + sqrt(2f * t + t * t));
}`,
  inverseHyperbolicTangent: `fn inverseHyperbolicTangent(x: f32) -> f32 {
  let a = abs(x);
  if (isNan(x) || a > 1f) { return nan(); }
  var y = infinity();
  if (a < 1f) { y = 0.5f * logarithmOfOnePlus(2f * a / (1f - a)); }
  return select(y, -y, x < 0f);
}`,
  // Modulo 2³², as JavaScript's |0.
  integerOf: `fn integerOf(x: f32) -> i32 {
  if (!isFinite(x)) { return 0i; }
  if (abs(x) < 2147483648f) { return i32(x); }
  let bits = bitcast<u32>(x);
  let exponent = i32((bits >> 23u) & 0xffu) - 150i;
  if (exponent >= 32i) { return 0i; }
  let magnitude = i32(((bits & 0x7fffffu) | 0x800000u) << u32(exponent));
  return select(magnitude, -magnitude, x < 0f);
}`,
};

const ORDER = Object.keys(FUNCTIONS);

/** Those functions that some code uses, and those that these use. */
export function preludeOf(code: string): string {
  const used = new Set<string>();
  const visit = (text: string): void => {
    for (const name of ORDER) {
      if (used.has(name) || !new RegExp(`\\b${name}\\b`).test(text)) continue;
      used.add(name);
      visit(FUNCTIONS[name].slice(FUNCTIONS[name].indexOf('{')));
    }
  };
  visit(code);
  return ORDER.filter((name) => used.has(name))
    .map((name) => FUNCTIONS[name])
    .join('\n');
}

/** A number as a WGSL expression of type f32, with exactly these bits. */
export function f32Literal(value: number): string {
  const rounded = Math.fround(value);
  if (Number.isNaN(rounded)) return 'nan()';
  if (!Number.isFinite(rounded)) return rounded > 0 ? 'infinity()' : '(-infinity())';
  if (Object.is(rounded, -0)) return '(-0.0f)';
  const text = `${rounded}`;
  return rounded < 0 ? `(${text}f)` : `${text}f`;
}
