import {
  type Backend,
  memoryStore,
  type Plan,
  type Precision,
  type Recording,
  readJson,
  writeJson,
} from '@tenon-ml/core';
import { clone, scalar, type Tensor } from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  createTrainer,
  defineExperiment,
  type ExperimentOptions,
  evaluateModel,
  type RunDescription,
  type RunExperimentOptions,
  readRun,
  runExperiment,
  type StepEvent,
} from '../src/index.js';
import {
  contents,
  expectSameWeights,
  parts,
  backend as plain,
  points,
  shuffledBatches,
  weights,
} from './support.js';

beforeAll(() => plain.init());
afterAll(() => plain.dispose());

/**
 * A backend that says it has float16 and computes in float32. `heard` is what its plans were to compute in, one for each
 * compiled function; `loss` replaces that of training steps, which are then not finite.
 */
function recording(precisions: readonly Precision[] = ['mixed-float16'], loss?: number) {
  const heard: Precision[] = [];
  const outputs = new Map<Recording, readonly Tensor[]>();
  const backend: Backend = {
    name: 'recording',
    engineName: plain.engineName,
    init: () => plain.init(),
    dispose: async () => {},
    recorder: {
      changesNumbers: true,
      precisions,
      begin() {
        const recorded: Recording = {
          end: (made) => void outputs.set(recorded, made ?? []),
          reason: undefined,
        };
        return recorded;
      },
      difference: () => undefined,
      plan(recorded, precision): Plan {
        heard.push(precision);
        // Calls stay eager then.
        if (loss === undefined || precision === 'float32') throw new Error('no room for a plan');
        const made = outputs.get(recorded) ?? [];
        return {
          commands: 1,
          bytes: 0,
          // The last of them are loss, weighted, total and halted: there are no metrics.
          run: () =>
            made.map((tensor, i) =>
              i === made.length - 4 ? scalar(loss) : i === made.length - 1 ? scalar(1) : clone(tensor),
            ),
          dispose() {},
        };
      },
    },
  };
  return { heard, backend };
}

const mixed = { precision: 'mixed-float16' } as const;
const validation = points(20, 2).batch(20);

describe("a trainer's precision", () => {
  test('is what its training and its validation are compiled for', async () => {
    const { heard, backend } = recording();
    const trainer = await createTrainer(parts({ backend, ...mixed }));
    await trainer.fit(shuffledBatches(16), { epochs: 1, validation });
    expect(heard).toEqual(['mixed-float16', 'mixed-float16']);
    // The same evaluation step, and another one.
    await trainer.evaluate(validation);
    expect(heard).toHaveLength(2);
    await trainer.evaluate(validation, { precision: 'float32' });
    expect(heard).toEqual(['mixed-float16', 'mixed-float16', 'float32']);
    trainer.dispose();
  });

  test('is float32 where nothing is said, and that of a saved model', async () => {
    const { heard, backend } = recording();
    const trainer = await createTrainer(parts({ backend }));
    await trainer.fit(shuffledBatches(16), { epochs: 1, validation });
    const { loss, metrics = [] } = parts();
    const artifact = await trainer.artifact();
    await evaluateModel(artifact, validation, { loss, metrics, backend });
    expect(new Set(heard)).toEqual(new Set(['float32']));
    await evaluateModel(artifact, validation, { loss, metrics, backend, ...mixed });
    expect(heard.at(-1)).toBe('mixed-float16');
    trainer.dispose();
  });

  test('of float16 scales the loss by itself', async () => {
    const { backend } = recording();
    const scales = async (overrides: object): Promise<(number | undefined)[]> => {
      const steps: StepEvent[] = [];
      const trainer = await createTrainer(parts({ backend, ...overrides }));
      const onEvent = (event: { type: string }): void =>
        void (event.type === 'step' && steps.push(event as StepEvent));
      await trainer.fit(shuffledBatches(16), { epochs: 1, onEvent });
      trainer.dispose();
      return steps.map(({ lossScale }) => lossScale);
    };
    expect(await scales(mixed)).toEqual([65536, 65536]);
    expect(await scales({ ...mixed, lossScaling: 256 })).toEqual([256, 256]);
    expect(await scales({ ...mixed, lossScaling: 'none' })).toEqual([undefined, undefined]);
    expect(await scales({})).toEqual([undefined, undefined]);
  });

  test.each([
    ['a backend that does not record', plain, "got 'cpu', which doesn't record"],
    ['one that records in float32', recording([]).backend, "got 'recording', which computes in float32 here"],
  ])('is refused at once by %s', async (_, backend, got) => {
    await expect(createTrainer(parts({ backend, ...mixed }))).rejects.toMatchObject({
      code: 'BACKEND_UNAVAILABLE',
      message: expect.stringContaining(
        `precision: expected a backend that computes in 'mixed-float16', ${got}. Use WebGPU`,
      ),
    });
  });

  test('that nobody knows is refused', async () => {
    const precision = 'mixed-float61' as Precision;
    await expect(createTrainer(parts({ precision }))).rejects.toMatchObject({
      code: 'UNKNOWN_NAME',
      message: expect.stringContaining("Did you mean 'mixed-float16'?"),
    });
    const input = { shape: [null, 4], dtype: 'float32' } as const;
    const trainer = await createTrainer({ ...parts({}), input });
    await expect(trainer.evaluate([] as never, { precision })).rejects.toMatchObject({
      code: 'UNKNOWN_NAME',
    });
    trainer.dispose();
  });

  test('is part of what a run is: a resume with another is refused', async () => {
    const { backend } = recording();
    const store = memoryStore();
    const run = async (overrides: object): Promise<void> => {
      const trainer = await createTrainer(parts({ backend, lossScaling: 'none', ...overrides }));
      try {
        await trainer.fit(shuffledBatches(16), { epochs: 1, checkpoints: { store }, resume: true });
      } finally {
        trainer.dispose();
      }
    };
    await run(mixed);
    await run(mixed);
    await expect(run({})).rejects.toMatchObject({
      code: 'CHECKPOINT_INVALID',
      message: expect.stringContaining(
        'expected the precision that the run began with, "mixed-float16", got "float32"',
      ),
    });
  });
});

describe('a step in float16 that is not finite, and in float32 is', () => {
  test.each<[number, object, RegExp]>([
    [
      Number.POSITIVE_INFINITY,
      {},
      /^step 1 \(epoch 1\): the loss is Infinity, and yet in float32 all values are finite: one beyond float16's largest, 65504, is the likely reason\. The parameters are as they were before this step\. Scale inputs and targets down, .* or train in float32\./,
    ],
    [
      0.5,
      { lossScaling: 'none' },
      /the loss is 0\.5, and its gradients are not finite, though in float32 all values are finite/,
    ],
    [
      0.5,
      { lossScaling: 1024 },
      /the loss is 0\.5, and its gradients, times the loss scale of 1024, are not finite, though .* Lower lossScaling, or use 'dynamic'/,
    ],
    [0.5, { lossScaling: { initial: 1 } }, /its gradients are not finite, though .* or train in float32/],
  ])('is told so: loss %d, %j', async (loss, overrides, message) => {
    const { backend } = recording(['mixed-float16'], loss);
    const input = { shape: [null, 4], dtype: 'float32' } as const;
    const trainer = await createTrainer(parts({ backend, metrics: [], input, ...mixed, ...overrides }));
    await expect(trainer.fit(shuffledBatches(8), { epochs: 1 })).rejects.toMatchObject({
      code: 'NOT_FINITE',
      message: expect.stringMatching(message),
    });
    trainer.dispose();
  });
});

describe('a run', () => {
  const experiment = (precision?: Precision) =>
    defineExperiment<ExperimentOptions, Tensor, Tensor, Tensor>({
      name: 'points',
      description: '',
      options: {},
      setup: () => ({
        ...parts(),
        epochs: 2,
        train: shuffledBatches(),
        validation,
        test: points(20, 5).batch(20),
        checkpointEverySteps: 2,
        precision,
        ...(precision && { lossScaling: { initial: 512, growthInterval: 2 } }),
      }),
    });

  async function run(
    options: Partial<RunExperimentOptions> & Pick<RunExperimentOptions, 'store' | 'backend'>,
    { stop = Number.POSITIVE_INFINITY, precision }: { stop?: number; precision?: Precision } = {},
  ): Promise<StepEvent[]> {
    const steps: StepEvent[] = [];
    for await (const event of runExperiment(experiment(precision), options)) {
      if (event.type !== 'step') continue;
      steps.push(event);
      if (steps.length >= stop) break;
    }
    return steps;
  }

  test('keeps the precision that it was given, goes on with it, and tests the saved model in float32', async () => {
    const [whole, stopped] = [memoryStore(), memoryStore()];
    const { heard, backend } = recording();
    await run({ store: whole, backend, ...mixed });
    // One for each size of batches; the last for the test.
    expect(heard).toEqual(['mixed-float16', 'mixed-float16', 'mixed-float16', 'float32']);
    expect(await readRun(whole)).toMatchObject(mixed);
    await run({ store: stopped, backend, ...mixed }, { stop: 5 });
    const resumed = await run({ store: stopped, backend, resume: true });
    expect(resumed[0]).toMatchObject({ step: 5, lossScale: 65536, skipped: false });
    const files = async (store: typeof whole) => {
      const { 'report.json': _, ...rest } = await contents(store);
      return rest;
    };
    expect(await files(stopped)).toEqual(await files(whole));
  });

  test("trains in the plan's precision where none is given, and in the one that is given otherwise", async () => {
    const { heard, backend } = recording();
    const own = memoryStore();
    const steps = await run({ store: own, backend }, { ...mixed, stop: 3 });
    expect(steps.map(({ lossScale }) => lossScale)).toEqual([512, 512, 1024]);
    expect(heard).toEqual(['mixed-float16']);
    expect(await readJson(own, 'run.json')).not.toHaveProperty('precision');
    const other = recording();
    await run({ store: memoryStore(), backend: other.backend, precision: 'float32' }, { ...mixed, stop: 3 });
    expect(other.heard).toEqual(['float32']);
  });

  test('on a backend that cannot leaves no folder behind', async () => {
    const store = memoryStore();
    await expect(run({ store, backend: plain, ...mixed })).rejects.toMatchObject({
      code: 'BACKEND_UNAVAILABLE',
    });
    expect(await store.list()).toEqual([]);
  });

  test('of a precision that this build does not know is refused', async () => {
    const store = memoryStore();
    await run({ store, backend: plain }, { stop: 3 });
    const description = (await readJson(store, 'run.json')) as unknown as RunDescription;
    await writeJson(store, 'run.json', { ...description, precision: 'float4' });
    await expect(run({ store, backend: plain, resume: true })).rejects.toMatchObject({
      code: 'UNKNOWN_NAME',
    });
  });

  test('in float32 by its word is the one by default, bit for bit', async () => {
    const trained = [];
    for (const precision of [undefined, 'float32'] as const) {
      const trainer = await createTrainer(parts({ precision }));
      await trainer.fit(shuffledBatches(), { epochs: 1 });
      trained.push(await weights(trainer));
      trainer.dispose();
    }
    expectSameWeights(trained[1], trained[0]);
  });
});
