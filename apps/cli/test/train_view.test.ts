import type { RunEvent } from '@tenon-ml/train';
import fc from 'fast-check';
import { afterEach, expect, test, vi } from 'vitest';
import { createTrainView } from '../src/view/train_view.js';
import { end, epochEnd, start, step, training } from './events.js';
import { Screen } from './screen.js';

afterEach(() => vi.unstubAllEnvs());

/** A terminal on which a view shows events, one every 50 ms. */
function show(
  events: Iterable<RunEvent>,
  columns = 100,
): { screen: Screen; view: ReturnType<typeof createTrainView> } {
  vi.stubEnv('TERM', 'xterm-256color');
  const screen = new Screen(columns);
  let time = 0;
  const view = createTrainView({ json: false, stdout: screen, isTerminal: true, now: () => time });
  for (const event of events) {
    time += 50;
    view.event(event);
  }
  return { screen, view };
}

/** The text that a view without a terminal writes. */
function written(json: boolean, events: Iterable<RunEvent>, interval = 50): string {
  const screen = new Screen(20);
  let time = 0;
  const view = createTrainView({ json, stdout: screen, isTerminal: json, now: () => time });
  view.note('into runs/1');
  for (const event of events) {
    time += interval;
    view.event(event);
  }
  view.close();
  return screen.writes.join('');
}

test('plain: a line at the start, one an epoch, one at the end, without escape codes', () => {
  expect(written(false, training())).toBe(
    [
      'into runs/1',
      '5,130 parameters, 3 epochs of 10 steps',
      'epoch 1/3  train loss 0.3457  accuracy 0.9000  validation loss 0.2346  accuracy 0.9778  0.6s',
      'epoch 2/3  train loss 0.3457  accuracy 0.9000  validation loss 0.2346  accuracy 0.9778  0.6s  best',
      'epoch 3/3  train loss 0.3457  accuracy 0.9000  validation loss 0.2346  accuracy 0.9778  0.6s',
      'Completed: 3 epochs, 30 steps, 1.9s. Best: epoch 2, validation.loss 0.05671.',
      '',
    ].join('\n'),
  );
});

test('plain: an epoch tells how many of its steps were skipped, where some were', () => {
  const epochs = [2, 1, 0].map((skipped, epoch) =>
    epochEnd(epoch, { validation: undefined, best: false, skipped }),
  );
  expect(
    written(false, [start(), ...epochs])
      .split('\n')
      .slice(2, 5),
  ).toEqual([
    'epoch 1/3  train loss 0.3457  accuracy 0.9000  0.1s  2 steps skipped',
    'epoch 2/3  train loss 0.3457  accuracy 0.9000  0.1s  1 step skipped',
    'epoch 3/3  train loss 0.3457  accuracy 0.9000  0.1s',
  ]);
});

test('plain: a resumed run, one that was stopped, and one without validation', () => {
  const resumed = start({ epochs: 1, epoch: 0, step: 5, stepsPerEpoch: null, resumed: true });
  const trained = epochEnd(0, { validation: undefined, best: false });
  const stopped = end({ reason: 'aborted', step: 1, epoch: 1, best: undefined });
  expect(written(false, [resumed, trained, stopped]).split('\n').slice(1, 4)).toEqual([
    'Going on after step 5, in epoch 1: 5,130 parameters, 1 epoch',
    'epoch 1/1  train loss 0.3457  accuracy 0.9000',
    'Stopped: 1 epoch, 1 step.',
  ]);
});

test('a terminal that can do nothing is treated as none', () => {
  vi.stubEnv('TERM', 'dumb');
  const screen = new Screen(100);
  const view = createTrainView({ json: false, stdout: screen, isTerminal: true });
  for (const event of training()) view.event(event);
  expect(screen.writes.join('')).not.toContain('\u001b');
});

test('json: every event is a line, but of the steps at most one a second', () => {
  const lines = written(true, training(), 300).trimEnd().split('\n');
  const parsed = lines.map((line) => JSON.parse(line));
  expect(parsed[0]).toEqual({ type: 'note', text: 'into runs/1' });
  const [...all] = training();
  expect(parsed.slice(1).filter(({ type }) => type !== 'step')).toEqual(
    JSON.parse(JSON.stringify(all.filter(({ type }) => type !== 'step'))),
  );
  // 30 steps at 300 ms, and 600 ms more at the end of each epoch.
  const steps = parsed.filter(({ type }) => type === 'step');
  expect(steps.map((event) => event.step)).toEqual([1, 5, 9, 11, 15, 19, 21, 25, 29]);
  expect(steps[0]).toEqual(step(1, 0));
});

test('live: epochs stay, the bar and the figures are redrawn below them', () => {
  const [...events] = training();
  const { screen } = show(events.slice(0, 28));
  expect(screen.text()).toBe(
    [
      '5,130 parameters, 3 epochs of 10 steps',
      'epoch 1/3  train loss 0.3457  accuracy 0.9000  validation loss 0.2346  accuracy 0.9778  0.6s',
      'epoch 2/3  train loss 0.3457  accuracy 0.9000  validation loss 0.2346  accuracy 0.9778  0.6s  best',
      'epoch 3/3  ████████████░░░░░░░░░░░░░░░░░░░░░░░░░░░░   3/10',
      'loss 0.04348  640 examples/s  0.4s left  best epoch 2',
    ].join('\n'),
  );
});

test('live: at the end nothing but lines is left, and the cursor is below them', () => {
  const { screen, view } = show(training());
  expect(screen.text().split('\n').at(-1)).toBe('Testing and saving …');
  view.close();
  screen.write('what comes next\n');
  expect(screen.text().split('\n').slice(-2)).toEqual([
    'Completed: 3 epochs, 30 steps, 1.9s. Best: epoch 2, validation.loss 0.05671.',
    'what comes next',
  ]);
  view.event(step(31, 3));
  expect(screen.text().split('\n').at(-1)).toBe('what comes next');
});

test('live: a note stands above what is redrawn, whole even where it is long', () => {
  const { screen, view } = show([start(), step(1, 0)], 30);
  view.note('into a/folder/with/a/name/that/is/quite/long');
  expect(screen.text().split('\n').slice(0, 4)).toEqual([
    '5,130 parameters, 3 epochs of…',
    'into a/folder/with/a/name/that',
    '/is/quite/long',
    expect.stringContaining('epoch 1/3'),
  ]);
});

test('live: the first paint is one write that erases nothing', () => {
  const { screen } = show([start()]);
  expect(screen.writes).toHaveLength(1);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape codes are what this is about
  expect(screen.writes[0]).not.toMatch(/\u001b\[\d*[AKJ]/);
  expect(screen.text()).toContain('epoch 1/3');
});

test('live: every change is one synchronized write, and steps paint at most ten times a second', () => {
  const many = Array.from({ length: 200 }, (_, i) => step(i + 1, 0));
  const { screen } = show([start({ stepsPerEpoch: 1000 }), ...many, epochEnd(0)]);
  // 10 seconds of steps, the start and the epoch.
  expect(screen.writes.length).toBeGreaterThan(90);
  expect(screen.writes.length).toBeLessThanOrEqual(102);
  for (const text of screen.writes) {
    expect(text.startsWith('\u001b[?2026h')).toBe(true);
    expect(text.endsWith('\u001b[?2026l')).toBe(true);
    expect(text.slice(1, -1)).not.toContain('2026l');
  }
});

test('live: NO_COLOR switches colours off, and nothing else', () => {
  const colored = show(training()).screen;
  vi.stubEnv('NO_COLOR', '1');
  const { screen } = show(training());
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape codes are what this is about
  const color = /\u001b\[[\d;]*m/;
  expect(colored.writes.join('')).toMatch(color);
  expect(screen.writes.join('')).not.toMatch(color);
  expect(screen.text()).toBe(colored.text());
});

test('live: 40 columns show what decides', () => {
  const { screen } = show([...training()].slice(0, 28), 40);
  expect(screen.text()).toBe(
    [
      '5,130 parameters, 3 epochs of 10 steps',
      '1/3  val loss 0.2346  accuracy 0.9778',
      '2/3* val loss 0.2346  accuracy 0.9778',
      'epoch 3/3  ███████░░░░░░░░░░░░░░░   3/10',
      'loss 0.04348  640 examples/s  0.4s left',
      'best epoch 2',
    ].join('\n'),
  );
});

test('live: at no width does a line wrap, whatever the metrics are called', () => {
  const name = fc.oneof(
    fc.string({ minLength: 1, maxLength: 30, unit: fc.constantFrom(...'abc', '正', '解', '率', '한', '🙂') }),
    fc.constant('accuracy'),
  );
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 130 }), fc.array(name, { maxLength: 4 }), (columns, names) => {
      const figures = { loss: 1.5, ...Object.fromEntries(names.map((key) => [key, 0.5])) };
      const events = [...training()].map((event) =>
        event.type === 'epoch' ? { ...event, train: figures, validation: figures } : event,
      );
      const { screen } = show(events, columns);
      expect(screen.wrapped).toBe(false);
    }),
  );
});
