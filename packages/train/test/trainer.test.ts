import {
  createRegistry,
  type Loss,
  type Metric,
  memoryStore,
  type NdArray,
  type Optimizer,
  openModel,
  readModel,
  tensorCount,
  toNested,
} from '@tenon-ml/core';
import { fitTransform, normalize, transforms } from '@tenon-ml/data';
import { dense, sequential } from '@tenon-ml/layers';
import { layers } from '@tenon-ml/layers/all';
import { meanSquaredError, sigmoidCrossEntropy, softmaxCrossEntropy } from '@tenon-ml/losses';
import { accuracy } from '@tenon-ml/metrics';
import { adam, sgd } from '@tenon-ml/optimizers';
import { describe, expect, test } from 'vitest';
import { createTrainer, evaluateModel, type TrainEvent, type TrainerOptions } from '../src/index.js';
import { backend, expectSameWeights, parts, points, shuffledBatches, weights } from './support.js';

async function events(options: TrainerOptions, epochs: number, extra = {}): Promise<TrainEvent[]> {
  const trainer = await createTrainer(options);
  const seen: TrainEvent[] = [];
  for await (const event of trainer.run(shuffledBatches(), { epochs, ...extra })) seen.push(event);
  trainer.dispose();
  return seen;
}

describe('training', () => {
  test('learns: the loss falls and the accuracy on new points rises', async () => {
    const trainer = await createTrainer(parts());
    const { history, reason, step } = await trainer.fit(points(400).batch(16), {
      epochs: 6,
      validation: points(200, 2).batch(64),
    });
    expect(reason).toBe('completed');
    expect(step).toBe(150);
    expect(history).toHaveLength(6);
    expect(history[5].train.loss).toBeLessThan(history[0].train.loss / 2);
    expect(history[5].validation?.accuracy).toBeGreaterThan(0.85);
    trainer.dispose();
  });

  test('the same seed gives the same bits, another seed others', async () => {
    const run = async (seed: number) => {
      const trainer = await createTrainer(parts({ seed }));
      await trainer.fit(shuffledBatches(), { epochs: 2 });
      const result = await weights(trainer);
      trainer.dispose();
      return result;
    };
    const first = await run(3);
    expectSameWeights(await run(3), first);
    expect([...(await run(4)).values()].map((array) => toNested(array))).not.toEqual(
      [...first.values()].map((array) => toNested(array)),
    );
  });

  test('tells what happens, in order', async () => {
    const seen = await events(parts(), 2, { validation: points(20, 2).batch(8) });
    expect(seen.map(({ type }) => type)).toEqual([
      'start',
      ...new Array(7).fill('step'),
      'epoch',
      ...new Array(7).fill('step'),
      'epoch',
      'end',
    ]);
    expect(seen[0]).toMatchObject({
      step: 0,
      epochs: 2,
      stepsPerEpoch: 7,
      parameters: 4 * 8 + 8 + 16 + 8 * 3 + 3,
      resumed: false,
    });
    const steps = seen.filter((event) => event.type === 'step');
    expect(steps.map(({ step }) => step)).toEqual(Array.from({ length: 14 }, (_, i) => i + 1));
    expect(steps.map(({ examples }) => examples).slice(0, 7)).toEqual([8, 8, 8, 8, 8, 8, 2]);
    expect(steps[0].scalars).toMatchObject({ learningRate: 0.02 });
  });

  test('the training figures weigh the short last batch by its examples', async () => {
    const seen = await events(parts(), 1);
    const steps = seen.filter((event) => event.type === 'step');
    const expected = steps.reduce((sum, { loss, examples }) => sum + loss * examples, 0) / 50;
    const epoch = seen.find((event) => event.type === 'epoch');
    expect(epoch?.train.loss).toBeCloseTo(expected, 5);
  });

  test('goes on where it stopped when fit is called again', async () => {
    const once = await createTrainer(parts());
    await once.fit(shuffledBatches(), { epochs: 4 });
    const twice = await createTrainer(parts());
    await twice.fit(shuffledBatches(), { epochs: 1 });
    await twice.fit(shuffledBatches(), { epochs: 4 });
    expectSameWeights(await weights(twice), await weights(once));
    expect(twice.history.map(({ epoch }) => epoch)).toEqual([0, 1, 2, 3]);
  });

  test('goes on after a consumer left the loop in the middle of an epoch', async () => {
    const whole = await createTrainer(parts());
    await whole.fit(shuffledBatches(), { epochs: 2 });
    const left = await createTrainer(parts());
    for await (const event of left.run(shuffledBatches(), { epochs: 2 }))
      if (event.type === 'step' && event.step === 3) break;
    await left.fit(shuffledBatches(), { epochs: 2 });
    expectSameWeights(await weights(left), await weights(whole));
    expect(left.history[0].train).toEqual(whole.history[0].train);
  });

  test('example weights of 0 leave examples out', async () => {
    const weighted = points(40).map((example, { index }) => ({
      ...example,
      weight: { dtype: 'float32', shape: [], data: Float32Array.of(index < 24 ? 1 : 0) } as NdArray,
    }));
    const options = parts({ model: sequential([dense(3)]), optimizer: sgd({ learningRate: 0.1 }) });
    const a = await createTrainer(options);
    await a.fit(weighted.batch(40), { epochs: 3 });
    const b = await createTrainer(options);
    await b.fit(points(40).take(24).batch(24), { epochs: 3 });
    const expected = await weights(b);
    for (const [path, array] of await weights(a)) {
      for (const [i, value] of Array.from(array.data as Float32Array).entries()) {
        expect(value).toBeCloseTo(Number(expected.get(path)?.data[i]), 5);
      }
    }
    expect(a.history[2].train.accuracy).toBeCloseTo(Number(b.history[2].train.accuracy), 12);
  });
});

describe('choosing an epoch', () => {
  test('early stopping ends after the patience, and restores the best weights', async () => {
    // A learning rate that destroys what it learns: no epoch after the first improves.
    const options = parts({ optimizer: sgd({ learningRate: 3 }) });
    const trainer = await createTrainer(options);
    const validation = points(60, 2).batch(20);
    const { reason, history, best } = await trainer.fit(shuffledBatches(), {
      epochs: 30,
      validation,
      restoreBest: true,
      earlyStopping: { patience: 2 },
      monitor: 'validation.loss',
    });
    expect(reason).toBe('early-stopping');
    const losses = history.map((record) => record.validation?.loss as number);
    const least = losses.indexOf(Math.min(...losses));
    expect(best).toEqual({ epoch: least, monitor: 'validation.loss', value: losses[least] });
    expect(history).toHaveLength(least + 3);
    expect((await trainer.evaluate(validation)).loss).toBe(losses[least]);
    trainer.dispose();
  });

  test('a metric says which way is better', async () => {
    const trainer = await createTrainer(parts());
    const { best, history } = await trainer.fit(shuffledBatches(), {
      epochs: 5,
      validation: points(60, 2).batch(20),
      monitor: 'validation.accuracy',
    });
    expect(best?.value).toBe(Math.max(...history.map((record) => Number(record.validation?.accuracy))));
    trainer.dispose();
  });

  test('an unknown figure is named, with those that there are', async () => {
    await expect(
      events(parts(), 1, { monitor: 'validation.acuracy', validation: points(8).batch(8) }),
    ).rejects.toThrow("There is no figure 'validation.acuracy'. Did you mean 'validation.accuracy'?");
  });
});

describe('evaluation and saving', () => {
  test('a saved model evaluates to the very same figures, and predicts from raw input', async () => {
    const data = points(60).map((example) => example);
    const preprocessing = [await fitTransform(normalize(), data)];
    const trainer = await createTrainer(parts({ preprocessing, classNames: ['x', 'y', 'z'] }));
    await trainer.fit(data.batch(16), { epochs: 3 });
    const test = points(30, 5).batch(7);
    const figures = await trainer.evaluate(test);
    const store = memoryStore();
    await trainer.save(store, { name: 'points', metrics: { test: figures } });
    const artifact = await readModel(store, createRegistry(layers, transforms));
    expect(
      await evaluateModel(artifact, test, {
        loss: softmaxCrossEntropy(),
        metrics: [accuracy()],
        backend,
      }),
    ).toEqual(figures);
    expect(artifact.card).toEqual({ name: 'points', metrics: { test: figures } });
    const model = await openModel(artifact, backend);
    const raw = points(3, 5).batch(3);
    for await (const { input } of raw) {
      expect(await model.predict(input)).toEqual(await trainer.predict(input));
      const classes = await model.classify(input);
      expect(classes.map(({ label }) => ['x', 'y', 'z'].includes(label))).toEqual([true, true, true]);
      for (const { probabilities } of classes)
        expect(probabilities.reduce((a, b) => a + b)).toBeCloseTo(1, 12);
    }
    model.dispose();
    trainer.dispose();
  });

  test('a loss says what turns its predictions into probabilities, whatever it is called', async () => {
    const input = { shape: [null, 4], dtype: 'float32' } as const;
    const own: Loss = Object.assign((...args: Parameters<Loss>) => softmaxCrossEntropy()(...args), {
      spec: { loss: 'mine' },
      outputActivation: 'softmax' as const,
    });
    for (const [loss, activation] of [
      [own, 'softmax'],
      [sigmoidCrossEntropy(), 'sigmoid'],
      [meanSquaredError(), null],
    ] as const) {
      const trainer = await createTrainer(parts({ loss, input }));
      expect((await trainer.artifact()).outputActivation).toBe(activation);
      trainer.dispose();
    }
  });

  test('evaluation does not depend on how the data is batched', async () => {
    const trainer = await createTrainer(parts());
    await trainer.fit(shuffledBatches(), { epochs: 1 });
    const whole = await trainer.evaluate(points(50, 4).batch(50));
    const uneven = await trainer.evaluate(points(50, 4).batch(7));
    expect(uneven.accuracy).toBe(whole.accuracy);
    expect(uneven.loss).toBeCloseTo(whole.loss, 6);
    trainer.dispose();
  });
});

describe('memory', () => {
  test('the tensor count after 500 steps is what it was after 5, and nothing is left at the end', async () => {
    const before = tensorCount();
    const trainer = await createTrainer(parts());
    const counts = new Map<number, number>();
    for await (const event of trainer.run(shuffledBatches(40, 8), {
      epochs: 100,
      validation: points(10, 2).batch(5),
      restoreBest: true,
    })) {
      if (event.type === 'step') counts.set(event.step, tensorCount());
    }
    expect(counts.size).toBe(500);
    expect(counts.get(500)).toBe(counts.get(5));
    trainer.dispose();
    expect(tensorCount()).toBe(before);
  });

  const failure = new Error('on purpose');
  const throwing = (after: number) => {
    let calls = 0;
    return () => {
      if (calls++ >= after) throw failure;
    };
  };
  const layerThatThrows = (fail: () => void) => {
    const inner = dense(3);
    return sequential([
      {
        ...inner,
        apply: (...args: Parameters<typeof inner.apply>) => {
          const applied = inner.apply(...args);
          fail();
          return applied;
        },
      },
    ]);
  };
  const lossThatThrows = (fail: () => void): Loss => {
    const inner = softmaxCrossEntropy();
    return Object.assign(
      (...args: Parameters<Loss>) => {
        const values = inner(...args);
        fail();
        return values;
      },
      { spec: inner.spec },
    );
  };
  const metricThatThrows = (fail: () => void): Metric => {
    const inner = accuracy();
    return {
      ...inner,
      observe: (...args) => {
        const observed = inner.observe(...args);
        fail();
        return observed;
      },
    };
  };
  const optimizerThatThrows = (fail: () => void): Optimizer => {
    const inner = adam({ learningRate: 0.1 });
    return {
      ...inner,
      update: (...args) => {
        const updated = inner.update(...args);
        fail();
        return updated;
      },
    };
  };

  test.each<[string, (fail: () => void) => Partial<TrainerOptions>]>([
    ['layer', (fail) => ({ model: layerThatThrows(fail) })],
    ['loss', (fail) => ({ loss: lossThatThrows(fail) })],
    ['metric', (fail) => ({ metrics: [metricThatThrows(fail)] })],
    ['optimizer', (fail) => ({ optimizer: optimizerThatThrows(fail) })],
  ])('a %s that throws leaves the tensor count where it was, and the trainer usable', async (_, override) => {
    let armed = false;
    const fail = throwing(0);
    const trainer = await createTrainer(parts(override(() => (armed ? fail() : undefined))));
    await trainer.fit(shuffledBatches(), { epochs: 1 });
    const before = tensorCount();
    const bits = await weights(trainer);
    armed = true;
    await expect(trainer.fit(shuffledBatches(), { epochs: 2 })).rejects.toThrow(failure);
    expect(tensorCount()).toBe(before);
    expectSameWeights(await weights(trainer), bits);
    armed = false;
    await trainer.fit(shuffledBatches(), { epochs: 2 });
    trainer.dispose();
  });
});
