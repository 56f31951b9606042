import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { median, plan, ratioByRound } from './statistics.js';

describe('median', () => {
  it('is the middle, or the mean of the middle two', () => {
    expect(median([5])).toBe(5);
    expect(median([9, 1, 4])).toBe(4);
    expect(median([10, 1, 4, 2])).toBe(3);
    expect(median([])).toBeNaN();
  });

  it('has as many values on either side, and leaves its argument alone', () => {
    fc.assert(
      fc.property(fc.array(fc.integer(), { minLength: 1 }), (values) => {
        const before = [...values];
        const middle = median(values);
        expect(values).toEqual(before);
        expect(values.filter((value) => value < middle).length).toBeLessThanOrEqual(values.length / 2);
        expect(values.filter((value) => value > middle).length).toBeLessThanOrEqual(values.length / 2);
      }),
    );
  });
});

describe('ratioByRound', () => {
  it('does not see a drift that both follow', () => {
    const ours = [10, 20, 40];
    expect(ratioByRound([15, 30, 60], ours)).toBe(1.5);
    // The ratio of the medians would be 3 here.
    expect(ratioByRound([15, undefined, 60], ours)).toBe(1.5);
  });

  it('is NaN without a common round', () => {
    expect(ratioByRound([1, undefined], [undefined, 2])).toBeNaN();
  });
});

describe('plan', () => {
  it('gives fast peers many steps and slow ones few', () => {
    expect(plan(1, 400, 5)).toEqual({ steps: 400, rounds: 5 });
    expect(plan(0.001, 400, 5)).toEqual({ steps: 1000, rounds: 5 });
    expect(plan(1000, 400, 5)).toEqual({ steps: 1, rounds: 5 });
    expect(plan(2000, 400, 5)).toEqual({ steps: 1, rounds: 3 });
    expect(plan(60_000, 400, 5)).toEqual({ steps: 1, rounds: 1 });
  });

  it('keeps within three times the budget, but for one step', () => {
    const positive = { min: 0.01, max: 1e5, noNaN: true };
    fc.assert(
      fc.property(
        fc.double(positive),
        fc.double(positive),
        fc.integer({ min: 1, max: 20 }),
        (step, round, n) => {
          const { steps, rounds } = plan(step, round, n);
          expect(steps).toBeGreaterThanOrEqual(1);
          expect(rounds).toBeGreaterThanOrEqual(1);
          expect(rounds).toBeLessThanOrEqual(n);
          if (steps * rounds > 1)
            expect(steps * rounds * step).toBeLessThanOrEqual(3 * round * n * (1 + 1e-9));
        },
      ),
    );
  });
});
