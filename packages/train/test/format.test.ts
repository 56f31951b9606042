import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { loadModel, memoryStore, type NdArray, ndarray, readJson } from '@tenon-ml/core';
import { folderStore } from '@tenon-ml/core/node';
import { expect, test } from 'vitest';
import { createTrainer } from '../src/index.js';
import { backend, parts, registry, shuffledBatches, weights } from './support.js';

const fixtures = join(import.meta.dirname, 'fixtures');
const formats = (await readdir(fixtures)).filter((name) => name.startsWith('format-'));

test.each(formats)('%s: the model loads and predicts as it did', async (name) => {
  const store = folderStore(join(fixtures, name));
  const { input, output } = (await readJson(store, 'expected.json')) as { input: number[]; output: number[] };
  const model = await loadModel(store, { registry, backend });
  const got = (await model.predict(ndarray('float32', [5, 4], Float32Array.from(input)))) as NdArray;
  expect(got.shape).toEqual([5, 3]);
  for (const [i, value] of output.entries()) expect(Number(got.data[i])).toBeCloseTo(value, 5);
  expect(model.artifact.classNames).toEqual(['x', 'y', 'z']);
  model.dispose();
});

test.each(formats)('%s: its checkpoint is one of float32 and of a loss that is not scaled', async (name) => {
  const fixture = folderStore(join(fixtures, name));
  const store = memoryStore();
  for (const path of await fixture.list('checkpoints/')) await store.write(path, await fixture.read(path));
  const trainer = await createTrainer(parts({ lossScaling: 'dynamic' }));
  await expect(
    trainer.fit(shuffledBatches(), { epochs: 3, checkpoints: { store }, resume: true }),
  ).rejects.toThrow(/expected the lossScaling that the run began with, "none", got \{"initial":65536,/);
  trainer.dispose();
});

test.each(formats)('%s: its checkpoint resumes to the weights of a run that never stopped', async (name) => {
  const fixture = folderStore(join(fixtures, name));
  const store = memoryStore();
  for (const path of await fixture.list('checkpoints/')) await store.write(path, await fixture.read(path));
  const resumed = await createTrainer(parts());
  const steps: number[] = [];
  await resumed.fit(shuffledBatches(), {
    epochs: 3,
    checkpoints: { store },
    resume: true,
    onEvent: (event) => void (event.type === 'step' && steps.push(event.step)),
  });
  expect(steps[0]).toBeGreaterThan(1);
  const whole = await createTrainer(parts());
  await whole.fit(shuffledBatches(), { epochs: 3 });
  // The fixture comes from another build, and perhaps another V8, which round otherwise: close, not equal. Before batch
  // normalization a bias has no gradient but what rounding leaves, which Adam scales up to whole steps: it walks at
  // random, and the running mean follows it.
  const walking = new Set(['dense_1.bias', 'batchNorm_1.mean']);
  const expected = await weights(whole);
  for (const [path, array] of await weights(resumed)) {
    if (walking.has(path)) continue;
    for (const [i, value] of Array.from(array.data as Float32Array).entries()) {
      expect(value).toBeCloseTo(Number(expected.get(path)?.data[i]), 4);
    }
  }
});
