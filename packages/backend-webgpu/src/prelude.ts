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
  exponential: `fn exponential(x: f32) -> f32 {
  if (isNan(x)) { return x; }
  if (x > 88.72284f) { return infinity(); }
  if (x < -103.97208f) { return 0f; }
  return exp(x);
}`,
  // exp(x) − 1 = tanh(x/2)·(exp(x) + 1) loses no digits near 0; there, three terms of the series do.
  exponentialMinusOne: `fn exponentialMinusOne(x: f32) -> f32 {
  if (isNan(x)) { return x; }
  if (abs(x) < 0.01f) { return x + x * x * (0.5f + x * (0.16666667f + x * 0.041666668f)); }
  return exponential(x) - 1f;
}`,
  logarithm: `fn logarithm(x: f32) -> f32 {
  if (isNan(x) || x < 0f) { return nan(); }
  if (x == 0f) { return -infinity(); }
  if (isInfinite(x)) { return x; }
  return log(x);
}`,
  // Kahan's: the error of 1 + x is made good by the factor x/((1 + x) − 1).
  logarithmOfOnePlus: `fn logarithmOfOnePlus(x: f32) -> f32 {
  if (isNan(x) || isInfinite(x)) { return logarithm(x); }
  if (abs(x) < 0.01f) { return x - x * x * (0.5f - x * (0.33333334f - x * 0.25f)); }
  return logarithm(1f + x);
}`,
  sigmoid: `fn sigmoid(x: f32) -> f32 {
  let small = exponential(-abs(x));
  return select(small / (1f + small), 1f / (1f + small), x >= 0f || isNan(x));
}`,
  hyperbolicTangent: `fn hyperbolicTangent(x: f32) -> f32 {
  if (isNan(x)) { return x; }
  let a = abs(x);
  if (a < 0.02f) { return x - x * x * x * (0.33333334f - x * x * 0.13333334f); }
  let small = exponential(-2f * a);
  return sign(x) * (1f - small) / (1f + small);
}`,
  softplus: `fn softplus(x: f32) -> f32 {
  if (isNan(x)) { return x; }
  return max(x, 0f) + logarithmOfOnePlus(exponential(-abs(x)));
}`,
  // Abramowitz and Stegun 7.1.26 beyond 0.5, the Maclaurin series below: errors of 1.5e-7.
  errorFunction: `fn errorFunction(x: f32) -> f32 {
  if (isNan(x)) { return x; }
  let a = abs(x);
  let s = x * x;
  if (a < 0.5f) {
    return x * 1.1283792f * (1f - s * (0.33333334f - s * (0.1f - s * (0.023809524f - s * (0.0046296297f - s * 0.00075757577f)))));
  }
  let t = 1f / (1f + 0.3275911f * a);
  let p = t * (0.2548295921f + t * (-0.2844967361f + t * (1.421413741f + t * (-1.453152027f + t * 1.061405429f))));
  return sign(x) * (1f - p * exponential(-s));
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
