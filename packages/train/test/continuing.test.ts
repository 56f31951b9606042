import { memoryStore, tensorCount } from '@tenon-ml/core';
import { dense, sequential } from '@tenon-ml/layers';
import { accuracy } from '@tenon-ml/metrics';
import { sgd } from '@tenon-ml/optimizers';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createTrainer, listCheckpoints, type RunOptions, type Trainer } from '../src/index.js';
import { expectSameWeights, parts, points, shuffledBatches, weights } from './support.js';

const epochs = 3;
const validation = points(20, 2).batch(6);

/** What a trainer that is never interrupted comes to. */
async function whole(options: Partial<RunOptions> = {}) {
  const trainer = await createTrainer(parts());
  await trainer.fit(shuffledBatches(), { epochs, ...options });
  return outcome(trainer);
}

async function outcome(trainer: Trainer) {
  const result = { weights: await weights(trainer), history: trainer.history };
  trainer.dispose();
  return result;
}

function expectSame(actual: Awaited<ReturnType<typeof whole>>, expected: Awaited<ReturnType<typeof whole>>) {
  expectSameWeights(actual.weights, expected.weights);
  expect(actual.history).toEqual(expected.history);
}

describe('the same trainer goes on', () => {
  test('wherever the loop is left, to the bits of a run that was not', async () => {
    const expected = await whole({ validation });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 11 }), { maxLength: 4 }), async (lives) => {
        const trainer = await createTrainer(parts());
        for (const life of lives) {
          let events = 0;
          for await (const _ of trainer.run(shuffledBatches(), { epochs, validation }))
            if (++events === life) break;
        }
        await trainer.fit(shuffledBatches(), { epochs, validation });
        expectSame(await outcome(trainer), expected);
      }),
      { numRuns: 6 },
    );
  });

  test('with the batch whose step failed, not with the one behind it', async () => {
    const inner = sequential([dense(3)]);
    let fails = false;
    const model: typeof inner = {
      ...inner,
      apply(...args) {
        if (fails) throw new Error('on purpose');
        return inner.apply(...args);
      },
    };
    const expected = await createTrainer(parts({ model }));
    await expected.fit(shuffledBatches(), { epochs });
    const trainer = await createTrainer(parts({ model }));
    const failing = trainer.fit(shuffledBatches(), {
      epochs,
      onEvent: (event) => {
        fails = event.type === 'step' && event.step === 3;
      },
    });
    await expect(failing).rejects.toThrow('on purpose');
    fails = false;
    await trainer.fit(shuffledBatches(), { epochs });
    expectSame(await outcome(trainer), await outcome(expected));
  });

  test('after a metric that failed on the host: its step was made, and is not made again', async () => {
    const inner = accuracy();
    let calls = 0;
    const metric: typeof inner = {
      ...inner,
      update(...args) {
        if (++calls === 4) throw new Error('on purpose');
        return inner.update(...args);
      },
    };
    const expected = await whole();
    const trainer = await createTrainer(parts({ metrics: [metric] }));
    await expect(trainer.fit(shuffledBatches(), { epochs })).rejects.toThrow('on purpose');
    await trainer.fit(shuffledBatches(), { epochs });
    expectSameWeights((await outcome(trainer)).weights, expected.weights);
  });

  test('after the best weights were restored: from these', async () => {
    const trainer = await createTrainer(parts({ optimizer: sgd({ learningRate: 3 }) }));
    await trainer.fit(shuffledBatches(), { epochs: 4, validation, restoreBest: true });
    const best = await trainer.evaluate(validation);
    const { history } = await trainer.fit(shuffledBatches(), { epochs: 4, validation, restoreBest: true });
    expect(history).toHaveLength(4);
    expect(await trainer.evaluate(validation)).toEqual(best);
    trainer.dispose();
  });

  test('not after dispose', async () => {
    const trainer = await createTrainer(parts());
    await trainer.fit(shuffledBatches(), { epochs: 1 });
    trainer.dispose();
    trainer.dispose();
    const disposed = /this trainer was disposed/;
    await expect(trainer.fit(shuffledBatches(), { epochs: 2 })).rejects.toThrow(disposed);
    await expect(trainer.evaluate(validation)).rejects.toThrow(disposed);
    await expect(trainer.artifact()).rejects.toThrow(disposed);
    expect(trainer.history).toHaveLength(1);
  });
});

describe('a signal', () => {
  test('that is aborted before the start makes no step, and the run can be resumed', async () => {
    const store = memoryStore();
    const trainer = await createTrainer(parts());
    const types: string[] = [];
    const result = await trainer.fit(shuffledBatches(), {
      epochs,
      signal: AbortSignal.abort(),
      checkpoints: { store },
      onEvent: ({ type }) => void types.push(type),
    });
    expect(result).toMatchObject({ reason: 'aborted', step: 0, history: [] });
    expect(types).toEqual(['start', 'checkpoint', 'end']);
    const resumed = await createTrainer(parts());
    await resumed.fit(shuffledBatches(), { epochs, checkpoints: { store }, resume: true });
    expectSame(await outcome(resumed), await whole());
  });

  test('that comes during validation leaves the epoch open: a resume validates it again', async () => {
    const store = memoryStore();
    const controller = new AbortController();
    let seen = 0;
    const interrupting = points(20, 2)
      .map((example) => {
        if (++seen === 27) controller.abort();
        return example;
      })
      .batch(6);
    const trainer = await createTrainer(parts());
    const options = { epochs, checkpoints: { store } };
    const result = await trainer.fit(shuffledBatches(), {
      ...options,
      validation: interrupting,
      signal: controller.signal,
    });
    expect(result).toMatchObject({ reason: 'aborted', step: 14 });
    expect(result.history).toHaveLength(1);
    expect(seen).toBeLessThan(40);
    const expected = await whole({ validation });
    const resumed = await createTrainer(parts());
    await resumed.fit(shuffledBatches(), { ...options, validation, resume: true });
    expectSame(await outcome(resumed), expected);
    await trainer.fit(shuffledBatches(), { epochs, validation });
    expectSame(await outcome(trainer), expected);
  });
});

describe('the end', () => {
  const destructive = () => parts({ optimizer: sgd({ learningRate: 3 }) });
  const stopping = { validation, earlyStopping: { patience: 2 }, restoreBest: true };

  test('no epochs: no step, and weights to predict with', async () => {
    const trainer = await createTrainer(parts());
    const store = memoryStore();
    const result = await trainer.fit(shuffledBatches(), { epochs: 0, checkpoints: { store } });
    expect(result).toMatchObject({ reason: 'completed', step: 0, history: [], best: undefined });
    expect(Object.keys(await trainer.evaluate(validation))).toEqual(['loss', 'accuracy']);
    trainer.dispose();
  });

  test('a run that stopped early stops at once when it is resumed, with the same weights', async () => {
    const store = memoryStore();
    const run = async (resume: boolean, count: number) => {
      const trainer = await createTrainer(destructive());
      const types: string[] = [];
      const result = await trainer.fit(shuffledBatches(), {
        epochs: count,
        ...stopping,
        checkpoints: { store },
        resume,
        onEvent: ({ type }) => void types.push(type),
      });
      return { result, types, ...(await outcome(trainer)) };
    };
    const first = await run(false, 30);
    expect(first.result.reason).toBe('early-stopping');
    const second = await run(true, 40);
    expect(second.types).toEqual(['start', 'end']);
    expect(second.result).toEqual(first.result);
    expectSame(second, first);
  });

  test('a run that made all its epochs is completed, though nothing got better at its end', async () => {
    const trainer = await createTrainer(destructive());
    const { history } = await trainer.fit(shuffledBatches(), { epochs: 30, ...stopping });
    trainer.dispose();
    const again = await createTrainer(destructive());
    const result = await again.fit(shuffledBatches(), { epochs: history.length, ...stopping });
    expect(result.reason).toBe('completed');
    expect(result.history).toEqual(history);
    again.dispose();
  });

  test('a completed run goes on to more epochs as if it had been asked for them at first', async () => {
    const store = memoryStore();
    const options = { validation, restoreBest: true, checkpoints: { store } };
    const first = await createTrainer(parts());
    await first.fit(shuffledBatches(), { epochs: 2, ...options });
    first.dispose();
    const more = await createTrainer(parts());
    const result = await more.fit(shuffledBatches(), { epochs: 4, ...options, resume: true });
    const expected = await createTrainer(parts());
    const inOne = await expected.fit(shuffledBatches(), { epochs: 4, validation, restoreBest: true });
    expect(result).toEqual(inOne);
    expectSame(await outcome(more), await outcome(expected));
  });
});

describe('the best epoch', () => {
  test('is that of the monitor of this run, whatever an earlier run looked at', async () => {
    const trainer = await createTrainer(parts());
    const first = await trainer.fit(shuffledBatches(), { epochs: 2, monitor: 'train.accuracy' });
    // The case to test: a value that no loss comes near.
    expect(first.best?.value).toBeLessThan(0.6);
    const { best, history } = await trainer.fit(shuffledBatches(), {
      epochs: 4,
      validation,
      monitor: 'validation.loss',
    });
    const losses = history.map((record) => record.validation?.loss ?? Number.POSITIVE_INFINITY);
    const value = Math.min(...losses);
    expect(best).toEqual({ epoch: losses.indexOf(value), monitor: 'validation.loss', value });
    trainer.dispose();
  });

  test('cannot be restored where its weights were not kept: that is said before training', async () => {
    const store = memoryStore();
    const options = parts({ optimizer: sgd({ learningRate: 3 }) });
    const first = await createTrainer(options);
    await first.fit(shuffledBatches(), { epochs: 2, validation, restoreBest: true, checkpoints: { store } });
    await first.fit(shuffledBatches(), { epochs: 9, validation, checkpoints: { store } });
    const { best } = await first.fit(shuffledBatches(), { epochs: 9, validation, checkpoints: { store } });
    first.dispose();
    // The case to test: the best epoch lies in the part that kept no weights.
    expect(best?.epoch).toBeGreaterThan(1);
    const again = await createTrainer(options);
    await expect(
      again.fit(shuffledBatches(), {
        epochs: 12,
        validation,
        restoreBest: true,
        checkpoints: { store },
        resume: true,
      }),
    ).rejects.toThrow(/restoreBest.*the weights of the best epoch so far, epoch \d+, were not kept/);
    again.dispose();
  });
});

describe("the caller's own part of a checkpoint", () => {
  test.each(['note', 'onResume'] as const)(
    '%s that throws: its error comes out, and nothing is left behind',
    async (which) => {
      const before = tensorCount();
      const store = memoryStore();
      const first = await createTrainer(parts());
      await first.fit(shuffledBatches(), { epochs: 1, checkpoints: { store, note: () => 'kept' } });
      first.dispose();
      const [checkpoint] = await listCheckpoints(store);
      const trainer = await createTrainer(parts());
      const notes: unknown[] = [];
      const fail = () => Promise.reject(new Error('on purpose'));
      const run = (failing: boolean) =>
        trainer.fit(shuffledBatches(), {
          epochs: 2,
          resume: true,
          checkpoints: {
            store,
            note: failing && which === 'note' ? fail : () => null,
            onResume: failing && which === 'onResume' ? fail : (note) => void notes.push(note),
          },
        });
      await expect(run(true)).rejects.toThrow('on purpose');
      expect(await listCheckpoints(store)).toEqual([checkpoint]);
      await run(false);
      expect(notes.at(-1)).toBe('kept');
      const expected = await createTrainer(parts());
      await expected.fit(shuffledBatches(), { epochs: 2 });
      expectSame(await outcome(trainer), await outcome(expected));
      expect(tensorCount()).toBe(before);
    },
  );
});
