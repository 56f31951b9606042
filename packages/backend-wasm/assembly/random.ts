const M0: i32 = 0xd2511f53;
const M1: i32 = 0xcd9e8d57;
const W0: i32 = 0x9e3779b9;
const W1: i32 = 0xbb67ae85;

/**
 * Uniform numbers in [0, 1): element i is the upper 24 bits of word i mod 4 of Philox4x32-10 at the counter
 * (⌊i/4⌋, 0, site, domain), times 2⁻²⁴. Four counters run side by side, which fill 64 bytes.
 *
 * args: key (two words), out; count, site, domain, perPart (elements, a multiple of 16).
 * A part: `perPart` elements, and up to 15 more in the padding of the last one.
 */
export function philoxUniform(args: usize, begin: i32, end: i32): void {
  const key = <usize>load<u32>(args);
  const out = <usize>load<u32>(args, 4);
  const count = load<i32>(args, 8);
  const site = i32x4.splat(load<i32>(args, 12));
  const domain = i32x4.splat(load<i32>(args, 16));
  const perPart = load<i32>(args, 20);
  const key0 = i32x4.splat(load<i32>(key));
  const key1 = i32x4.splat(load<i32>(key, 4));
  const m0 = i32x4.splat(M0);
  const m1 = i32x4.splat(M1);
  const w0 = i32x4.splat(W0);
  const w1 = i32x4.splat(W1);
  const unit = f32x4.splat(5.9604644775390625e-8);
  const last = min(end * perPart, count);
  for (let i = begin * perPart; i < last; i += 16) {
    let c0 = i32x4.add(i32x4.splat(i >> 2), i32x4(0, 1, 2, 3));
    let c1 = i32x4.splat(0);
    let c2 = site;
    let c3 = domain;
    let k0 = key0;
    let k1 = key1;
    for (let round = 0; round < 10; round++) {
      const p0 = i64x2.extmul_low_i32x4_u(c0, m0);
      const q0 = i64x2.extmul_high_i32x4_u(c0, m0);
      const p1 = i64x2.extmul_low_i32x4_u(c2, m1);
      const q1 = i64x2.extmul_high_i32x4_u(c2, m1);
      c0 = v128.xor(v128.xor(i32x4.shuffle(p1, q1, 1, 3, 5, 7), c1), k0);
      c2 = v128.xor(v128.xor(i32x4.shuffle(p0, q0, 1, 3, 5, 7), c3), k1);
      c1 = i32x4.shuffle(p1, q1, 0, 2, 4, 6);
      c3 = i32x4.shuffle(p0, q0, 0, 2, 4, 6);
      k0 = i32x4.add(k0, w0);
      k1 = i32x4.add(k1, w1);
    }
    // From a vector of each word to the four words of each counter.
    const low01 = i32x4.shuffle(c0, c1, 0, 4, 1, 5);
    const high01 = i32x4.shuffle(c0, c1, 2, 6, 3, 7);
    const low23 = i32x4.shuffle(c2, c3, 0, 4, 1, 5);
    const high23 = i32x4.shuffle(c2, c3, 2, 6, 3, 7);
    const to = out + (<usize>i << 2);
    v128.store(to, toUnit(i64x2.shuffle(low01, low23, 0, 2), unit));
    v128.store(to, toUnit(i64x2.shuffle(low01, low23, 1, 3), unit), 16);
    v128.store(to, toUnit(i64x2.shuffle(high01, high23, 0, 2), unit), 32);
    v128.store(to, toUnit(i64x2.shuffle(high01, high23, 1, 3), unit), 48);
  }
}

// @ts-ignore: decorator
@inline
function toUnit(words: v128, unit: v128): v128 {
  return f32x4.mul(f32x4.convert_i32x4_s(i32x4.shr_u(words, 8)), unit);
}
