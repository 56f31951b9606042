import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hash32, philox4x32, philoxWords, unitFloat } from '../src/index.js';

type Four = readonly [number, number, number, number];

function block(counter: Four, key: readonly [number, number]): number[] {
  const out = new Uint32Array(6).fill(7);
  philox4x32(...counter, ...key, out, 1);
  expect([out[0], out[5]]).toEqual([7, 7]);
  return [...out.subarray(1, 5)];
}

/** The paper's definition in big integers, which no product of 32-bit words overflows. */
function reference(counter: Four, key: readonly [number, number]): number[] {
  const mask = 0xffffffffn;
  let [c0, c1, c2, c3] = counter.map(BigInt);
  let [k0, k1] = key.map(BigInt);
  for (let round = 0; round < 10; round++) {
    const [p0, p1] = [0xd2511f53n * c0, 0xcd9e8d57n * c2];
    [c0, c1, c2, c3] = [(p1 >> 32n) ^ c1 ^ k0, p1 & mask, (p0 >> 32n) ^ c3 ^ k1, p0 & mask];
    [k0, k1] = [(k0 + 0x9e3779b9n) & mask, (k1 + 0xbb67ae85n) & mask];
  }
  return [c0, c1, c2, c3].map(Number);
}

const hex = (words: Iterable<number>): string =>
  Array.from(words, (w) => w.toString(16).padStart(8, '0')).join(' ');
const word = fc.oneof(
  fc.nat({ max: 0xffffffff }),
  fc.constantFrom(0, 1, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffff0000, 0xffffffff),
);

describe('philox4x32', () => {
  // The published known answers: Random123, tests/kat_vectors, philox4x32 with 10 rounds.
  it.each([
    [[0, 0, 0, 0], [0, 0], '6627e8d5 e169c58d bc57ac4c 9b00dbd8'],
    [
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      '408f276d 41c83b0e a20bc7c6 6d5451fd',
    ],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      'd16cfe09 94fdcceb 5001e420 24126ea1',
    ],
  ] as [Four, [number, number], string][])('%j under %j', (counter, key, expected) => {
    expect(hex(block(counter, key))).toBe(expected);
  });

  it('equals its definition in big integers', () => {
    fc.assert(
      fc.property(fc.tuple(word, word, word, word), fc.tuple(word, word), (counter, key) => {
        expect(block(counter, key)).toEqual(reference(counter, key));
      }),
      { numRuns: 2000 },
    );
  });
});

describe('philoxWords', () => {
  it('is the blocks of the counters (⌊i/4⌋, 0, stream, domain), one after the other', () => {
    fc.assert(
      fc.property(fc.tuple(word, word), word, word, fc.nat({ max: 40 }), (key, stream, domain, count) => {
        const words = philoxWords(key, stream, domain, count);
        expect(words).toHaveLength(count);
        const blocks = Array.from({ length: Math.ceil(count / 4) }, (_, i) =>
          block([i, 0, stream, domain], key),
        );
        expect([...words]).toEqual(blocks.flat().slice(0, count));
      }),
    );
  });

  it('begins with the same words, however many are drawn', () => {
    const many = philoxWords([1, 2], 3, 4, 100);
    for (const count of [0, 1, 3, 4, 5, 99]) {
      expect([...philoxWords([1, 2], 3, 4, count)]).toEqual([...many.subarray(0, count)]);
    }
  });
});

describe('unitFloat', () => {
  it('is exact in float32, below 1, and uses the upper 24 bits', () => {
    expect([unitFloat(0), unitFloat(0xff), unitFloat(0x100), unitFloat(0xffffffff)]).toEqual([
      0,
      0,
      2 ** -24,
      1 - 2 ** -24,
    ]);
    fc.assert(
      fc.property(word, (w) => {
        expect(Math.fround(unitFloat(w))).toBe(unitFloat(w));
        expect(unitFloat(w)).toBeLessThan(1);
      }),
    );
  });
});

describe('hash32', () => {
  // The published vectors of FNV-1a (draft-eastlake-fnv, appendix C), and one in UTF-8 by another implementation.
  it.each([
    ['', 0x811c9dc5],
    ['a', 0xe40c292c],
    ['foobar', 0xbf9cf968],
    ['schön 🎲', 0x7fa54803],
  ])('of %j', (text, expected) => {
    expect(hash32(text)).toBe(expected);
  });

  it('depends on its basis', () => {
    expect(hash32('a', 1)).not.toBe(hash32('a'));
  });
});
