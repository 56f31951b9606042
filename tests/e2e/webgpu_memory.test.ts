import { webgpu } from '@tenon-ml/backend-webgpu';
import { type Backend, createKey, read, release, scalar, scalars, tensorCount, upload } from '@tenon-ml/core';
import { conv2d, dense, flatten, maxPool2d, relu, sequential } from '@tenon-ml/layers';
import { softmaxCrossEntropy } from '@tenon-ml/losses';
import { adam } from '@tenon-ml/optimizers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Carry, compileTrainStep } from '../../packages/train/src/step.js';
import { soak } from '../bench/soak_workload.js';
import { randomLabels, type TrainingWorkload } from '../bench/workload.js';
import { hasGpu } from './gpu.js';

const tiny: TrainingWorkload = {
  kind: 'training',
  name: 'tiny',
  summary: 'a convolution and a dense layer',
  batches: [2],
  model: sequential([conv2d(4, 3), relu(), maxPool2d(2), flatten(), dense(3)]),
  input: { shape: [null, 6, 6, 1], dtype: 'float32' },
  parameters: 91,
  loss: softmaxCrossEntropy() as TrainingWorkload['loss'],
  data(key, batch) {
    const [pixels, labels] = key.split(2);
    return { input: pixels.uniform([batch, 6, 6, 1]), target: randomLabels(labels, [batch], 3) };
  },
};

describe.skipIf(!hasGpu)('memory on the GPU', { timeout: 300_000 }, () => {
  let backend: Backend & { memory: NonNullable<Backend['memory']> };
  beforeAll(async () => {
    backend = webgpu() as typeof backend;
    await backend.init();
  });
  afterAll(() => backend.dispose());

  test('is the same after a thousand replayed steps', async () => {
    const tensors = tensorCount();
    const { last, mode } = await soak(tiny, { batch: 2, case: 'step' }, backend, 1000);
    expect([last.step, mode]).toEqual([1000, 'replayed']);
    expect(tensorCount()).toBe(tensors);
  });

  test('is the same after eager steps', async () => {
    const eager = webgpu({ record: false });
    await eager.init();
    const { last, mode } = await soak(tiny, { batch: 2, case: 'step' }, eager, 60);
    expect([last.step, mode]).toEqual([60, 'eager']);
    await eager.dispose();
  });

  test('is that of the recordings that are kept, however many batch sizes take turns', async () => {
    const optimizer = adam({ learningRate: 1e-3 });
    const { model, loss } = tiny;
    const step = compileTrainStep({ model, loss, optimizer, metrics: [], backend });
    const key = createKey(1);
    const { params, state } = model.init(key, tiny.input);
    let carry: Carry = {
      ...upload({ params, state, optimizer: optimizer.init(params) }, backend),
      halted: upload(scalar(0), backend),
    };
    const control = { scalars: scalars({ ...optimizer.scalars(0) }), key: key.toNdArray() };
    /** Two steps of each size: the second one is recorded, and makes the recording used longest ago go. */
    const take = async (sizes: readonly number[]): Promise<number> => {
      for (const size of sizes) {
        for (let i = 0; i < 2; i++) {
          const result = step(carry, tiny.data(key, size), control);
          carry = result.carry;
          await read(result.seen);
        }
      }
      return backend.memory().inUse;
    };
    const small = Array.from({ length: 17 }, (_, i) => 1 + i);
    const large = small.map((size) => 10 * size);
    const tensors = tensorCount();
    const afterSmall = await take(small);
    const afterLarge = await take(large);
    expect(afterLarge).toBeGreaterThan(2 * afterSmall);
    const { reserved } = backend.memory();
    expect(await take(small)).toBe(afterSmall);
    expect(await take(large)).toBe(afterLarge);
    expect(backend.memory().reserved).toBeLessThanOrEqual(1.1 * reserved);
    expect(step.explain().recordings).toHaveLength(16);
    expect(tensorCount()).toBe(tensors);
    release(carry);
  });
});
