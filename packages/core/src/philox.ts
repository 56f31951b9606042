/**
 * Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
 * 1, 2, 3" (SC 2011): ten rounds that turn a 128-bit counter into 128 random bits under a 64-bit key. The same words
 * come out as in Random123, cuRAND, PyTorch's CUDA generator and TensorFlow's stateless ops, for the same key and
 * counter.
 */

const M0 = 0xd2511f53;
const M1 = 0xcd9e8d57;
const W0 = 0x9e3779b9;
const W1 = 0xbb67ae85;

/** The upper 32 bits of the product of two unsigned 32-bit integers. */
function mulhi(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const cross = aHigh * bLow + ((aLow * bLow) >>> 16);
  // Up to 2³² + 2³² here: beyond a 32-bit integer, well within a double.
  const middle = aLow * bHigh + (cross % 0x10000);
  return (aHigh * bHigh + Math.floor(cross / 0x10000) + Math.floor(middle / 0x10000)) >>> 0;
}

/** Writes the four words of counter (c0, c1, c2, c3) under key (k0, k1) to `out` at `offset`. */
export function philox4x32(
  c0: number,
  c1: number,
  c2: number,
  c3: number,
  k0: number,
  k1: number,
  out: Uint32Array,
  offset: number,
): void {
  for (let round = 0; round < 10; round++) {
    const high0 = mulhi(M0, c0);
    const low0 = Math.imul(M0, c0) >>> 0;
    const high1 = mulhi(M1, c2);
    const low1 = Math.imul(M1, c2) >>> 0;
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0;
    k0 = (k0 + W0) >>> 0;
    k1 = (k1 + W1) >>> 0;
  }
  out[offset] = c0;
  out[offset + 1] = c1;
  out[offset + 2] = c2;
  out[offset + 3] = c3;
}

/**
 * `count` random words: word i is word i mod 4 of the counter (⌊i/4⌋, 0, stream, domain) under the key.
 *
 * `stream` tells apart the draws under one key, `domain` what they are for, so that no two uses of a key meet.
 */
export function philoxWords(
  key: readonly [number, number],
  stream: number,
  domain: number,
  count: number,
): Uint32Array {
  const words = new Uint32Array(Math.ceil(count / 4) * 4);
  for (let offset = 0; offset < words.length; offset += 4) {
    const block = offset / 4;
    philox4x32(block >>> 0, Math.floor(block / 0x100000000), stream, domain, key[0], key[1], words, offset);
  }
  return words.length === count ? words : words.subarray(0, count);
}

/** A word as a float32 in [0, 1): its upper 24 bits times 2⁻²⁴, so that every value is exact. */
export function unitFloat(word: number): number {
  return (word >>> 8) * 2 ** -24;
}

/** FNV-1a over the UTF-8 bytes of a text: the 32-bit hash that names streams and sites. */
export function hash32(text: string, basis = 0x811c9dc5): number {
  let hash = basis >>> 0;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}
