import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { constant, cosineDecay, scaleByLearningRate, sgd, stepDecay, withWarmup } from '../src/index.js';

const first = (schedule: (step: number) => number, count: number): number[] =>
  Array.from({ length: count }, (_, step) => schedule(step));

test('constant', () => {
  expect(first(constant(0.3), 3)).toEqual([0.3, 0.3, 0.3]);
});

test('stepDecay drops after every so many steps', () => {
  expect(first(stepDecay({ initial: 8, every: 2, factor: 0.5 }), 7)).toEqual([8, 8, 4, 4, 2, 2, 1]);
});

test('cosineDecay: peak, half way, end, and no way back', () => {
  const rate = cosineDecay({ peak: 1, steps: 4, end: 0.2 });
  expect(rate(0)).toBe(1);
  expect(rate(1)).toBeCloseTo(0.6 + 0.4 * Math.SQRT1_2, 14);
  expect(rate(2)).toBeCloseTo(0.6, 14);
  expect(rate(4)).toBe(0.2);
  expect(rate(5)).toBe(0.2);
  expect(rate(1e9)).toBe(0.2);
});

test('a warm-up begins with its share, and reaches the peak in its last step', () => {
  expect(first(cosineDecay({ peak: 1, steps: 100, warmup: 4 }), 5)).toEqual([0.25, 0.5, 0.75, 1, 1]);
  expect(first(withWarmup(stepDecay({ initial: 4, every: 2, factor: 0.5 }), 2), 7)).toEqual([
    2, 4, 4, 4, 2, 2, 1,
  ]);
});

test('cosineDecay with a warm-up is withWarmup of the rest of it', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: 50 }), (warmup, rest) => {
      const whole = cosineDecay({ peak: 0.7, steps: warmup + rest, warmup, end: 0.1 });
      const composed = withWarmup(cosineDecay({ peak: 0.7, steps: rest, end: 0.1 }), warmup);
      expect(first(whole, warmup + rest + 3)).toEqual(first(composed, warmup + rest + 3));
    }),
  );
});

test('cosineDecay never rises after its warm-up, and stays between end and peak', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 200 }), fc.nat({ max: 50 }), (rest, warmup) => {
      const rates = first(
        cosineDecay({ peak: 2, steps: rest + warmup, warmup, end: 0.5 }),
        rest + warmup + 2,
      ).slice(warmup);
      for (const [i, rate] of rates.entries()) {
        expect(rate).toBeGreaterThanOrEqual(0.5);
        expect(rate).toBeLessThanOrEqual(i === 0 ? 2 : rates[i - 1]);
      }
    }),
  );
});

test('specs are JSON, and go into the spec of the optimizer', () => {
  const schedule = withWarmup(cosineDecay({ peak: 1, steps: 10 }), 5);
  const spec = {
    schedule: 'withWarmup',
    steps: 5,
    after: { schedule: 'cosineDecay', peak: 1, steps: 10, warmup: 0, end: 0 },
  };
  expect(JSON.parse(JSON.stringify(schedule.spec))).toEqual(spec);
  expect(sgd({ learningRate: schedule }).transform.spec.learningRate).toEqual(spec);
});

describe('a schedule in an optimizer', () => {
  test('is asked at every step', () => {
    const optimizer = sgd({ learningRate: stepDecay({ initial: 1, every: 1, factor: 0.5 }) });
    expect([0, 1, 2].map((step) => optimizer.scalars(step))).toEqual(
      [1, 0.5, 0.25].map((learningRate) => ({ learningRate })),
    );
  });

  test.each([Number.NaN, -1, Number.POSITIVE_INFINITY])(
    'throws where it gives %d, naming the step',
    (bad) => {
      const schedule = Object.assign((step: number) => (step < 3 ? 1 : bad), { spec: { schedule: 'mine' } });
      const transform = scaleByLearningRate(schedule);
      expect(transform.scalars(2)).toEqual({ learningRate: 1 });
      expect(() => transform.scalars(3)).toThrow(
        expect.objectContaining({
          code: 'INVALID_ARGUMENT',
          where: 'learning rate, step 3',
          got: String(bad),
        }),
      );
    },
  );
});
