import type { RunEvent } from '@tenon-ml/train';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Progress, trackProgress } from '../src/view/progress.js';
import { end, epochEnd, start, step } from './events.js';

/** The progress after events that come so many milliseconds after the one before. */
function after(...timed: readonly (readonly [number, RunEvent])[]): Progress {
  let time = 0;
  const tracker = trackProgress(() => time);
  for (const [milliseconds, event] of timed) {
    time += milliseconds;
    tracker.update(event);
  }
  return tracker.current();
}

function steps(
  from: number,
  to: number,
  epoch: number,
  milliseconds: number,
): (readonly [number, RunEvent])[] {
  return Array.from({ length: to - from + 1 }, (_, i) => [milliseconds, step(from + i, epoch)] as const);
}

test('before the first step nothing is guessed', () => {
  const progress = after([0, start()]);
  expect(progress).toMatchObject({ epochs: 3, epoch: 0, step: 0, stepInEpoch: 0, stepsPerEpoch: 10 });
  expect(progress.examplesPerSecond).toBeUndefined();
  expect(progress.secondsLeft).toBeUndefined();
  expect(progress.learningRate).toBeUndefined();
});

test('the speed is that of training: validation and checkpoints do not count', () => {
  const progress = after(
    [0, start()],
    ...steps(1, 10, 0, 100),
    [5000, epochEnd(0)],
    [3000, { type: 'checkpoint', step: 10, epoch: 0, path: '' }],
    ...steps(11, 12, 1, 100),
  );
  expect(progress.examplesPerSecond).toBeCloseTo(320, 6);
  expect(progress).toMatchObject({ epoch: 1, step: 12, stepInEpoch: 2, best: 0 });
});

test('the time left is that of the steps and of the validations that are left', () => {
  const training = [[0, start()], ...steps(1, 10, 0, 100)] as const;
  expect(after(...training).secondsLeft).toBeCloseTo(2, 6);
  const validated = [...training, [5000, epochEnd(0)]] as const;
  expect(after(...validated).secondsLeft).toBeCloseTo(20 * 0.1 + 2 * 5, 6);
  expect(after(...validated, ...steps(11, 15, 1, 100)).secondsLeft).toBeCloseTo(15 * 0.1 + 2 * 5, 6);
});

test('a resumed run is where it is, and its speed and time left come from its own steps', () => {
  const resumed = start({ epochs: 10, epoch: 7, step: 75, resumed: true });
  const progress = after([0, resumed], ...steps(76, 77, 7, 1000));
  expect(progress).toMatchObject({ epoch: 7, stepInEpoch: 7, step: 77 });
  expect(progress.secondsLeft).toBeCloseTo(23, 6);
  const ended = after([0, resumed], ...steps(76, 80, 7, 1000), [0, epochEnd(7)]);
  // Part of it ran elsewhere.
  expect(ended.epochSeconds).toBeUndefined();
  expect(ended.seconds).toBeUndefined();
  expect(after([0, start()], ...steps(1, 10, 0, 100), [500, epochEnd(0)])).toMatchObject({
    epochSeconds: 1.5,
    seconds: 1.5,
  });
});

test('data of unknown length: the first epoch tells how many steps there are', () => {
  const unknown = start({ stepsPerEpoch: null });
  const before = after([0, unknown], ...steps(1, 4, 0, 100));
  expect(before).toMatchObject({ stepsPerEpoch: null, stepInEpoch: 4 });
  expect(before.secondsLeft).toBeUndefined();
  const next = after([0, unknown], ...steps(1, 10, 0, 100), [0, epochEnd(0)], ...steps(11, 13, 1, 100));
  expect(next).toMatchObject({ stepsPerEpoch: 10, stepInEpoch: 3 });
  expect(next.secondsLeft).toBeCloseTo(1.7, 6);
  const resumed = start({ stepsPerEpoch: null, epoch: 2, step: 25, resumed: true });
  expect(after([0, resumed], ...steps(26, 27, 2, 100))).toMatchObject({ step: 27, stepInEpoch: null });
});

test('a slow beginning is forgotten', () => {
  const progress = after([0, start({ stepsPerEpoch: 1000 })], [5000, step(1, 0)], ...steps(2, 600, 0, 100));
  expect(progress.examplesPerSecond).toBeGreaterThan(310);
  expect(progress.examplesPerSecond).toBeLessThanOrEqual(320);
});

test('the learning rate appears once it changes, whatever chain calls it', () => {
  const rate = (name: string, ...values: number[]): number | undefined =>
    after(
      [0, start()],
      ...values.map((value, i) => [100, step(i + 1, 0, { scalars: { [name]: value } })] as const),
    ).learningRate;
  expect(rate('learningRate', 0.1, 0.1, 0.1)).toBeUndefined();
  expect(rate('learningRate', 0.1, 0.1, 0.05)).toBe(0.05);
  expect(rate('adam_1/learningRate', 0.1, 0.2, 0.1)).toBe(0.1);
  expect(rate('biasCorrection', 0.1, 0.2)).toBeUndefined();
});

test('at the end everything is done', () => {
  const progress = after([0, start()], ...steps(1, 10, 0, 100), [0, epochEnd(2)], [0, end()]);
  expect(progress).toMatchObject({ epoch: 2, stepInEpoch: 10, secondsLeft: 0 });
});

test('whatever the pace, the time left is finite and not negative, and gets to 0', () => {
  const pace = fc.array(fc.integer({ min: 1, max: 60_000 }), { minLength: 30, maxLength: 30 });
  fc.assert(
    fc.property(pace, (milliseconds) => {
      let time = 0;
      const tracker = trackProgress(() => time);
      tracker.update(start());
      for (const [i, elapsed] of milliseconds.entries()) {
        time += elapsed;
        tracker.update(step(i + 1, Math.floor(i / 10)));
        const { secondsLeft } = tracker.current();
        expect(secondsLeft).toBeGreaterThanOrEqual(0);
        expect(secondsLeft).toBeLessThan(60 * 30);
        if (i % 10 === 9) tracker.update(epochEnd(Math.floor(i / 10)));
      }
      expect(tracker.current().secondsLeft).toBe(0);
    }),
  );
});
