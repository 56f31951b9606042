import {
  createKey,
  type Key,
  type Layer,
  type Leaf,
  type NdArray,
  type None,
  ndarray,
  rows,
  tensorCount,
} from '@tenon-ml/core';
import { fromArrays } from '@tenon-ml/data';
import { dense, sequential } from '@tenon-ml/layers';
import { meanSquaredError, softmaxCrossEntropy } from '@tenon-ml/losses';
import { accuracy } from '@tenon-ml/metrics';
import { sgd } from '@tenon-ml/optimizers';
import { concat, type Tensor } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTrainer, evaluateModel, type Trainer } from '../src/index.js';
import { backend, parts, points, shuffledBatches } from './support.js';

const count = 40;
const weightOf = (index: number): number => [0, 0.5, 1, 3][index % 4];
const weighted = points(count, 4).map((example, { index }) => ({
  ...example,
  weight: ndarray('float32', [], Float32Array.of(weightOf(index))),
}));

let trainer: Trainer;
beforeAll(async () => {
  trainer = await createTrainer(parts());
  await trainer.fit(shuffledBatches(), { epochs: 1 });
});
afterAll(() => trainer.dispose());

describe('the figures', () => {
  test('are weighted means over examples, however these are batched', async () => {
    // In float64, from the outputs.
    const examples = await points(count, 4).batch(count).toArray();
    const logits = (await trainer.predict(examples[0].input)) as NdArray;
    let loss = 0;
    let correct = 0;
    let total = 0;
    for (let i = 0; i < count; i++) {
      const row = Array.from(rows(logits, i, i + 1).data as Float32Array);
      const label = Number(examples[0].target.data[i]);
      const normalizer = Math.log(row.reduce((sum, value) => sum + Math.exp(value), 0));
      loss += weightOf(i) * (normalizer - row[label]);
      correct += row.indexOf(Math.max(...row)) === label ? weightOf(i) : 0;
      total += weightOf(i);
    }
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: count + 3 }), async (size) => {
        const figures = await trainer.evaluate(weighted.batch(size));
        expect(figures.accuracy).toBeCloseTo(correct / total, 12);
        expect(figures.loss).toBeCloseTo(loss / total, 5);
      }),
      { numRuns: 10 },
    );
  });

  test('without weights count every example once, and batches may or may not have some', async () => {
    const ones = points(count, 4).map((example) => ({
      ...example,
      weight: ndarray('float32', [], Float32Array.of(1)),
    }));
    const plain = await trainer.evaluate(points(count, 4).batch(7));
    expect(await trainer.evaluate(ones.batch(7))).toEqual(plain);
    async function* mixed() {
      let index = 0;
      for await (const { weight, ...batch } of ones.batch(7))
        yield index++ % 2 === 0 ? { ...batch, weight } : batch;
    }
    expect(await trainer.evaluate(mixed())).toEqual(plain);
  });

  test('of examples that all weigh nothing: a loss of 0, and no accuracy', async () => {
    const nothing = weighted.take(1).batch(1);
    expect(await trainer.evaluate(nothing)).toEqual({ loss: 0, accuracy: null });
  });

  test('of no examples: none', async () => {
    await expect(trainer.evaluate(points(8).take(0).batch(4))).rejects.toThrow(
      'evaluation: expected at least one batch, got none.',
    );
  });

  test('of a part are not given out: an abort throws its reason', async () => {
    const controller = new AbortController();
    let batches = 0;
    const data = weighted.batch(4).map((batch) => {
      if (++batches === 3) controller.abort(new Error('enough'));
      return batch;
    });
    await expect(trainer.evaluate(data, { signal: controller.signal })).rejects.toThrow('enough');
    expect(batches).toBeLessThan(10);
    await expect(trainer.evaluate(data, { signal: AbortSignal.abort() })).rejects.toThrow(/abort/i);
  });
});

describe('evaluateModel', () => {
  const options = { loss: softmaxCrossEntropy(), metrics: [accuracy()], backend };

  test('gives the figures of the trainer that the model comes from', async () => {
    const artifact = await trainer.artifact();
    const data = weighted.batch(6);
    expect(await evaluateModel(artifact, data, options)).toEqual(await trainer.evaluate(data));
  });

  test('frees the weights, also where the data, the loss or the signal ends it', async () => {
    const artifact = await trainer.artifact();
    const before = tensorCount();
    const data = weighted.batch(6);
    await evaluateModel(artifact, data, options);
    expect(tensorCount()).toBe(before);
    const broken = data.map(() => {
      throw new Error('on purpose');
    });
    await expect(evaluateModel(artifact, broken, options)).rejects.toThrow('on purpose');
    await expect(evaluateModel(artifact, data, { ...options, loss: meanSquaredError() })).rejects.toThrow(
      /meanSquaredError/,
    );
    await expect(evaluateModel(artifact, data, { ...options, signal: AbortSignal.abort() })).rejects.toThrow(
      /abort/i,
    );
    expect(tensorCount()).toBe(before);
  });
});

describe('several inputs', () => {
  type Pair = { readonly left: Tensor; readonly right: Tensor };
  const head = dense(3);
  /** Two inputs side by side, then a dense layer. */
  const joined: Layer<{ readonly kernel: Leaf; readonly bias: Leaf }, None, Pair, Tensor> = {
    spec: { layer: 'joined', version: 1 },
    init(key: Key, { left, right }) {
      const features = Number(left.shape[1]) + Number(right.shape[1]);
      return head.init(key, { dtype: 'float32', shape: [null, features] });
    },
    apply: (params, state, { left, right }, context) =>
      head.apply(params, state, concat([left, right], 1), context),
  };

  test('train, evaluate and predict as one', async () => {
    const [{ input, target }] = await points(60).batch(60).toArray();
    const half = (from: number): NdArray => {
      const data = new Float32Array(2 * 60);
      for (let i = 0; i < data.length; i++) data[i] = input.data[4 * (i >> 1) + from + (i % 2)];
      return ndarray('float32', [60, 2], data);
    };
    const pairs = fromArrays({ input: { left: half(0), right: half(2) }, target });
    const options = { loss: softmaxCrossEntropy(), optimizer: sgd({ learningRate: 0.1 }), backend, seed: 3 };
    const two = await createTrainer({ ...options, model: joined });
    const one = await createTrainer({ ...options, model: head });
    const fit = { epochs: 2, validation: pairs.batch(7) };
    await two.fit(pairs.shuffle({ key: createKey(1) }).batch(8), fit);
    await one.fit(
      points(60)
        .shuffle({ key: createKey(1) })
        .batch(8),
      {
        ...fit,
        validation: points(60).batch(7),
      },
    );
    expect(two.history).toEqual(one.history);
    expect(await two.predict({ left: half(0), right: half(2) })).toEqual(await one.predict(input));
    await expect(two.evaluate(points(60).batch(8))).rejects.toThrow(/left: .*right: /);
    two.dispose();
    one.dispose();
  });
});

test('images of small integers need no preprocessing: they are widened, without loss', async () => {
  const images = fromArrays({
    input: ndarray(
      'uint8',
      [8, 4],
      Uint8Array.from({ length: 32 }, (_, i) => 8 * i),
    ),
    target: ndarray('int32', [8], new Int32Array(8)),
  });
  const widened = images.map(({ input, target }) => ({
    target,
    input: ndarray('float32', input.shape, Float32Array.from(input.data)),
  }));
  const train = async (data: Parameters<Trainer['fit']>[0]) => {
    const model = sequential([dense(3)]);
    const fresh = await createTrainer(parts({ model, optimizer: sgd({ learningRate: 1e-4 }) }));
    const { history } = await fresh.fit(data, { epochs: 2 });
    fresh.dispose();
    return history;
  };
  expect(await train(images.batch(4))).toEqual(await train(widened.batch(4)));
});
