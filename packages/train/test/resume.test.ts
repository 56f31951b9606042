import { type ArtifactStore, memoryStore } from '@tenon-ml/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createTrainer, listCheckpoints } from '../src/index.js';
import { expectSameWeights, parts, points, shuffledBatches, weights } from './support.js';

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
});
