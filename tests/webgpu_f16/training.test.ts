import { wasm } from '@tenon-ml/backend-wasm';
import { webgpu } from '@tenon-ml/backend-webgpu';
import { type Backend, createKey, type Precision } from '@tenon-ml/core';
import { fitTransform, normalize } from '@tenon-ml/data';
import { digits } from '@tenon-ml/data/digits';
import { batchNorm, dense, flatten, relu, sequential } from '@tenon-ml/layers';
import { softmaxCrossEntropy } from '@tenon-ml/losses';
import { accuracy } from '@tenon-ml/metrics';
import { adam } from '@tenon-ml/optimizers';
import { createTrainer, type LossScaling, type TrainEvent } from '@tenon-ml/train';
import { expect, test } from 'vitest';

/** Trains a perceptron on the digits for two epochs. */
async function train(backend: Backend, precision: Precision, lossScaling?: LossScaling) {
  const { train: examples, test: unseen } = await digits().split(
    { train: 0.8, test: 0.2 },
    { key: createKey(2) },
  );
  const trainer = await createTrainer({
    model: sequential([flatten(), dense(48), batchNorm(), relu(), dense(10)]),
    loss: softmaxCrossEntropy(),
    optimizer: adam({ learningRate: 3e-3 }),
    metrics: [accuracy()],
    preprocessing: [await fitTransform(normalize(), examples)],
    backend,
    precision,
    ...(lossScaling === undefined ? {} : { lossScaling }),
  });
  const steps: Extract<TrainEvent, { type: 'step' }>[] = [];
  await trainer.fit(examples.shuffle({ key: createKey(3) }).batch(32), {
    epochs: 2,
    onEvent: (event) => void (event.type === 'step' && steps.push(event)),
  });
  const figures = await trainer.evaluate(unseen.batch(100), { precision: 'float32' });
  trainer.dispose();
  await backend.dispose();
  return { steps, figures };
}

test('a network trains in mixed precision as it does in float32, and nearly as exactly', async () => {
  const mixed = await train(webgpu(), 'mixed-float16');
  const wide = await train(wasm(), 'float32');
  expect(mixed.steps).toHaveLength(wide.steps.length);
  const off = mixed.steps.map(({ loss }, i) => Math.abs(loss - wide.steps[i].loss));
  expect(Math.max(...off.slice(0, 20))).toBeLessThan(0.02);
  // Not on wasm's path: float16 has been there.
  expect(Math.max(...off)).toBeGreaterThan(1e-4);
  expect(mixed.steps.some(({ skipped }) => skipped)).toBe(false);
  expect(wide.figures.accuracy).toBeGreaterThan(0.93);
  expect(Math.abs(Number(mixed.figures.accuracy) - Number(wide.figures.accuracy))).toBeLessThan(0.015);
});

test('gradients beyond float16 skip steps until the scale has come down, and the network learns', async () => {
  const { steps, figures } = await train(webgpu(), 'mixed-float16', { initial: 2 ** 30 });
  const first = steps.findIndex(({ skipped }) => !skipped);
  expect(first).toBeGreaterThan(3);
  expect(steps.slice(0, first).every(({ skipped }) => skipped)).toBe(true);
  expect(steps[first].lossScale).toBe(2 ** (30 - first));
  // A scale at the very edge may be too much again, now and then.
  expect(steps.slice(first).filter(({ skipped }) => skipped).length).toBeLessThan(6);
  expect(figures.accuracy).toBeGreaterThan(0.9);
});
