import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { blankKey, createKey, type Key, keyFromWords, sameBits, toNested } from '../src/index.js';
import { expectError, seed } from './support.js';

const key = createKey(42);
const hex = ({ words }: Key): string => words.map((w) => w.toString(16)).join(' ');

describe('pinned values: a seed means the same tomorrow', () => {
  // By another implementation, in Python's integers and doubles.
  it('of keys', () => {
    expect([createKey(0), key, createKey(Number.MAX_SAFE_INTEGER)].map(hex)).toEqual([
      'dd2fc514 adf5a0db',
      '53c0fa72 2ff5bc57',
      '9c5d439e 1ceb828e',
    ]);
    expect(key.split(2).map(hex)).toEqual(['d1a7b9e2 2a7222e1', '5d9a5c1d 678976e6']);
    expect(hex(key.foldIn(7))).toBe('df3d9b55 4cfb1eb5');
    expect(hex(key.foldIn(2 ** 32 + 7))).toBe('7d013000 497819fd');
    expect(hex(key.foldIn('weights'))).toBe('ecb752ab 32adb006');
  });

  it('of draws', () => {
    expect([...key.bits(5)]).toEqual([0x12d5bdf3, 0x5e0d05e0, 0x2f4850f6, 0xbea1fe9a, 0xd130832a]);
    expect(toNested(key.uniform([3]))).toEqual([
      0.07357388734817505, 0.3673861622810364, 0.18469715118408203,
    ]);
    expect(toNested(key.uniform([3], -2, 6))).toEqual([
      -1.4114089012145996, 0.939089298248291, -0.5224227905273438,
    ]);
    expect(toNested(key.normal([3]))).toEqual([
      -1.5362869501113892, 1.6907840967178345, -0.06166345998644829,
    ]);
    expect(toNested(key.normal([3], 10, 2))).toEqual([
      6.927425861358643, 13.38156795501709, 9.876672744750977,
    ]);
    expect([...key.permutation(10)]).toEqual([1, 0, 6, 8, 2, 7, 9, 3, 4, 5]);
    expect([...key.toNdArray().data]).toEqual([1405155954, 804633687]);
  });
});

describe('a key', () => {
  it('is a value: the same draws, however often and in whatever order', () => {
    const other = createKey(42);
    other.normal([5]);
    other.split(3);
    expect([...other.bits(8)]).toEqual([...key.bits(8)]);
    expect(Object.isFrozen(key)).toBe(true);
  });

  it('comes back from its words, and from the argument of a step', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (s) => {
        const made = createKey(s);
        expect(keyFromWords(made.words).words).toEqual(made.words);
        const { data, dtype, shape } = made.toNdArray();
        expect([dtype, ...shape]).toEqual(['int32', 2]);
        expect(keyFromWords([data[0], data[1]]).words).toEqual(made.words);
      }),
    );
  });

  it('has draws that begin alike, however many there are', () => {
    expect([...key.bits(3)]).toEqual([...key.bits(10).subarray(0, 3)]);
    expect(key.split(2).map(hex)).toEqual(key.split(9).slice(0, 2).map(hex));
    expect(toNested(key.uniform([2, 2]))).toEqual([
      toNested(key.uniform([2])),
      [...key.uniform([4]).data.subarray(2)],
    ]);
  });

  it.each([-1, 1.5, Number.NaN, 2 ** 53, Number.POSITIVE_INFINITY, '1', null])(
    'refuses the seed %s',
    async (bad) => {
      await expectError(
        () => createKey(bad as number),
        'INVALID_ARGUMENT',
        'createKey',
        '2^53 - 1',
        String(bad),
      );
    },
  );

  it('refuses what it cannot fold in, and counts that are none', async () => {
    await expectError(() => key.foldIn(-1), 'INVALID_ARGUMENT', 'foldIn');
    await expectError(() => key.foldIn(0.5), 'INVALID_ARGUMENT', 'foldIn');
    await expectError(() => key.foldIn(undefined as unknown as number), 'INVALID_ARGUMENT', 'foldIn');
    await expectError(() => key.split(-1), 'INVALID_ARGUMENT', 'split');
    await expectError(() => key.bits(1.5), 'INVALID_ARGUMENT', 'bits');
    await expectError(() => key.permutation(Number.NaN), 'INVALID_ARGUMENT', 'permutation');
    await expectError(() => key.uniform([2, -1]), 'SHAPE_MISMATCH', 'uniform');
    await expectError(() => key.normal([0.5]), 'SHAPE_MISMATCH', 'normal');
    await expectError(() => keyFromWords([1.5, 0]), 'INVALID_ARGUMENT', 'keyFromWords');
    await expectError(() => keyFromWords([-(2 ** 31) - 1, 0]), 'INVALID_ARGUMENT', 'keyFromWords');
    await expectError(() => keyFromWords([0, 2 ** 32]), 'INVALID_ARGUMENT', 'keyFromWords');
  });

  it('draws nothing where nothing is asked for', () => {
    expect(key.split(0)).toEqual([]);
    expect(key.bits(0)).toHaveLength(0);
    expect(key.permutation(0)).toHaveLength(0);
    expect([...key.permutation(1)]).toEqual([0]);
    expect(key.normal([0, 3])).toEqual({ dtype: 'float32', shape: [0, 3], data: new Float32Array(0) });
    expect(key.uniform([]).data).toHaveLength(1);
  });
});

describe('derived keys', () => {
  it('are all distinct: by number, by text, by split, of many seeds', () => {
    const seen = new Set<string>();
    let count = 0;
    const add = (derived: Key): void => {
      seen.add(hex(derived));
      count++;
    };
    for (let s = 0; s < 20; s++) {
      const root = createKey(s);
      add(root);
      root.split(500).forEach(add);
      for (let i = 0; i < 500; i++) {
        add(root.foldIn(i));
        add(root.foldIn(String(i)));
        add(root.foldIn(`layer${i}.kernel`));
      }
    }
    expect(seen.size).toBe(count);
  });

  it('tell 1 from "1", and depend on the order of folding', () => {
    expect(hex(key.foldIn(1))).not.toBe(hex(key.foldIn('1')));
    expect(hex(key.foldIn('a').foldIn('b'))).not.toBe(hex(key.foldIn('b').foldIn('a')));
    expect(hex(key.foldIn('ab'))).not.toBe(hex(key.foldIn('a').foldIn('b')));
  });

  it('give streams that have nothing to do with each other', () => {
    // Each bit of two streams agrees half of the time: |agreement − n/2| stays within five standard deviations.
    const streams = [key, ...key.split(3), key.foldIn(0), key.foldIn(1), key.foldIn('0')].map((k) =>
      k.bits(4096),
    );
    const n = 4096 * 32;
    for (let i = 0; i < streams.length; i++) {
      for (let j = 0; j < i; j++) {
        let agree = 0;
        for (let w = 0; w < 4096; w++) agree += 32 - ones(streams[i][w] ^ streams[j][w]);
        expect(Math.abs(agree - n / 2)).toBeLessThan(5 * Math.sqrt(n / 4));
      }
    }
  });
});

function ones(word: number): number {
  let count = 0;
  for (let rest = word >>> 0; rest !== 0; rest &= rest - 1) count++;
  return count;
}

/** Σ (observed − expected)² / expected. */
function chiSquare(observed: readonly number[], expected: number): number {
  return observed.reduce((acc, count) => acc + (count - expected) ** 2 / expected, 0);
}

describe('permutation', () => {
  it('is one', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.nat({ max: 200 }), (s, count) => {
        const order = createKey(s).permutation(count);
        expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, i) => i));
      }),
    );
  });

  it('takes every order of four equally often', () => {
    const counts = new Map<string, number>();
    const keys = createKey(seed).split(24_000);
    for (const k of keys) {
      const order = k.permutation(4).join('');
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(24);
    // 23 degrees of freedom: 49.7 is passed once in a thousand seeds.
    expect(chiSquare([...counts.values()], 1000)).toBeLessThan(49.7);
  });

  it('puts every element at every place equally often', () => {
    const n = 10;
    const counts = new Array<number>(n * n).fill(0);
    for (const k of createKey(seed).foldIn('places').split(10_000)) {
      for (const [place, element] of k.permutation(n).entries()) counts[place * n + element]++;
    }
    // (10 − 1)² degrees of freedom: 126 is passed once in a thousand seeds.
    expect(chiSquare(counts, 1000)).toBeLessThan(126.1);
  });
});

describe('uniform', () => {
  const n = 100_000;
  it('fills [0, 1) evenly, in steps of 2⁻²⁴', () => {
    const { data } = createKey(seed).uniform([n]);
    const bins = new Array<number>(100).fill(0);
    expect(data.every((x) => x >= 0 && x < 1 && Number.isInteger(x * 2 ** 24))).toBe(true);
    for (const x of data) bins[Math.floor(x * 100)]++;
    // 99 degrees of freedom.
    expect(chiSquare(bins, n / 100)).toBeLessThan(148.3);
  });

  it('stays below its upper bound where float32 would round up to it', () => {
    // Half of the numbers between 1 and its successor are nearer to the latter.
    expect(new Set(key.uniform([1000], 1, 1 + 2 ** -23).data)).toEqual(new Set([1]));
    fc.assert(
      fc.property(
        fc.maxSafeNat(),
        fc.float({ noNaN: true, noDefaultInfinity: true }),
        fc.nat({ max: 5 }),
        (s, low, ulps) => {
          // A few representable numbers wide, where rounding does its worst.
          const width = Math.max(2 ** -149, Math.abs(low) * 2 ** -22) * ulps;
          const high = Math.fround(low + width);
          fc.pre(Number.isFinite(high));
          for (const x of createKey(s).uniform([50], low, high).data) {
            expect(x).toBeGreaterThanOrEqual(low);
            if (high > low) expect(x).toBeLessThan(high);
          }
        },
      ),
    );
  });

  it('refuses bounds in the wrong order, and bounds that are none', async () => {
    await expectError(() => key.uniform([1], 1, 0), 'INVALID_ARGUMENT', 'uniform');
    await expectError(() => key.uniform([1], 0, Number.NaN), 'INVALID_ARGUMENT', 'uniform');
    await expectError(() => key.uniform([1], Number.NEGATIVE_INFINITY, 0), 'INVALID_ARGUMENT', 'uniform');
    expect(key.uniform([2], 3, 3).data).toEqual(Float32Array.of(3, 3));
  });
});

describe('normal', () => {
  it('has the moments of a normal distribution', () => {
    const n = 200_000;
    const { data } = createKey(seed).normal([n]);
    const moment = (power: number): number => data.reduce((acc, x) => acc + x ** power, 0) / n;
    // Five standard errors of each: the moments of x² are 2, of x³ 15, of x⁴ 96.
    const within = (value: number, expected: number, variance: number): void =>
      expect(Math.abs(value - expected)).toBeLessThan(5 * Math.sqrt(variance / n));
    within(moment(1), 0, 1);
    within(moment(2), 1, 2);
    within(moment(3), 0, 15);
    within(moment(4), 3, 96);
    const beyond = data.filter((x) => Math.abs(x) > 1.959963984540054).length / n;
    within(beyond, 0.05, 0.05 * 0.95);
    expect(data.every(Number.isFinite)).toBe(true);
  });

  it('does not correlate its pairs', () => {
    const n = 100_000;
    const { data } = createKey(seed)
      .foldIn('pairs')
      .normal([2 * n]);
    let product = 0;
    for (let i = 0; i < 2 * n; i += 2) product += data[i] * data[i + 1];
    expect(Math.abs(product / n)).toBeLessThan(5 / Math.sqrt(n));
  });

  it('is scaled and moved', () => {
    const [plain, scaled] = [key.normal([101]), key.normal([101], 3, 0.5)];
    for (let i = 0; i < 101; i++)
      expect(Math.abs(scaled.data[i] - (3 + 0.5 * plain.data[i]))).toBeLessThan(1e-6);
    expect(
      sameBits(key.normal([4], 3, 0), { dtype: 'float32', shape: [4], data: new Float32Array(4).fill(3) }),
    ).toBe(true);
  });
});

describe('blankKey', () => {
  it('gives zeros of the shapes that a key gives', () => {
    for (const draw of ['uniform', 'normal'] as const) {
      const [blank, drawn] = [blankKey.foldIn('a').split(2)[1][draw]([2, 3]), key[draw]([2, 3])];
      expect([blank.dtype, blank.shape, blank.data.length]).toEqual([
        drawn.dtype,
        drawn.shape,
        drawn.data.length,
      ]);
      expect(blank.data.every((value) => value === 0)).toBe(true);
      expectError(() => blankKey[draw]([-1]), 'SHAPE_MISMATCH');
    }
    expect([...blankKey.bits(3)]).toEqual([0, 0, 0]);
    expect([...blankKey.permutation(3)]).toEqual([0, 1, 2]);
    expect(blankKey.toNdArray()).toMatchObject({ dtype: 'int32', shape: [2] });
  });
});
