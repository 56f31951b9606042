import { memoryStore, type NdArray, ndarray, tensorCount } from '@tenon-ml/core';
import { fromArrays } from '@tenon-ml/data';
import { batchNorm, dense, sequential, tanh } from '@tenon-ml/layers';
import { meanSquaredError } from '@tenon-ml/losses';
import { adam, chain, clipByGlobalNorm, cosineDecay } from '@tenon-ml/optimizers';
import { loadGoldens } from '@tenon-ml/testkit';
import { add, mul, slice, sqrt, sum } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  createTrainer,
  type DynamicLossScaling,
  type LossScaling,
  readLatestCheckpoint,
  type StepEvent,
  type TrainEvent,
  type Trainer,
  type TrainerOptions,
} from '../src/index.js';
import { expectSameWeights, parts, points, powers, shuffledBatches, weights } from './support.js';

const goldens = loadGoldens('scaling');

/** Numbers to be predicted from four others, so large that gradients at large scales leave float32's range. */
function regression(count = 60, size = 4) {
  return points(count)
    .map(({ input, target }) => ({
      input,
      target: ndarray(
        'float32',
        [1],
        Float32Array.of(3e4 * (Number(target.data[0]) - Number(input.data[0]))),
      ),
    }))
    .batch(size);
}

/** A network that draws no random numbers: those belong to the number of a step. */
function regressor(overrides: Partial<TrainerOptions> = {}): TrainerOptions {
  return parts({
    model: sequential([dense(6), batchNorm(), tanh(), dense(1)]),
    loss: meanSquaredError(),
    optimizer: chain(
      clipByGlobalNorm(1e3),
      adam({ learningRate: cosineDecay({ peak: 0.05, steps: 40, warmup: 5 }) }),
    ),
    metrics: [],
    ...overrides,
  });
}

async function stepsOf(
  options: TrainerOptions,
  data: Parameters<Trainer['fit']>[0] = regression(),
  epochs = 1,
) {
  const trainer = await createTrainer(options);
  const steps: StepEvent[] = [];
  const { history } = await trainer.fit(data, {
    epochs,
    onEvent: (event) => void (event.type === 'step' && steps.push(event)),
  });
  const result = { steps, history, weights: await weights(trainer) };
  trainer.dispose();
  return result;
}

describe('training in float32', () => {
  test('ends with the same bits at any scale, fixed or growing, as long as nothing overflows', async () => {
    const plain = await stepsOf(parts(), shuffledBatches(), 2);
    const scaling = fc.oneof(
      powers(0, 60),
      fc.record({ initial: powers(0, 40), growthInterval: fc.integer({ min: 1, max: 3 }) }),
    );
    await fc.assert(
      fc.asyncProperty(scaling, async (lossScaling) => {
        const before = tensorCount();
        const scaled = await stepsOf(parts({ lossScaling }), shuffledBatches(), 2);
        expectSameWeights(scaled.weights, plain.weights);
        expect(scaled.steps.map(({ lossScale, skipped, ...rest }) => rest)).toEqual(plain.steps);
        expect(scaled.history).toEqual(plain.history.map((record) => ({ ...record, skipped: 0 })));
        expect(tensorCount()).toBe(before);
      }),
      { numRuns: 12 },
    );
  });

  test('asks of gradients and the loss, not of their scaled loss, whether they are finite', async () => {
    const plain = await stepsOf(regressor(), regression(16));
    // The case to test.
    expect(Math.fround(plain.steps[0].loss * 2 ** 100)).toBe(Number.POSITIVE_INFINITY);
    const scaled = await stepsOf(regressor({ lossScaling: 2 ** 100 }), regression(16));
    expectSameWeights(scaled.weights, plain.weights);
  });

  test('tells of scales and skips only where the loss is scaled', async () => {
    const plain = await stepsOf(parts(), shuffledBatches(16));
    expect(Object.keys(plain.steps[0])).not.toContain('lossScale');
    expect(Object.keys(plain.steps[0])).not.toContain('skipped');
    expect(Object.keys(plain.history[0])).not.toContain('skipped');
    const scaled = await stepsOf(parts({ lossScaling: 'dynamic' }), shuffledBatches(16));
    expect(scaled.steps[0]).toMatchObject({ lossScale: 65536, skipped: false });
    expect(scaled.history[0].skipped).toBe(0);
  });
});

describe('a step that overflows', () => {
  test('is skipped, the scale is halved, and the rest is a run without the batches of those steps', async () => {
    const seen = { atFirst: 0, later: 0 };
    await fc.assert(
      fc.asyncProperty(powers(95, 125), fc.integer({ min: 1, max: 6 }), async (initial, growthInterval) => {
        const lossScaling = { initial, growthInterval, maximum: 2 ** 126 };
        const scaled = await stepsOf(regressor({ lossScaling }));
        const skipped = new Set(scaled.steps.flatMap((event, i) => (event.skipped ? [i] : [])));
        if (skipped.has(0)) seen.atFirst++;
        if (scaled.steps.some((event, i) => i > 0 && event.skipped && !scaled.steps[i - 1].skipped))
          seen.later++;
        for (const [i, { lossScale = 0 }] of scaled.steps.entries()) {
          const before = scaled.steps[i - 1];
          if (before?.skipped) expect(lossScale).toBe((before.lossScale ?? 0) / 2);
        }
        expect(scaled.history[0].skipped).toBe(skipped.size);
        expect(scaled.history[0].step).toBe(15);
        const rest = await stepsOf(
          regressor(),
          regression().filter((_, { index }) => !skipped.has(index)),
        );
        expectSameWeights(scaled.weights, rest.weights);
        // Losses, learning rates and bias corrections too: those of the updates made.
        const made = scaled.steps.filter((event) => !event.skipped);
        expect(made.map(({ loss, scalars }) => [loss, scalars])).toEqual(
          rest.steps.map(({ loss, scalars }) => [loss, scalars]),
        );
        expect(scaled.steps.every(({ loss }) => Number.isFinite(loss))).toBe(true);
      }),
      {
        numRuns: 15,
        examples: [
          [2 ** 120, 2],
          [2 ** 105, 1],
        ],
      },
    );
    // The cases to test: overflow from the first step on, and after growth.
    expect(seen.atFirst).toBeGreaterThan(0);
    expect(seen.later).toBeGreaterThan(0);
  });

  test('counts in the loss and the metrics of its epoch', async () => {
    const lossScaling: DynamicLossScaling = { initial: 2 ** 120 };
    const { steps, history } = await stepsOf(regressor({ lossScaling }), regression(12));
    expect(steps.map(({ skipped }) => skipped)).toEqual([true, true, true]);
    // Nothing was updated: the mean is that of the same parameters.
    expect(history[0].train.loss).toBeCloseTo(steps.reduce((total, { loss }) => total + loss, 0) / 3, 0);
    expect(history[0].skipped).toBe(3);
  });

  test('leaves parameters, states and the optimizer as they were', async () => {
    const store = memoryStore();
    const trainer = await createTrainer(
      regressor({ lossScaling: { initial: 2 ** 120 }, input: { shape: [null, 4], dtype: 'float32' } }),
    );
    const before = await weights(trainer);
    await trainer.fit(regression(8), { epochs: 1, checkpoints: { store } });
    expectSameWeights(await weights(trainer), before);
    const stored = await readLatestCheckpoint(store);
    expect(stored?.position).toMatchObject({
      step: 2,
      lossScale: { scale: 2 ** 118, streak: 0, skipped: 2 },
    });
    trainer.dispose();
  });

  test('in another epoch is counted there', async () => {
    const { steps, history } = await stepsOf(
      regressor({ lossScaling: { initial: 2 ** 100, growthInterval: 2, maximum: 2 ** 126 } }),
      regression(),
      3,
    );
    const counts = [0, 1, 2].map(
      (epoch) => steps.filter((event) => event.epoch === epoch && event.skipped).length,
    );
    expect(counts.reduce((total, count) => total + count)).toBeGreaterThan(2);
    expect(history.map(({ skipped }) => skipped)).toEqual(counts);
  });
});

/** Batches whose gradients are finite or not as `finite` says; their losses are. */
function batchesOf(finite: Iterable<number>) {
  const flags = Array.from(finite);
  const input = Float32Array.from(flags.flatMap((flag, i) => [flag, Math.sin(i), Math.cos(3 * i)]));
  const target = Float32Array.from(flags, (_, i) => Math.sin(2 * i));
  return fromArrays({
    input: ndarray('float32', [flags.length, 3], input),
    target: ndarray('float32', [flags.length, 1], target),
  }).batch(1);
}

/** √(0·y + f) is √f, for the first number f of the input; where that is 0, its slope is ∞, times 0. */
const inner = dense(1);
const rooted: typeof inner = {
  ...inner,
  apply(params, state, input, context) {
    const { output } = inner.apply(params, state, input, context);
    return { state, output: add(output, sqrt(add(mul(output, 0), sum(slice(input, [0, 0], [-1, 1]))))) };
  },
};

function flagged(lossScaling?: LossScaling): TrainerOptions {
  return parts({
    model: sequential([rooted]),
    loss: meanSquaredError(),
    optimizer: adam({ learningRate: 0.05 }),
    metrics: [],
    ...(lossScaling !== undefined && { lossScaling }),
  });
}

describe('a trainer', () => {
  test.each(goldens.map((golden) => [golden.name, golden] as const))(
    'scales and skips as GradScaler does: %s',
    async (_, { about: { initial, growthInterval }, integers, floats }) => {
      const { steps } = await stepsOf(
        flagged({ initial, growthInterval }),
        batchesOf(integers('finite').data),
      );
      expect(steps.map(({ lossScale }) => lossScale)).toEqual(Array.from(floats('scale').data));
      expect(steps.map(({ skipped }) => Number(skipped))).toEqual(Array.from(integers('skipped').data));
    },
  );

  test('that skips down to a scale of 1 ends with NOT_FINITE there, and its parameters are those from before', async () => {
    const trainer = await createTrainer(flagged({ initial: 4 }));
    const steps: StepEvent[] = [];
    const fitted = trainer.fit(batchesOf([1, 0, 0, 0, 1]), {
      epochs: 1,
      onEvent: (event) => void (event.type === 'step' && steps.push(event)),
    });
    await expect(fitted).rejects.toThrow(
      expect.objectContaining({
        code: 'NOT_FINITE',
        message: expect.stringMatching(
          /^step 4 \(epoch 1\): the loss is [\d.]+, and the first value that is not finite is the gradient of dense_1\./,
        ),
      }),
    );
    expect(steps.map(({ lossScale, skipped }) => [lossScale, skipped])).toEqual([
      [4, false],
      [4, true],
      [2, true],
    ]);
    const one = await stepsOf(flagged(), batchesOf([1]));
    expectSameWeights(await weights(trainer), one.weights);
    trainer.dispose();
  });

  test.each<[LossScaling]>([['dynamic'], [1024]])(
    'with %j ends where the loss is not finite, and goes on from there with other data',
    async (lossScaling) => {
      const trainer = await createTrainer(flagged(lossScaling));
      await expect(trainer.fit(batchesOf([1, 1, Number.NaN]), { epochs: 1 })).rejects.toThrow(
        'step 3 (epoch 1): the loss is NaN, and the first value that is not finite is the input.',
      );
      await trainer.fit(batchesOf([1, 1, 1]), { epochs: 1 });
      const whole = await stepsOf(flagged(), batchesOf([1, 1, 1]));
      expectSameWeights(await weights(trainer), whole.weights);
      trainer.dispose();
    },
  );

  test('with a fixed scale that is too large is told so', async () => {
    const trainer = await createTrainer(regressor({ lossScaling: 2 ** 120 }));
    await expect(trainer.fit(regression(), { epochs: 1 })).rejects.toThrow(
      /^step 1 \(epoch 1\): the loss is [\d.]+, and its gradients, times the loss scale of 1\.\d+e\+36, are not finite\. The parameters are as they were before this step\. Lower lossScaling, or use 'dynamic', which skips such steps\./,
    );
    trainer.dispose();
  });
});

describe('a resume', () => {
  const lossScaling = { initial: 2 ** 112, growthInterval: 3, maximum: 2 ** 126 };
  async function trainUntil(
    store: ReturnType<typeof memoryStore>,
    stop: number,
    everySteps?: number,
    overrides: Partial<TrainerOptions> = {},
  ) {
    const trainer = await createTrainer(regressor({ lossScaling, ...overrides }));
    const events: TrainEvent[] = [];
    const run = trainer.run(regression(), { epochs: 2, checkpoints: { store, everySteps }, resume: true });
    let steps = 0;
    for await (const event of run) {
      events.push(event);
      if (event.type === 'step' && ++steps >= stop) break;
    }
    const result = { events, weights: await weights(trainer), history: trainer.history };
    trainer.dispose();
    return result;
  }

  test('in the middle of a streak, or of skips, is the run that never stopped: scales, skips and bits', async () => {
    const stepsIn = (events: readonly TrainEvent[]) => events.filter((event) => event.type === 'step');
    const whole = await trainUntil(memoryStore(), Number.POSITIVE_INFINITY);
    const all = stepsIn(whole.events);
    // The cases to test: streaks that end in growth, and skips among them.
    const skips = all.filter((event) => event.skipped).length;
    expect(skips).toBeGreaterThan(3);
    expect(skips).toBeLessThan(all.length - 6);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 4 }),
        fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
        async (lives, everySteps) => {
          const store = memoryStore();
          for (const life of lives) {
            const { events } = await trainUntil(store, life, everySteps);
            for (const event of stepsIn(events)) expect(event).toEqual(all[event.step - 1]);
          }
          const last = await trainUntil(store, Number.POSITIVE_INFINITY, everySteps);
          for (const event of stepsIn(last.events)) expect(event).toEqual(all[event.step - 1]);
          expectSameWeights(last.weights, whole.weights);
          expect(last.history).toEqual(whole.history);
        },
      ),
      { numRuns: 8 },
    );
  }, 120_000);

  test.each<[string, Partial<TrainerOptions>, RegExp]>([
    ['another first scale', { lossScaling: { ...lossScaling, initial: 2 ** 90 } }, /lossScaling.*initial: /],
    ['another interval', { lossScaling: { ...lossScaling, growthInterval: 4 } }, /growthInterval: 3, got 4/],
    ['a fixed scale', { lossScaling: 4 }, /expected the lossScaling that the run began with/],
    ['none', { lossScaling: 'none' }, /expected the lossScaling that the run began with, .*, got "none"/],
  ])('with %s is refused', async (_, overrides, message) => {
    const store = memoryStore();
    await trainUntil(store, 4, 2);
    await expect(trainUntil(store, 1, 2, overrides)).rejects.toThrow(
      expect.objectContaining({ code: 'CHECKPOINT_INVALID', message: expect.stringMatching(message) }),
    );
  });

  test('of a run without scaling with it is refused too', async () => {
    const store = memoryStore();
    await trainUntil(store, 4, 2, { lossScaling: 'none' });
    await expect(trainUntil(store, 1, 2)).rejects.toThrow(
      /expected the lossScaling that the run began with, "none", got \{/,
    );
    await trainUntil(store, 1, 2, { lossScaling: 'none' });
  });
});

test('a bad batch of data is named as ever, with the loss scaled', async () => {
  const trainer = await createTrainer(parts({ lossScaling: 'dynamic' }));
  const spoilt = points(8).map((example, { index }) =>
    index === 5 ? { ...example, target: ndarray('int32', [], Int32Array.of(7)) as NdArray } : example,
  );
  await expect(trainer.fit(spoilt.batch(4), { epochs: 1 })).rejects.toThrow(/^step 2 \(epoch 1\).*record 1/);
  trainer.dispose();
});
