import { fromNested, type Metric, memoryStore, type NdArray, readJson } from '@tenon-ml/core';
import { dense, relu, sequential } from '@tenon-ml/layers';
import { adam } from '@tenon-ml/optimizers';
import { add, mul, sqrt } from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { createTrainer, defineExperiment, runExperiment } from '../src/index.js';
import { backend, expectSameWeights, parts, points, shuffledBatches, weights } from './support.js';

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

describe('figures that are not finite', () => {
  /** A metric whose state and result go through all that JSON has no words for. */
  const strange: Metric<readonly number[], number | null> = {
    name: 'strange',
    direction: 'minimize',
    observe: (_prediction, _target, weightsOfExamples) => weightsOfExamples,
    empty: () => [0, -0],
    update: ([count]) => [count + 1, [Number.NaN, Number.NEGATIVE_INFINITY, -0, 5][count % 4]],
    merge: (a, b) => [a[0] + b[0], b[1]],
    compute: ([count, value]) => (count === 3 ? null : value),
  };
  const validation = points(20, 2).batch(5);

  test('are no best epoch, and train on', async () => {
    for (const [batches, value] of [
      [1, Number.NaN],
      [2, Number.NEGATIVE_INFINITY],
      [3, null],
    ] as const) {
      const trainer = await createTrainer(parts({ metrics: [strange] }));
      const { best, history } = await trainer.fit(shuffledBatches(), {
        epochs: 2,
        validation: validation.take(batches),
        monitor: 'validation.strange',
        restoreBest: true,
      });
      expect(best).toBeUndefined();
      expect(history.map((record) => [record.validation?.strange, record.best])).toEqual([
        [value, false],
        [value, false],
      ]);
      trainer.dispose();
    }
  });

  test('stay what they are through a checkpoint, in the middle of an epoch too', async () => {
    const run = async (stops: readonly number[]) => {
      const store = memoryStore();
      for (const stop of [...stops, Number.POSITIVE_INFINITY]) {
        const trainer = await createTrainer(parts({ metrics: [strange] }));
        const options = {
          epochs: 3,
          validation: validation.take(2),
          monitor: 'train.strange',
          checkpoints: { store, everySteps: 1 },
          resume: true,
        };
        for await (const event of trainer.run(shuffledBatches(20), options))
          if (event.type === 'checkpoint' && event.step === stop) break;
        if (stop === Number.POSITIVE_INFINITY) return trainer.history;
        trainer.dispose();
      }
      return [];
    };
    const whole = await run([]);
    expect(whole[0].validation?.strange).toBe(Number.NEGATIVE_INFINITY);
    expect(await run([1, 2, 3, 5])).toEqual(whole);
  });

  test('are null in the events and the report of a run, whose files are JSON', async () => {
    const store = memoryStore();
    const experiment = defineExperiment({
      name: 'strange',
      description: '',
      options: {},
      setup: () => ({
        ...parts({ metrics: [strange] }),
        epochs: 1,
        train: shuffledBatches(10, 5),
        test: validation.take(1),
      }),
    });
    for await (const event of runExperiment(experiment, { backend, store })) {
      if (event.type === 'report') expect(event.report.test?.strange).toBe(Number.NaN);
    }
    const report = (await readJson(store, 'report.json')) as Record<string, object>;
    expect(report.test).toMatchObject({ strange: null });
    expect(report.history).toMatchObject([{ train: { strange: null } }]);
    const lines = new TextDecoder()
      .decode(await store.read('events.jsonl'))
      .trim()
      .split('\n');
    expect(lines.map((line) => JSON.parse(line)).find(({ type }) => type === 'epoch').train.strange).toBe(
      null,
    );
  });
});
