import type { EpochRecord } from '@tenon-ml/train';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addSteps, emptyCurves, epochCurve } from '../src/studio/curves.js';

const points = (losses: readonly number[]) =>
  losses.map((loss, i) => ({ step: i + 1, loss, learningRate: 0.1 / (i + 1) }));

describe('addSteps', () => {
  it('is the plain mean of the first twenty losses, and leans on the last ones then', () => {
    const losses = Array.from({ length: 60 }, (_, i) => Math.sin(i) + 2);
    const curves = emptyCurves();
    addSteps(curves, points(losses));
    for (let n = 1; n <= 20; n++) {
      const mean = losses.slice(0, n).reduce((a, b) => a + b) / n;
      expect(curves.smooth[n - 1]).toBeCloseTo(mean, 12);
    }
    for (let n = 20; n < 60; n++)
      expect(curves.smooth[n]).toBeCloseTo(0.95 * curves.smooth[n - 1] + 0.05 * losses[n], 12);
    expect(curves.learningRate[9]).toBe(0.01);
  });

  it('gives the same in whatever parts the steps come', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 9, noNaN: true }), { maxLength: 50 }),
        fc.nat(50),
        (losses, at) => {
          const [whole, parts] = [emptyCurves(), emptyCurves()];
          const steps = points(losses);
          addSteps(whole, steps);
          addSteps(parts, steps.slice(0, at));
          addSteps(parts, steps.slice(at));
          expect(parts).toEqual(whole);
          // A mean lies among what it is of.
          for (const value of whole.smooth) {
            expect(value).toBeGreaterThanOrEqual(Math.min(...losses) - 1e-12);
            expect(value).toBeLessThanOrEqual(Math.max(...losses) + 1e-12);
          }
        },
      ),
    );
  });
});

describe('epochCurve', () => {
  const record = (epoch: number, more: object): EpochRecord =>
    ({ epoch, step: 10 * (epoch + 1), train: { loss: 1 / (epoch + 1) }, ...more }) as unknown as EpochRecord;

  it('stands at the step where each epoch ended, with gaps for what is no number', () => {
    const epochs = [
      record(0, { validation: { loss: 2, accuracy: 0.5 } }),
      record(1, {}),
      record(2, { validation: { loss: Number.NaN, confusionMatrix: [[1]] } }),
    ];
    expect(epochCurve(epochs, 'validation', 'loss')).toEqual({ x: [10, 30], y: [2, null] });
    expect(epochCurve(epochs, 'validation', 'accuracy')).toEqual({ x: [10, 30], y: [0.5, null] });
    expect(epochCurve(epochs, 'validation', 'confusionMatrix').y).toEqual([null, null]);
    expect(epochCurve(epochs, 'train', 'loss')).toEqual({ x: [10, 20, 30], y: [1, 0.5, 1 / 3] });
  });
});
