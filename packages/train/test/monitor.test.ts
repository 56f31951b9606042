import type { Metric } from '@tenon-ml/core';
import { accuracy, confusionMatrix } from '@tenon-ml/metrics';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bestOf, better, isStale, type Monitor, resolveMonitor } from '../src/monitor.js';

const least: Monitor = { figure: 'validation.loss', direction: 'minimize' };
const most: Monitor = { figure: 'validation.accuracy', direction: 'maximize' };
const record = (epoch: number, value: number | null) => ({
  epoch,
  step: epoch,
  best: false,
  train: { loss: 1 },
  validation: { loss: value as number, accuracy: value },
});

describe('what decides', () => {
  const dotted: Metric = { ...accuracy(), name: 'top.1' };

  test("by default the validation's loss, without validation the training's", () => {
    expect(resolveMonitor(undefined, [], true)).toEqual(least);
    expect(resolveMonitor(undefined, [], false)).toEqual({ figure: 'train.loss', direction: 'minimize' });
  });

  test('a metric says itself which way is better, whatever its name', () => {
    expect(resolveMonitor('validation.accuracy', [accuracy()], true)).toEqual(most);
    expect(resolveMonitor('train.top.1', [dotted], true)).toEqual({
      figure: 'train.top.1',
      direction: 'maximize',
    });
    expect(
      better(resolveMonitor('train.top.1', [dotted], false), undefined, {
        epoch: 4,
        train: { loss: 1, 'top.1': 0.5 },
      }),
    ).toEqual({ epoch: 4, monitor: 'train.top.1', value: 0.5 });
  });

  test('not what there will not be, nor what has no order', () => {
    expect(() => resolveMonitor('validation.loss', [], false)).toThrow(
      "There is no figure 'validation.loss'.",
    );
    expect(() => resolveMonitor('accuracy', [accuracy()], true)).toThrow(/validation\.accuracy/);
    expect(() => resolveMonitor('train.confusionMatrix', [confusionMatrix({ classes: 2 })], false)).toThrow(
      "the metric 'confusionMatrix' doesn't say whether more or less of it is better",
    );
  });
});

describe('the best epoch', () => {
  const values = fc.array(
    fc.oneof(
      fc.double({ min: -10, max: 10, noNaN: true }),
      fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, null),
    ),
    { maxLength: 12 },
  );

  test('is the first of those with the best figure, among the finite ones', () => {
    fc.assert(
      fc.property(values, fc.constantFrom(least, most), (figures, monitor) => {
        const finite = figures.filter((value): value is number => Number.isFinite(value));
        const best = bestOf(
          monitor,
          figures.map((value, epoch) => record(epoch, value)),
        );
        const value = monitor === least ? Math.min(...finite) : Math.max(...finite);
        const epoch = finite.length === 0 ? -1 : figures.indexOf(value);
        expect(best?.epoch ?? -1).toBe(epoch);
        if (best) expect(best).toEqual({ epoch, monitor: monitor.figure, value: figures[epoch] });
      }),
    );
  });

  test('has to be better by more than minDelta', () => {
    const history = [1, 0.95, 0.89, 0.8].map((value, epoch) => record(epoch, value));
    expect(bestOf(least, history, 0.1)).toEqual({ epoch: 2, monitor: 'validation.loss', value: 0.89 });
    expect(bestOf(least, history, 0.05)).toMatchObject({ epoch: 3 });
    expect(bestOf(most, history)).toMatchObject({ epoch: 0, value: 1 });
  });

  test('is looked for among epochs that have the figure', () => {
    const { validation: _, ...unvalidated } = record(0, 0);
    expect(bestOf(least, [unvalidated, record(1, 3)])).toMatchObject({ epoch: 1, value: 3 });
  });

  test('is none where the figure is not one number', () => {
    expect(() =>
      better(most, undefined, { ...record(0, 1), validation: { loss: 1, accuracy: [1] } }),
    ).toThrow('monitor: expected a number as validation.accuracy, got [1].');
  });
});

test('patience counts the epochs behind the best one, or all where none was', () => {
  const best = { epoch: 3, monitor: 'train.loss', value: 1 };
  expect([4, 5, 6, 7].map((epoch) => isStale({ patience: 2 }, { epoch, best }))).toEqual([
    false,
    false,
    true,
    true,
  ]);
  expect([0, 1, 2].map((epoch) => isStale({ patience: 2 }, { epoch }))).toEqual([false, false, true]);
  expect(isStale(undefined, { epoch: 100, best })).toBe(false);
});
