import { type ArtifactStore, memoryStore, readJson, writeJson } from '@tenon-ml/core';
import { cpu } from '@tenon-ml/testkit';
import { runExperiment, type StepEvent } from '@tenon-ml/train';
import { mul } from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { documentExperiment, type LearningRateControl, learningRateControl } from '../src/index.js';
import { preset } from './support.js';

const rows = Array.from({ length: 40 }, (_, i) => `${Math.sin(i)},${Math.cos(3 * i)},${i % 3}`);
const files = memoryStore([['t.csv', new TextEncoder().encode(`a,b,target\n${rows.join('\n')}\n`)]]);
const table = preset('table-mlp');
const experiment = documentExperiment(
  {
    ...table,
    data: { source: 'csv', file: 't.csv', target: 'target', task: 'classification' },
    training: { ...table.training, epochs: 4, batchSize: 4, clipNorm: 1 },
  },
  files,
);

/** Runs, sets factors after some steps, and is killed after another. */
async function run(
  store: ArtifactStore,
  sets: { readonly [step: number]: number },
  { stop = Number.POSITIVE_INFINITY, resume = false } = {},
): Promise<number[]> {
  const rate = await learningRateControl(store);
  const rates: number[] = [];
  const adjust = (plan: Parameters<typeof rate.adjust>[0]) => ({
    ...rate.adjust(plan),
    checkpointEverySteps: 3,
  });
  const options = { backend: cpu(), store, seed: 2, resume, adjust };
  for await (const event of runExperiment(experiment, options)) {
    if (event.type !== 'step') continue;
    rates.push((event as StepEvent).scalars['adam_1/learningRate']);
    if (event.step in sets) expect(await rate.set(sets[event.step])).toBe(event.step);
    if (event.step >= stop) break;
  }
  return rates;
}

async function contents(store: ArtifactStore): Promise<{ [path: string]: string }> {
  const found: { [path: string]: string } = {};
  for (const path of await store.list()) {
    if (path !== 'report.json') found[path] = new TextDecoder('latin1').decode(await store.read(path));
  }
  return found;
}

describe('learningRateControl', () => {
  test('changes the rate from the next step on, and a run that was killed and resumed is the same', async () => {
    const [plain, whole, stopped] = [memoryStore(), memoryStore(), memoryStore()];
    const before = await run(plain, {});
    const rates = await run(whole, { 5: 0.5, 9: 3 });
    expect(rates).toEqual(before.map((rate, i) => rate * (i < 5 ? 1 : i < 9 ? 0.5 : 3)));
    expect(await readJson(whole, 'learning-rate.json')).toEqual([
      { step: 5, factor: 0.5 },
      { step: 9, factor: 3 },
    ]);
    expect((await contents(whole))['weights.safetensors']).not.toBe(
      (await contents(plain))['weights.safetensors'],
    );
    // Killed twice, each time some steps behind a checkpoint, the second time right after the change.
    await run(stopped, { 5: 0.5 }, { stop: 8 });
    await run(stopped, { 9: 3 }, { stop: 11, resume: true });
    await run(stopped, {}, { resume: true });
    expect(await contents(stopped)).toEqual(await contents(whole));
  });

  test('forgets what was set behind the step where a resume has gone back to', async () => {
    const store = memoryStore();
    await run(store, { 5: 0.5, 11: 0.25 }, { stop: 11 });
    // From the checkpoint after step 9.
    await run(store, { 10: 2 }, { stop: 10, resume: true });
    expect(await readJson(store, 'learning-rate.json')).toEqual([
      { step: 5, factor: 0.5 },
      { step: 10, factor: 2 },
    ]);
    // Before the first step of a resume, too, it is the step that comes next.
    expect(await (await learningRateControl(store)).set(1)).toBe(9);
  });

  test('counts updates, not steps, where some were skipped', async () => {
    /** The same, with gradients so large that at the first scales they are infinite. */
    const amplified = ({ loss, ...plan }: Parameters<LearningRateControl['adjust']>[0]) => ({
      ...plan,
      loss: Object.assign(
        (prediction: never, target: never) => {
          const { values, weights } = loss(prediction, target);
          return { values: mul(values, 2 ** 30), weights };
        },
        { spec: loss.spec },
      ),
      lossScaling: { initial: 2 ** 102 },
      checkpointEverySteps: 1,
    });
    const store = memoryStore();
    const train = async (stop: number, resume: boolean) => {
      const rate = await learningRateControl(store);
      const first = await rate.set(resume ? 0.5 : 1);
      const steps: StepEvent[] = [];
      const adjust = (plan: Parameters<typeof rate.adjust>[0]) => amplified(rate.adjust(plan));
      const options = { backend: cpu(), store, seed: 2, resume, adjust };
      for await (const event of runExperiment(experiment, options)) {
        if (event.type === 'step') steps.push(event);
        if (event.type === 'checkpoint' && steps.length >= stop) break;
      }
      return { first, steps };
    };
    const { steps } = await train(7, false);
    const skips = steps.filter(({ skipped }) => skipped).length;
    // The case to test: steps that were skipped, and some that were not.
    expect(skips).toBeGreaterThan(0);
    expect(skips).toBeLessThan(7);
    const { first, steps: more } = await train(1, true);
    expect(first).toBe(7 - skips);
    expect(more[0].step).toBe(8);
    const name = Object.keys(more[0].scalars).find((scalar) => scalar.endsWith('learningRate')) ?? '';
    const { factor } = await learningRateControl(store);
    expect([factor(first - 1), factor(first)]).toEqual([1, 0.5]);
    expect(more[0].scalars[name]).toBeLessThan(0.6 * steps[6].scalars[name]);
  });

  test('begins with what is there, and before a run with its first step', async () => {
    const store = memoryStore();
    const rate = await learningRateControl(store);
    expect([rate.changes, rate.factor(0), rate.factor(1e6)]).toEqual([[], 1, 1]);
    expect(await rate.set(0.1)).toBe(0);
    await Promise.all([rate.set(0.2), rate.set(0.3)]);
    expect((await learningRateControl(store)).changes).toEqual([{ step: 0, factor: 0.3 }]);
    await writeJson(store, 'learning-rate.json', [
      { step: 9, factor: 2 },
      { step: 4, factor: 0 },
    ]);
    const read = await learningRateControl(store);
    expect([3, 4, 8, 9, 10].map(read.factor)).toEqual([1, 0, 0, 2, 2]);
  });

  test('refuses factors and files that are none', async () => {
    const store = memoryStore();
    const rate = await learningRateControl(store);
    await expect(rate.set(-1)).rejects.toThrow('expected a finite factor of at least 0, got -1');
    for (const wrong of [{}, [{ step: 1 }], [{ step: -1, factor: 1 }], [null]]) {
      await writeJson(store, 'learning-rate.json', wrong);
      await expect(learningRateControl(store)).rejects.toMatchObject({ code: 'ARTIFACT_INVALID' });
    }
  });
});
