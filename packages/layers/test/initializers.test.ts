import { createKey, type NdArray, sameBits } from '@tenon-ml/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { conv2d, dense, fansOf, type Initializer, type InitializerName, initialize } from '../src/index.js';

const key = createKey(3);

function momentsOf({ data }: NdArray): { mean: number; deviation: number; least: number; most: number } {
  const values = Array.from(data, Number);
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  const least = values.reduce((a, b) => Math.min(a, b));
  return { mean, deviation: Math.sqrt(variance), least, most: values.reduce((a, b) => Math.max(a, b)) };
}

// 3 · 5 · 20 = 300 inputs reach an output, 3 · 5 · 60 = 900 outputs an input; 18,000 draws.
const shape = [3, 5, 20, 60];
const [fanIn, fanOut] = [300, 900];

test('fans are those of Keras', () => {
  expect(fansOf([])).toEqual({ fanIn: 1, fanOut: 1 });
  expect(fansOf([7])).toEqual({ fanIn: 7, fanOut: 7 });
  expect(fansOf([7, 3])).toEqual({ fanIn: 7, fanOut: 3 });
  expect(fansOf([5, 7, 3])).toEqual({ fanIn: 35, fanOut: 15 });
  expect(fansOf(shape)).toEqual({ fanIn, fanOut });
});

describe('uniform initializers', () => {
  const rows: [Initializer, number][] = [
    ['glorotUniform', Math.sqrt(6 / (fanIn + fanOut))],
    ['heUniform', Math.sqrt(6 / fanIn)],
    ['lecunUniform', Math.sqrt(3 / fanIn)],
    ['uniform', 0.05],
    [{ initializer: 'varianceScaling', scale: 1 / 3, distribution: 'uniform' }, Math.sqrt(1 / fanIn)],
    [
      { initializer: 'varianceScaling', scale: 2, mode: 'fanOut', distribution: 'uniform' },
      Math.sqrt(6 / fanOut),
    ],
  ];
  test.each(rows)('%o fills ±%d', (initializer, limit) => {
    const { mean, deviation, least, most } = momentsOf(initialize(initializer, key, shape));
    expect(Math.abs(most / limit - 1)).toBeLessThan(1e-3);
    expect(Math.abs(least / limit + 1)).toBeLessThan(1e-3);
    expect(most).toBeLessThanOrEqual(limit * (1 + 1e-7));
    // 18,000 draws: the mean's standard error is 0.004 limits, the deviation's 0.0034 of itself.
    expect(Math.abs(mean / limit)).toBeLessThan(0.02);
    expect(Math.abs((deviation * Math.sqrt(3)) / limit - 1)).toBeLessThan(0.015);
  });

  test('uniform takes its bounds', () => {
    const { least, most } = momentsOf(initialize({ initializer: 'uniform', low: 2, high: 5 }, key, [4000]));
    expect(least).toBeGreaterThanOrEqual(2);
    expect(least).toBeLessThan(2.01);
    expect(most).toBeGreaterThan(4.99);
    expect(most).toBeLessThanOrEqual(5);
  });
});

describe('normal initializers', () => {
  // The cut at two deviations narrows a normal to 0.8796 of its deviation; the named ones make up for that.
  const narrowing = 0.87962566;
  const rows: [Initializer, number, number][] = [
    ['glorotNormal', Math.sqrt(2 / (fanIn + fanOut)), 2 / narrowing],
    ['heNormal', Math.sqrt(2 / fanIn), 2 / narrowing],
    ['lecunNormal', Math.sqrt(1 / fanIn), 2 / narrowing],
    [{ initializer: 'varianceScaling', mode: 'fanAverage' }, Math.sqrt(1 / 600), 2 / narrowing],
    ['truncatedNormal', 0.05 * narrowing, 2 / narrowing],
    ['normal', 0.05, Number.POSITIVE_INFINITY],
    [{ initializer: 'varianceScaling', scale: 2, distribution: 'normal' }, Math.sqrt(2 / fanIn), Infinity],
  ];
  test.each(rows)('%o has the deviation %d, cut off at %d of it', (initializer, deviation, cut) => {
    const moments = momentsOf(initialize(initializer, key, shape));
    expect(Math.abs(moments.mean / deviation)).toBeLessThan(0.03);
    expect(Math.abs(moments.deviation / deviation - 1)).toBeLessThan(0.02);
    const extreme = Math.max(moments.most, -moments.least) / deviation;
    if (cut === Number.POSITIVE_INFINITY) expect(extreme).toBeGreaterThan(3);
    else {
      expect(extreme).toBeLessThanOrEqual(cut * (1 + 1e-6));
      expect(extreme).toBeGreaterThan(cut * 0.99);
    }
  });

  test('take their mean and deviation', () => {
    for (const initializer of ['normal', 'truncatedNormal'] as const) {
      const values = initialize({ initializer, mean: 10, standardDeviation: 2 }, key, [20_000]);
      const { mean, deviation } = momentsOf(values);
      expect(Math.abs(mean - 10)).toBeLessThan(0.05);
      expect(Math.abs(deviation - (initializer === 'normal' ? 2 : 2 * narrowing))).toBeLessThan(0.05);
    }
  });
});

test('constants are constant', () => {
  const values = (initializer: Initializer): number[] =>
    Array.from(initialize(initializer, key, [2, 2]).data);
  expect(values('zeros')).toEqual([0, 0, 0, 0]);
  expect(values('ones')).toEqual([1, 1, 1, 1]);
  expect(values({ initializer: 'constant', value: -2.5 })).toEqual([-2.5, -2.5, -2.5, -2.5]);
});

test('draws depend on the key alone, for every initializer and shape', () => {
  const drawn: InitializerName[] = ['glorotUniform', 'heNormal', 'uniform', 'normal', 'truncatedNormal'];
  fc.assert(
    fc.property(
      fc.constantFrom(...drawn),
      fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 4 }),
      fc.nat(),
      (initializer, of, seed) => {
        const values = initialize(initializer, createKey(seed), of);
        expect(values.shape).toEqual(of);
        expect(sameBits(values, initialize(initializer, createKey(seed), of))).toBe(true);
        expect(sameBits(values, initialize(initializer, createKey(seed + 1), of))).toBe(false);
      },
    ),
  );
});

test('the initial weights of a release stay those of the next', () => {
  // Saved seeds mean these numbers: a change here breaks the repetition of old runs.
  const spec = { dtype: 'float32', shape: [null, 2] } as const;
  expect(
    Array.from(dense(2).init(createKey(0), spec).params.kernel.data as Float32Array),
  ).toMatchInlineSnapshot(`
    [
      -0.14410032331943512,
      -0.3553422689437866,
      0.9871451258659363,
      -0.7565688490867615,
    ]
  `);
  const heNormal = initialize('heNormal', createKey(0), [2, 2]);
  expect(Array.from(heNormal.data)).toMatchInlineSnapshot(`
    [
      0.05034829303622246,
      -0.08935576677322388,
      2.15732479095459,
      1.496614933013916,
    ]
  `);
});

test('kernels are glorotUniform and biases zeros by default; both can be chosen', () => {
  const image = { dtype: 'float32', shape: [null, 8, 8, 3] } as const;
  const { params } = conv2d(4, [3, 2]).init(key, image);
  expect(params.kernel.shape).toEqual([3, 2, 3, 4]);
  expect(params.bias.shape).toEqual([4]);
  expect(sameBits(params.kernel, initialize('glorotUniform', key.foldIn('kernel'), [3, 2, 3, 4]))).toBe(true);
  expect(sameBits(params.bias, initialize('zeros', key, [4]))).toBe(true);
  const chosen = conv2d(4, [3, 2], { kernelInitializer: 'heNormal', biasInitializer: 'normal' }).init(
    key,
    image,
  );
  expect(sameBits(chosen.params.kernel, initialize('heNormal', key.foldIn('kernel'), [3, 2, 3, 4]))).toBe(
    true,
  );
  expect(sameBits(chosen.params.bias, initialize('normal', key.foldIn('bias'), [4]))).toBe(true);
});

describe('refuses', () => {
  const rows: [unknown, string][] = [
    ['heNormale', "initialize, initializer: There is no initializer 'heNormale'. Did you mean 'heNormal'"],
    ['constructor', "There is no initializer 'constructor'"],
    [3, 'expected initializer to be an initializer, such as'],
    [null, 'expected initializer to be an initializer, such as'],
    [{ initializer: 'constant' }, 'expected initializer.value to be a finite number, got undefined'],
    [{ initializer: 'constant', value: Number.NaN }, 'initializer.value to be a finite number, got NaN'],
    [
      { initializer: 'uniform', low: 1, high: 0 },
      'initializer.high to be a number of at least low (1), got 0',
    ],
    [
      { initializer: 'normal', standardDeviation: -1 },
      'initializer.standardDeviation to be a number of at least 0',
    ],
    [{ initializer: 'varianceScaling', scale: 0 }, 'initializer.scale to be a number above 0'],
    [
      { initializer: 'varianceScaling', mode: 'fan' },
      "initializer.mode to be 'fanIn' or 'fanOut' or 'fanAverage'",
    ],
    [{ initializer: 'zeros', value: 1 }, "there is no option 'initializer.value'. It takes none."],
    [
      { initializer: 'constant', valeu: 1, value: 1 },
      "there is no option 'initializer.valeu'. Did you mean 'value'?",
    ],
  ];
  test.each(rows)('%o', (initializer, message) => {
    expect(() => initialize(initializer as Initializer, key, [2])).toThrow(message);
    expect(() => dense(1, { biasInitializer: initializer as Initializer })).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/INVALID_ARGUMENT|UNKNOWN_NAME/) }),
    );
  });
});
