import { loadGoldens } from '@tenon-ml/testkit';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createTrainer, type LossScaling } from '../src/index.js';
import {
  canSkip,
  firstLossScale,
  nextLossScale,
  resolveLossScaling,
  skippedSince,
} from '../src/loss_scaling.js';
import { parts, powers } from './support.js';

const goldens = loadGoldens('scaling');

describe('the scale', () => {
  test.each(goldens.map((golden) => [golden.name, golden] as const))(
    'moves as in PyTorch: %s',
    (_, { about: { initial, growthInterval }, integers, floats }) => {
      const spec = resolveLossScaling({ initial, growthInterval }, 'float32');
      let state = firstLossScale(spec) as NonNullable<ReturnType<typeof firstLossScale>>;
      const [scales, streaks]: [number[], number[]] = [[], []];
      for (const finite of integers('finite').data) {
        scales.push(state.scale);
        state = nextLossScale(spec, state, finite === 0);
        streaks.push(state.streak);
      }
      expect(scales).toEqual(Array.from(floats('scale').data));
      expect(streaks).toEqual(Array.from(integers('streak').data));
      expect(state.skipped).toBe(integers('skipped').data.reduce((count, one) => count + one, 0));
    },
  );

  test('stays a power of two between 1 and its maximum, whatever is skipped', () => {
    fc.assert(
      fc.property(
        powers(0, 30),
        powers(0, 30),
        fc.integer({ min: 1, max: 5 }),
        fc.array(fc.boolean(), { maxLength: 100 }),
        (one, other, growthInterval, steps) => {
          const [initial, maximum] = [Math.min(one, other), Math.max(one, other)];
          const spec = resolveLossScaling({ initial, maximum, growthInterval }, 'float32');
          let state = firstLossScale(spec) as NonNullable<ReturnType<typeof firstLossScale>>;
          for (const skipped of steps) {
            const before = state;
            state = nextLossScale(spec, state, skipped);
            expect([1, 2, 0.5]).toContain(state.scale / before.scale);
            expect(state.scale).toBeGreaterThanOrEqual(1);
            expect(state.scale).toBeLessThanOrEqual(maximum);
            expect(state.streak).toBeLessThan(growthInterval);
            expect(canSkip(spec, state)).toBe(state.scale > 1);
          }
          expect(state.skipped).toBe(steps.filter(Boolean).length);
        },
      ),
    );
  });

  test('begins at 2^16 and grows to 2^24 after 2000 steps each with mixed-float16, and is not there with float32', () => {
    const standard = { initial: 65536, growthInterval: 2000, maximum: 2 ** 24 };
    expect(resolveLossScaling(undefined, 'mixed-float16')).toEqual(standard);
    expect(resolveLossScaling('dynamic', 'float32')).toEqual(standard);
    expect(resolveLossScaling({ growthInterval: 3 }, 'float32')).toEqual({ ...standard, growthInterval: 3 });
    expect(resolveLossScaling({ initial: 2 ** 30 }, 'float32')).toMatchObject({ maximum: 2 ** 30 });
    expect(resolveLossScaling(undefined, 'float32')).toBe('none');
    expect(resolveLossScaling('none', 'mixed-float16')).toBe('none');
    expect(resolveLossScaling(1024, 'mixed-float16')).toEqual({ fixed: 1024 });
  });

  test('that is fixed stays', () => {
    const state = { scale: 1024, streak: 0, skipped: 0 };
    expect(nextLossScale({ fixed: 1024 }, state, false)).toEqual(state);
    expect(canSkip({ fixed: 1024 }, state)).toBe(false);
  });

  test.each<[unknown, RegExp]>([
    [1000, /^lossScaling: expected a power of two from 1 to 2\^126, which scales exactly, got 1000\./],
    [0.5, /^lossScaling: .*got 0\.5/],
    [2 ** 127, /^lossScaling: /],
    [Number.NaN, /^lossScaling: .*got NaN/],
    ['static', /^lossScaling: expected 'dynamic', 'none', a number, or .*, got 'static'/],
    [true, /^lossScaling: .*got true/],
    [{ initial: 3 }, /^lossScaling\.initial: .*got 3/],
    [{ initial: '4' }, /^lossScaling\.initial: .*got '4'/],
    [{ growthInterval: 0 }, /^lossScaling\.growthInterval: expected an integer of at least 1, got 0/],
    [{ growthInterval: 1.5 }, /^lossScaling\.growthInterval: /],
    [{ maximum: 100 }, /^lossScaling\.maximum: expected a power of two/],
    [{ initial: 8, maximum: 4 }, /^lossScaling\.maximum: expected at least the first scale, 8, got 4/],
  ])('%j is refused', async (lossScaling, message) => {
    await expect(createTrainer(parts({ lossScaling: lossScaling as LossScaling }))).rejects.toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', message: expect.stringMatching(message) }),
    );
  });

  test('what was skipped since the last epoch is what no epoch has counted', () => {
    const record = { step: 1, epoch: 0, train: { loss: 0 }, best: false };
    const state = { scale: 1, streak: 0, skipped: 7 };
    expect(skippedSince([], state)).toBe(7);
    expect(skippedSince([{ ...record, skipped: 2 }, record, { ...record, skipped: 4 }], state)).toBe(1);
  });
});
