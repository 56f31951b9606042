import { type ArtifactStore, fromNested, memoryStore, type NdArray } from '@tenon-ml/core';
import { dense, relu, sequential } from '@tenon-ml/layers';
import { adam, sgd } from '@tenon-ml/optimizers';
import { add, mul, sqrt } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  createTrainer,
  defineExperiment,
  listCheckpoints,
  type RunReport,
  runExperiment,
  type TrainerOptions,
} from '../src/index.js';
import { backend, contents, expectSameWeights, parts, points, shuffledBatches, weights } from './support.js';

const epochs = 3;

/** Trains into a store until `stop` steps were made by this process, as a kill would: without a word. */
async function trainUntil(
  store: ArtifactStore,
  stop: number,
  everySteps: number | undefined,
  options = parts(),
) {
  const trainer = await createTrainer(options);
  const run = trainer.run(shuffledBatches(), {
    epochs,
    validation: points(20, 2).batch(6),
    restoreBest: true,
    monitor: 'validation.accuracy',
    checkpoints: { store, everySteps },
    resume: true,
  });
  let steps = 0;
  let finished = true;
  for await (const event of run) {
    if (event.type !== 'step' || ++steps < stop) continue;
    finished = false;
    break;
  }
  const result = finished ? { weights: await weights(trainer), history: trainer.history } : undefined;
  trainer.dispose();
  return result;
}

describe('resume', () => {
  test('however often a run dies, and wherever its checkpoints lie, the bits are those of a run that never stopped', async () => {
    const whole = await trainUntil(memoryStore(), Number.POSITIVE_INFINITY, undefined);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 4 }),
        fc.option(fc.integer({ min: 1, max: 5 }), { nil: undefined }),
        async (lives, everySteps) => {
          const store = memoryStore();
          for (const life of lives) await trainUntil(store, life, everySteps);
          const resumed = await trainUntil(store, Number.POSITIVE_INFINITY, everySteps);
          expectSameWeights(resumed?.weights ?? new Map(), whole?.weights ?? new Map());
          expect(resumed?.history).toEqual(whole?.history);
        },
      ),
      { numRuns: 8 },
    );
  }, 120_000);

  test('an aborted run saves in the middle of an epoch, and goes on from there', async () => {
    const store = memoryStore();
    const controller = new AbortController();
    const trainer = await createTrainer(parts());
    const result = await trainer.fit(shuffledBatches(), {
      epochs,
      signal: controller.signal,
      checkpoints: { store },
      onEvent: (event) => {
        if (event.type === 'step' && event.step === 10) controller.abort();
      },
    });
    expect(result).toMatchObject({ reason: 'aborted', step: 10 });
    expect(await listCheckpoints(store)).toContain('checkpoints/step-000000010.safetensors');
    const again = await createTrainer(parts());
    const steps: number[] = [];
    await again.fit(shuffledBatches(), {
      epochs,
      checkpoints: { store },
      resume: true,
      onEvent: (event) => {
        if (event.type === 'step') steps.push(event.step);
      },
    });
    expect(steps[0]).toBe(11);
    const whole = await createTrainer(parts());
    await whole.fit(shuffledBatches(), { epochs });
    expectSameWeights(await weights(again), await weights(whole));
  });

  test('a run folder that was killed and resumed holds the same files, but for the times', async () => {
    const experiment = defineExperiment({
      name: 'points',
      description: '',
      options: { epochs: 3 },
      setup: (options) => ({
        ...parts(),
        epochs: options.epochs,
        train: shuffledBatches(),
        validation: points(20, 2).batch(6),
        test: points(20, 5).batch(20),
        checkpointEverySteps: 4,
      }),
    });
    const run = async (store: ArtifactStore, resume: boolean, stop = Number.POSITIVE_INFINITY) => {
      let steps = 0;
      for await (const event of runExperiment(experiment, { backend, store, seed: 5, resume })) {
        if (event.type === 'step' && ++steps >= stop) break;
      }
    };
    const whole = memoryStore();
    await run(whole, false);
    const killed = memoryStore();
    await run(killed, false, 6);
    await run(killed, true, 9);
    await run(killed, true);
    const files = async (store: ArtifactStore) => {
      const { 'report.json': report, ...rest } = await contents(store);
      const { seconds, ...stable } = JSON.parse(report) as RunReport;
      expect(seconds.total).toBeGreaterThan(0);
      return { ...rest, report: stable };
    };
    expect(await files(killed)).toEqual(await files(whole));
  });
});

describe('checkpoints', () => {
  test('only the newest are kept', async () => {
    const store = memoryStore();
    await trainUntil(store, Number.POSITIVE_INFINITY, 2);
    expect(await listCheckpoints(store)).toHaveLength(2);
  });

  test('a damaged one is passed over for the one before; if all are, the newest is named', async () => {
    const store = memoryStore();
    await trainUntil(store, 9, 2);
    const [older, newer] = await listCheckpoints(store);
    await store.write(newer, (await store.read(newer)).subarray(0, 500));
    const whole = await trainUntil(memoryStore(), Number.POSITIVE_INFINITY, undefined);
    const resumed = await trainUntil(store, Number.POSITIVE_INFINITY, undefined);
    expectSameWeights(resumed?.weights ?? new Map(), whole?.weights ?? new Map());
    const broken = memoryStore([
      [older, new Uint8Array(3)],
      [newer, new Uint8Array(4)],
    ]);
    await expect(trainUntil(broken, 1, undefined)).rejects.toThrow(newer);
  });

  test.each<[string, Partial<TrainerOptions>, RegExp]>([
    ['model', { model: sequential([dense(9), relu(), dense(3)]) }, /the model that the run began with/],
    ['optimizer', { optimizer: sgd({ learningRate: 0.1 }) }, /the optimizer that the run began with/],
    ['seed', { seed: 4 }, /the seed that the run began with, 3, got 4/],
  ])('another %s is refused', async (_, overrides, message) => {
    const store = memoryStore();
    await trainUntil(store, 9, 2);
    await expect(trainUntil(store, 1, undefined, parts(overrides))).rejects.toThrow(message);
  });

  test('a store that fails while a checkpoint is written leaves the one before, and the error comes out', async () => {
    const inner = memoryStore();
    let failing = false;
    const store: ArtifactStore = {
      ...inner,
      write: async (path, bytes) => {
        if (failing) throw new Error('no space');
        return inner.write(path, bytes);
      },
    };
    await trainUntil(store, 9, 4);
    const before = await contents(inner);
    failing = true;
    await expect(trainUntil(store, 20, 4)).rejects.toThrow('no space');
    expect(await contents(inner)).toEqual(before);
  });
});

describe('a step that is not finite', () => {
  const huge = adam({ learningRate: 1e38 });

  test('names the step and what was not finite first, and leaves the parameters as they were', async () => {
    const trainer = await createTrainer(
      parts({
        optimizer: huge,
        model: sequential({ first: dense(8), second: relu(), head: dense(3) }),
      }),
    );
    let before = new Map<string, NdArray>();
    const run = trainer.run(shuffledBatches(), { epochs: 5 });
    let error: Error | undefined;
    try {
      for await (const event of run)
        if (event.type === 'step' || event.type === 'start') before = await weights(trainer);
    } catch (thrown) {
      error = thrown as Error;
    }
    expect(error).toMatchObject({ code: 'NOT_FINITE' });
    expect(error?.message).toMatch(
      /^step \d+ \(epoch 1\): the loss is (NaN|Infinity), and the first value that is not finite is the output of (first|head)\./,
    );
    expect(error?.message).toContain('The parameters are as they were before this step.');
    expectSameWeights(await weights(trainer), before);
    for (const array of before.values())
      expect(Array.from(array.data as Float32Array).every(Number.isFinite)).toBe(true);
    trainer.dispose();
  });

  test('finds NaN in the data', async () => {
    const poisoned = points(24).map((example, { index }) =>
      index === 13 ? { ...example, input: fromNested([1, 2, Number.NaN, 4]) as NdArray<'float32'> } : example,
    );
    const trainer = await createTrainer(parts());
    await expect(trainer.fit(poisoned.batch(8), { epochs: 1 })).rejects.toThrow(
      'step 2 (epoch 1): the loss is NaN, and the first value that is not finite is the input. The parameters are as they were before this step. Look for NaN and infinities in the data.',
    );
    trainer.dispose();
  });

  test('a gradient that is not finite under a finite loss changes nothing either', async () => {
    const inner = dense(3);
    const rooted: typeof inner = {
      ...inner,
      apply(params, state, input, context) {
        const { output } = inner.apply(params, state, input, context);
        // √(0·x) is 0, but its slope is ∞·0.
        return { state, output: add(output, sqrt(mul(output, 0))) };
      },
    };
    const trainer = await createTrainer(
      parts({ model: sequential([rooted]), input: { shape: [null, 4], dtype: 'float32' } }),
    );
    const before = await weights(trainer);
    await expect(trainer.fit(shuffledBatches(), { epochs: 1 })).rejects.toThrow(
      /the first value that is not finite is the gradient of dense_1\./,
    );
    expectSameWeights(await weights(trainer), before);
    trainer.dispose();
  });
});
