import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addExact, addSums, type ExactSum, Summation, total } from '../src/exact_sum.js';

// Numbers far apart in size and of both signs, so that plain addition loses digits; zeros and integers among them.
const numbers = fc.array(
  fc.oneof(
    fc
      .tuple(fc.integer({ min: -(2 ** 53), max: 2 ** 53 }), fc.integer({ min: -120, max: 120 }))
      .map(([mantissa, exponent]) => mantissa * 2 ** exponent),
    fc.float({ noNaN: true, noDefaultInfinity: true }).filter((x) => Math.abs(x) < 2 ** 100),
    fc.integer({ min: -5, max: 5 }),
  ),
  { maxLength: 20 },
);

function sumOf(values: readonly number[]): ExactSum {
  const summation = new Summation();
  for (const value of values) summation.add('sum', value);
  return summation.sum('sum');
}

/** The sum by integers of any size: every number here is a multiple of 2⁻²⁰⁰. Number(bigint) rounds ties to even. */
function reference(values: readonly number[]): number {
  const scaled = values.reduce((sum, value) => sum + multiple(value), 0n);
  return Number(scaled) * 2 ** -200;
}

function multiple(value: number): bigint {
  let high = value;
  let shift = 200n;
  while (!Number.isInteger(high)) {
    high *= 2;
    shift--;
  }
  return BigInt(high) << shift;
}

describe('an exact sum', () => {
  test('rounds once: 1 + 2⁻⁵³ + 2⁻⁵⁴ is above a tie, 1 + 2⁻⁵³ is one', () => {
    expect(total(sumOf([1, 2 ** -53, 2 ** -54]))).toBe(1 + 2 ** -52);
    expect(total(sumOf([1, 2 ** -53]))).toBe(1);
    expect(total(sumOf([1e100, 1, -1e100]))).toBe(1);
    expect(0.1 + 0.2 + 0.3 === 0.3 + 0.2 + 0.1).toBe(false);
    expect(sumOf([0.1, 0.2, 0.3])).toEqual(sumOf([0.3, 0.2, 0.1]));
  });

  test('is the sum in integers of any size, rounded once', () => {
    fc.assert(
      fc.property(
        numbers.filter((values) => values.every((x) => x === 0 || Math.abs(x) > 2 ** -120)),
        (values) => {
          expect(total(sumOf(values))).toBe(reference(values));
        },
      ),
      { numRuns: 500 },
    );
  });

  test('is the same, element by element, however its parts are ordered and grouped', () => {
    fc.assert(
      fc.property(numbers, numbers, numbers, (a, b, c) => {
        const [x, y, z] = [sumOf(a), sumOf(b), sumOf(c)];
        const whole = sumOf([...a, ...b, ...c]);
        expect(addExact(addExact(x, y), z)).toEqual(whole);
        expect(addExact(x, addExact(y, z))).toEqual(whole);
        expect(addExact(z, addExact(x, y))).toEqual(whole);
        expect(sumOf([...c, ...b, ...a].reverse())).toEqual(whole);
        expect(addExact(x, [])).toEqual(x);
        expect(addExact([], x)).toEqual(x);
      }),
      { numRuns: 300 },
    );
  });

  test('is empty for 0, and takes back what was added', () => {
    fc.assert(
      fc.property(numbers, (values) => {
        expect(addExact(sumOf(values), sumOf(values.map((value) => -value)))).toEqual([]);
      }),
    );
    expect(total([])).toBe(0);
    expect(total(undefined)).toBe(0);
  });

  test('is JSON, and leaves its operands alone', () => {
    fc.assert(
      fc.property(numbers, numbers, (a, b) => {
        const x = Object.freeze(sumOf(a)) as ExactSum;
        const y = Object.freeze(sumOf(b)) as ExactSum;
        const sum = addExact(x, y);
        expect(JSON.parse(JSON.stringify(sum))).toEqual(sum);
        expect([x, y]).toEqual([sumOf(a), sumOf(b)]);
      }),
    );
  });
});

test('sums by name add up name by name, those of 0 left out', () => {
  const left = new Summation();
  left.add(1, 0.5);
  left.add('a', 2);
  left.add('zero', 0);
  const right = new Summation();
  right.add('a', 3);
  right.add(0, 1);
  expect(left.sums()).toEqual({ 1: [0.5], a: [2] });
  expect(addSums(left.sums(), right.sums())).toEqual({ 0: [1], 1: [0.5], a: [5] });
  expect(addSums(left.sums(), {})).toEqual(left.sums());
});
