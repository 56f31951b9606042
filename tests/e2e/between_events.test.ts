import { wasm } from '@tenon-ml/backend-wasm';
import { type ArtifactStore, memoryStore, zeros } from '@tenon-ml/core';
import { documentExperiment, learningRateControl, presets } from '@tenon-ml/experiment';
import { type AnyPlan, runExperiment, type Trainer } from '@tenon-ml/train';
import { expect, test } from 'vitest';

/** Runs an epoch of digits-cnn; with a look at the trainer every few steps, as a page has it. */
async function run(looks: boolean): Promise<{ store: ArtifactStore; losses: number[] }> {
  const document = presets.find(({ id }) => id === 'digits-cnn')?.document;
  if (!document) throw new Error('no preset');
  const backend = wasm({ poison: true });
  const store = memoryStore();
  const rate = await learningRateControl(store);
  const seen: { trainer?: Trainer; plan?: AnyPlan } = {};
  const losses: number[] = [];
  const events = runExperiment(documentExperiment(document), {
    backend,
    store,
    options: { epochs: 1 },
    seed: 1,
    // A rate under control that nobody changes is the rate.
    ...(looks && { adjust: rate.adjust }),
    onTrainer: (trainer, plan) => Object.assign(seen, { trainer, plan }),
  });
  for await (const event of events) {
    if (event.type !== 'step') continue;
    losses.push(event.loss);
    if (!looks || event.step % 5 !== 0) continue;
    const { trainer, plan } = seen;
    if (!trainer || !plan?.validation) throw new Error('no trainer');
    await trainer.predict(zeros([event.step % 3 ? 1 : 4, 8, 8, 1], 'uint8'));
    await trainer.evaluate(plan.validation.take(1));
    await trainer.artifact();
  }
  await backend.dispose();
  return { store, losses };
}

test('predicting and evaluating between the events of a recorded run change none of its bits', {
  timeout: 120_000,
}, async () => {
  const [alone, watched] = [await run(false), await run(true)];
  expect(watched.losses).toEqual(alone.losses);
  for (const path of ['weights.safetensors', 'events.jsonl', 'model.json']) {
    expect(Buffer.from(await watched.store.read(path)).equals(await alone.store.read(path)), path).toBe(true);
  }
});
