import {
  type ArtifactStore,
  hasModel,
  memoryStore,
  readJson,
  tensorCount,
  writeJson,
  zeros,
} from '@tenon-ml/core';
import { sgd } from '@tenon-ml/optimizers';
import { describe, expect, test } from 'vitest';
import {
  type AnyPlan,
  defineExperiment,
  listCheckpoints,
  type RunEvent,
  type RunExperimentOptions,
  type RunReport,
  readReport,
  readRun,
  runExperiment,
  type Trainer,
} from '../src/index.js';
import { backend, contents, parts, points, shuffledBatches } from './support.js';

const experiment = defineExperiment({
  name: 'points',
  description: '',
  options: { epochs: 3, everySteps: 4 },
  setup: ({ epochs, everySteps }) => ({
    ...parts(),
    epochs,
    train: shuffledBatches(),
    validation: points(20, 2).batch(6),
    test: points(20, 5).batch(20),
    checkpointEverySteps: everySteps,
    restoreBest: true,
  }),
});

/** Runs, and dies without a word after so many steps of this life. */
async function run(
  store: ArtifactStore,
  { stop = Number.POSITIVE_INFINITY, ...options }: Partial<RunExperimentOptions> & { stop?: number } = {},
): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  let steps = 0;
  for await (const event of runExperiment(experiment, { backend, store, seed: 5, ...options })) {
    events.push(event);
    if (event.type === 'step' && ++steps >= stop) break;
  }
  return events;
}

/** All files, without the times. */
async function files(store: ArtifactStore) {
  const { 'report.json': report, ...rest } = await contents(store);
  const { seconds, ...stable } = JSON.parse(report) as RunReport;
  expect(seconds.total).toBeGreaterThan(0);
  return { ...rest, report: stable };
}

let whole: Awaited<ReturnType<typeof files>>;
async function wholeFiles() {
  if (!whole) {
    const store = memoryStore();
    await run(store);
    whole = await files(store);
  }
  return whole;
}

describe('a folder', () => {
  test('holds what the run was, as it went, and came to', async () => {
    const store = memoryStore();
    const before = tensorCount();
    const events = await run(store, { origin: { recipe: 'points' } });
    expect(tensorCount()).toBe(before);
    expect((await store.list()).map((path) => path.replace(/\d+/, '…'))).toEqual([
      'checkpoints/step-….safetensors',
      'checkpoints/step-….safetensors',
      'events.jsonl',
      'model.json',
      'report.json',
      'run.json',
      'weights.safetensors',
    ]);
    expect(await readRun(store)).toEqual({
      format: 'tenon-run',
      version: 1,
      name: 'points',
      origin: { recipe: 'points' },
      options: { epochs: 3, everySteps: 4 },
      seed: 5,
      backend: 'cpu',
    });
    const report = events.at(-1);
    expect(report).toEqual({ type: 'report', report: await readReport(store) });
    const lines = (await contents(store))['events.jsonl'].trim().split('\n');
    expect(lines.map((line) => JSON.parse(line))).toEqual(
      events.filter(({ type }) => type !== 'checkpoint' && type !== 'report'),
    );
  });

  test('of a run that was killed and resumed holds the same, but for the times', async () => {
    const store = memoryStore();
    await run(store, { stop: 6 });
    expect(await readReport(store)).toBe(null);
    await run(store, { stop: 9, resume: true });
    await run(store, { resume: true });
    expect(await files(store)).toEqual(await wholeFiles());
    // Once more, now that it has ended: nothing changes.
    await run(store, { resume: true });
    expect(await files(store)).toEqual(await wholeFiles());
  });

  test('of a run that died before its first checkpoint begins anew', async () => {
    const store = memoryStore();
    await run(store, { stop: 3 });
    expect(await listCheckpoints(store)).toEqual([]);
    // A death in the middle of an append.
    await store.append('events.jsonl', new TextEncoder().encode('{"type":"st'));
    const [start] = await run(store, { resume: true });
    expect(start).toMatchObject({ type: 'start', resumed: false, step: 0 });
    expect(await files(store)).toEqual(await wholeFiles());
  });

  test('of a run that died in the middle of an append goes on behind the last whole line', async () => {
    const store = memoryStore();
    await run(store, { stop: 6 });
    await store.append('events.jsonl', new TextEncoder().encode('{"type":"step","step":7,"lo'));
    await run(store, { resume: true });
    expect(await files(store)).toEqual(await wholeFiles());
  });

  test('of an aborted run holds a model, a report without a test, and what a resume needs', async () => {
    const store = memoryStore();
    const before = tensorCount();
    const aborted = await run(store, { signal: AbortSignal.abort() });
    expect(tensorCount()).toBe(before);
    expect(aborted.map(({ type }) => type)).toEqual(['start', 'checkpoint', 'end', 'report']);
    const report = await readReport(store);
    expect(report).toMatchObject({ reason: 'aborted', step: 0, history: [] });
    expect(report).not.toHaveProperty('test');
    expect(await hasModel(store)).toBe(true);
    await run(store, { resume: true });
    expect(await files(store)).toEqual(await wholeFiles());
  });

  test.each([
    ['the setup', { setup: () => Promise.reject(new Error('on purpose')) }],
    [
      'the data',
      {
        setup: () => ({ ...parts(), epochs: 1, train: points(8).take(0).batch(4) }),
      },
    ],
  ])('is not made where %s fails', async (_, change) => {
    const store = memoryStore();
    const failing = { ...experiment, ...change };
    const start = async () => {
      for await (const _event of runExperiment(failing, { backend, store }));
    };
    await expect(start()).rejects.toThrow();
    expect(await store.list()).toEqual([]);
  });

  test('of a run that failed tells how it came to it', async () => {
    const store = memoryStore();
    const failing = {
      ...experiment,
      setup: () => ({
        ...parts({ optimizer: sgd({ learningRate: 1e30 }) }),
        epochs: 9,
        train: shuffledBatches(),
      }),
    };
    const start = async () => {
      for await (const _event of runExperiment(failing, { backend, store }));
    };
    const error = await start().catch((e: Error) => e.message);
    const failed = Number(/^step (\d+)/.exec(String(error))?.[1]);
    const lines = (await contents(store))['events.jsonl'].trim().split('\n');
    expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ type: 'step', step: failed - 1 });
  });

  test('that holds a run is not begun in again', async () => {
    const store = memoryStore();
    await run(store, { stop: 2 });
    const before = await contents(store);
    await expect(run(store)).rejects.toThrow(/there is a run in this store already/);
    expect(await contents(store)).toEqual(before);
  });
});

describe('between two events', () => {
  test('evaluating, predicting and reading the weights change nothing in the run', async () => {
    const store = memoryStore();
    let trainer: Trainer | undefined;
    let plan: AnyPlan | undefined;
    const onTrainer = (given: Trainer, of: AnyPlan): void => {
      trainer = given;
      plan = of;
    };
    const seen: number[] = [];
    const before = tensorCount();
    for await (const event of runExperiment(experiment, { backend, store, seed: 5, onTrainer })) {
      if (event.type !== 'step' && event.type !== 'start' && event.type !== 'epoch') continue;
      if (!trainer || !plan?.validation) throw new Error('The trainer comes before the first event.');
      const { loss } = await trainer.evaluate(plan.validation);
      seen.push(loss);
      await trainer.predict(zeros([3, 4]));
      await trainer.artifact();
    }
    expect(tensorCount()).toBe(before);
    expect(new Set(seen).size).toBeGreaterThan(15);
    expect(await files(store)).toEqual(await wholeFiles());
  });

  test('the plan is what `adjust` makes of it, in a resume too', async () => {
    const adjust = (plan: AnyPlan): AnyPlan => ({ ...plan, checkpointEverySteps: 3, test: undefined });
    const store = memoryStore();
    const paths = (events: RunEvent[]) =>
      events.flatMap((event) => (event.type === 'checkpoint' ? [event.step] : []));
    expect(paths(await run(store, { adjust, stop: 7 }))).toEqual([3, 6]);
    const events = await run(store, { adjust, resume: true });
    expect(paths(events).slice(0, 3)).toEqual([7, 9, 12]);
    expect(await readReport(store)).not.toHaveProperty('test');
  });
});

describe('run.json', () => {
  const described = async (description: object) => {
    const store = memoryStore();
    await writeJson(store, 'run.json', description);
    return readRun(store).catch((error: unknown) => error);
  };

  test.each<[string, object, string, RegExp]>([
    ['of another format', { format: 'other' }, 'ARTIFACT_INVALID', /the format 'tenon-run', got "other"/],
    ['that is no object', [], 'ARTIFACT_INVALID', /the format 'tenon-run'/],
    // A newer version may hold anything.
    ['of a newer version', { format: 'tenon-run', version: 2 }, 'FORMAT_TOO_NEW', /version 1 or older/],
    [
      'without a seed',
      { format: 'tenon-run', version: 1, options: {} },
      'ARTIFACT_INVALID',
      /'options' and 'seed', got format, version, options/,
    ],
  ])('%s', async (_, description, code, message) => {
    expect(await described(description)).toMatchObject({ code, message: expect.stringMatching(message) });
  });

  test('in a folder that holds none', async () => {
    const error = await readRun(memoryStore()).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: 'NOT_FOUND', message: expect.stringContaining('run.json') });
  });

  test('that says other options than the experiment has now', async () => {
    const store = memoryStore();
    await run(store, { stop: 6 });
    const description = (await readJson(store, 'run.json')) as { options: object };
    await writeJson(store, 'run.json', { ...description, options: { ...description.options, gone: 1 } });
    await expect(run(store, { resume: true })).rejects.toThrow("There is no option 'gone'.");
  });
});

test('a checkpoint is written where somebody wants one, and the run that goes on from it is the same', async () => {
  const store = memoryStore();
  let step = 0;
  for await (const event of runExperiment(experiment, {
    backend,
    store,
    seed: 5,
    options: { everySteps: 1000 },
    checkpointWanted: () => step === 5,
  })) {
    if (event.type === 'step') step = event.step;
    // As one who pauses there, and never comes back.
    if (event.type === 'checkpoint') break;
  }
  expect(await listCheckpoints(store)).toEqual(['checkpoints/step-000000005.safetensors']);
  await run(store, { resume: true });
  const chosen = (of: Awaited<ReturnType<typeof files>>) =>
    Object.entries(of).filter(([name]) => !/^checkpoints|^run.json/.test(name));
  expect(chosen(await files(store))).toEqual(chosen(await wholeFiles()));
});
