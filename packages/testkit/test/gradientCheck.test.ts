import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { expectGradient, numericalGradient } from '../src/index.js';

// f(x) = Σ sin(xᵢ)·xᵢ₊₁, cyclic: every element's derivative depends on two others.
function wave(x: Float64Array): number {
  let total = 0;
  for (let i = 0; i < x.length; i++) total += Math.sin(x[i]) * x[(i + 1) % x.length];
  return total;
}

function waveGradient(x: readonly number[]): number[] {
  const n = x.length;
  return x.map((v, i) => Math.cos(v) * x[(i + 1) % n] + Math.sin(x[(i + n - 1) % n]));
}

const points = fc.array(fc.double({ min: -3, max: 3, noNaN: true }), { minLength: 2, maxLength: 8 });

describe('expectGradient', () => {
  test('accepts the derivative of a smooth function', () => {
    fc.assert(fc.property(points, (x) => expectGradient(wave, x, waveGradient(x))));
  });

  test('refuses a derivative that is off by a thousandth at one element', () => {
    fc.assert(
      fc.property(points, fc.nat(), (x, at) => {
        const gradient = waveGradient(x);
        gradient[at % x.length] += 1e-3;
        expect(() => expectGradient(wave, x, gradient, { name: 'wave' })).toThrow(/^wave: /);
      }),
    );
  });

  test('bears a function that rounds to float32, when told so', () => {
    const single = (x: Float64Array): number => Math.fround(wave(x.map(Math.fround)));
    fc.assert(
      fc.property(points, (x) => {
        const rounded = x.map(Math.fround);
        expectGradient(single, rounded, waveGradient(rounded), { precision: 'float32' });
        const wrong = waveGradient(rounded).map((g) => g * 1.1 + 0.05);
        expect(() => expectGradient(single, rounded, wrong, { precision: 'float32' })).toThrow(/worst/);
      }),
    );
    expect(() => expectGradient(single, [0.3, 1.7], waveGradient([0.3, 1.7]))).toThrow(/worst/);
  });
});

describe('numericalGradient', () => {
  test('is exact for a quadratic, whatever the step', () => {
    const square = (x: Float64Array): number => x[0] * x[0] - 3 * x[1];
    const gradient = numericalGradient(square, [2, 5], { step: 0.5 });
    expect([...gradient]).toEqual([4, -3]);
  });

  test('hands out a copy, and leaves the point as it was', () => {
    const x = Float64Array.of(1, 2);
    numericalGradient((point) => point.fill(0)[0], x);
    expect([...x]).toEqual([1, 2]);
  });
});
