import { isTenonError, memoryStore, type NdArray, ndarray } from '@tenon-ml/core';
import { dense, sequential } from '@tenon-ml/layers';
import { meanSquaredError } from '@tenon-ml/losses';
import { accuracy, confusionMatrix } from '@tenon-ml/metrics';
import { expect, test } from 'vitest';
import { createTrainer, type RunOptions, type TrainerOptions } from '../src/index.js';
import { parts, points, shuffledBatches } from './support.js';

type Data = RunOptions['validation'] & object;
const input = { shape: [null, 4], dtype: 'float32' } as const;
const scalar = (dtype: 'int32' | 'float32', value: number): NdArray =>
  ndarray(dtype, [], dtype === 'int32' ? Int32Array.of(value) : Float32Array.of(value));

async function fit(
  data: Data,
  overrides: Partial<TrainerOptions> = {},
  options: Partial<RunOptions> = {},
): Promise<void> {
  const trainer = await createTrainer(parts(overrides));
  try {
    await trainer.fit(data, { epochs: 1, ...options });
  } finally {
    trainer.dispose();
  }
}

const batches = () => points(8).batch(4);
/** Eight points of which one is something else. */
const spoilt = (index: number, change: (example: { input: NdArray; target: NdArray }) => object) =>
  points(8)
    .map((example, context) => (context.index === index ? { ...example, ...change(example) } : example))
    .batch(4);

const calls: [string, () => Promise<unknown>, string, RegExp][] = [
  [
    'a label out of range',
    () => fit(spoilt(5, () => ({ target: scalar('int32', 7) }))),
    'LABEL_OUT_OF_RANGE',
    /^step 2 \(epoch 1\).*record 1.*7/,
  ],
  [
    'data that is not batched',
    () => fit(points(8), { input }),
    'SHAPE_MISMATCH',
    /^step 1 \(epoch 1\).*Batch the data/,
  ],
  [
    'more inputs than targets',
    () => fit(batches().map((b) => ({ ...b, target: ndarray('int32', [3], new Int32Array(3)) }))),
    'SHAPE_MISMATCH',
    /the same number of examples.*got \[4, 4\] and \[3\]/,
  ],
  [
    'a batch of another shape than the network takes',
    () => fit(batches(), { input: { shape: [null, 5], dtype: 'float32' } }),
    'SHAPE_MISMATCH',
    /^step 1 \(epoch 1\), input: expected .*\[batch, 5\].*got .*\[4, 4\]/,
  ],
  [
    'validation of another shape than the training data',
    () =>
      fit(
        batches(),
        {},
        {
          validation: points(8)
            .map((e) => ({ ...e, input: ndarray('float32', [3], new Float32Array(3)) }))
            .batch(4),
        },
      ),
    'SHAPE_MISMATCH',
    /^validation after epoch 1, batch 1, input: expected .*\[batch, 4\].*got .*\[4, 3\]/,
  ],
  ['no data', () => fit(points(8).take(0).batch(4)), 'DATA_INVALID', /at least one batch/],
  [
    'no data for a network that knows its input',
    () => fit(points(8).batch(9, { dropRemainder: true }), { input }),
    'DATA_INVALID',
    /^training data, epoch 1: expected at least one batch, got none\. .*dropRemainder/,
  ],
  [
    'validation data without a batch, whose loss of 0 would be the best there is',
    () => fit(batches(), {}, { validation: points(8).take(0).batch(4) }),
    'DATA_INVALID',
    /^validation after epoch 1: expected at least one batch/,
  ],
  [
    'an epoch without an end',
    () => fit(points(8).repeat().batch(4)),
    'INVALID_ARGUMENT',
    /^training data: expected data that ends.*take\(n\)/,
  ],
  [
    'a validation without an end',
    () => fit(batches(), {}, { validation: points(8).repeat().batch(4) }),
    'INVALID_ARGUMENT',
    /^validation: expected data that ends/,
  ],
  [
    'NaN among the inputs',
    () => fit(spoilt(6, () => ({ input: ndarray('float32', [4], Float32Array.of(1, 2, Number.NaN, 4)) }))),
    'NOT_FINITE',
    /^step 2 \(epoch 1\): the loss is NaN, and the first value that is not finite is the input\. .*Look for NaN/,
  ],
  [
    'an infinite target, for a loss that does not look',
    () => {
      const { spec } = meanSquaredError();
      const loss = Object.assign(
        (...args: Parameters<ReturnType<typeof meanSquaredError>>) => meanSquaredError()(...args),
        { spec },
      );
      const targets = points(8).map((e, { index }) => ({
        ...e,
        target: ndarray('float32', [1], Float32Array.of(index === 6 ? Number.POSITIVE_INFINITY : 1)),
      }));
      return fit(targets.batch(4), { loss, metrics: [], model: sequential([dense(1)]) });
    },
    'NOT_FINITE',
    /first value that is not finite is the target\. .*Look for NaN/,
  ],
  [
    'NaN among the weights',
    () =>
      fit(
        points(8)
          .map((e, { index }) => ({ ...e, weight: scalar('float32', index === 6 ? Number.NaN : 1) }))
          .batch(4),
      ),
    'NOT_FINITE',
    /first value that is not finite is the weight\. .*Look for NaN/,
  ],
  [
    'evaluate before training',
    async () => (await createTrainer(parts())).evaluate(batches()),
    'USAGE',
    /Train first/,
  ],
  ['half an epoch', () => fit(batches(), {}, { epochs: 0.5 }), 'INVALID_ARGUMENT', /^epochs: .*0\.5/],
  [
    'a negative minDelta',
    () => fit(batches(), {}, { earlyStopping: { patience: 1, minDelta: -1 } }),
    'INVALID_ARGUMENT',
    /minDelta/,
  ],
  [
    'no patience',
    () => fit(batches(), {}, { earlyStopping: { patience: 0 } }),
    'INVALID_ARGUMENT',
    /earlyStopping\.patience: expected an integer of at least 1, got 0/,
  ],
  [
    'keeping no checkpoint',
    () => fit(batches(), {}, { checkpoints: { store: memoryStore(), keep: 0 } }),
    'INVALID_ARGUMENT',
    /checkpoints\.keep/,
  ],
  ['resume from nowhere', () => fit(batches(), {}, { resume: true }), 'INVALID_ARGUMENT', /checkpoints/],
  [
    'a monitor that nothing gives',
    () => fit(batches(), {}, { monitor: 'train.acuracy' }),
    'UNKNOWN_NAME',
    /Did you mean 'train\.accuracy'\?/,
  ],
  [
    'a monitor that is not one number',
    () =>
      fit(
        batches(),
        { metrics: [{ ...confusionMatrix({ classes: 3 }), direction: 'maximize' }] },
        { monitor: 'train.confusionMatrix' },
      ),
    'INVALID_ARGUMENT',
    /expected a number as train\.confusionMatrix, got \[\[/,
  ],
  [
    'two metrics of one name',
    () => fit(batches(), { metrics: [accuracy(), accuracy()] }),
    'INVALID_ARGUMENT',
    /'accuracy' twice/,
  ],
  [
    'shapes that do not fit',
    () =>
      fit(
        points(8)
          .map((e) => ({ ...e, input: { ...e.input, shape: [2, 2, 1] } }))
          .batch(4),
        { model: sequential({ head: sequential([dense(3)]) }) },
      ),
    'SHAPE_MISMATCH',
    /head\.dense_1.*flatten\(\)/,
  ],
];

test.each(calls)('%s', async (_, call, code, message) => {
  const error = await call().then(
    () => undefined,
    (e: unknown) => e,
  );
  expect(isTenonError(error) ? error.code : error).toBe(code);
  expect((error as Error).message).toMatch(message);
});

test('two runs at once', async () => {
  const trainer = await createTrainer(parts());
  const first = trainer.run(shuffledBatches(), { epochs: 1 });
  await first.next();
  await expect(trainer.fit(shuffledBatches(), { epochs: 1 })).rejects.toThrow('training already');
  await first.return();
  trainer.dispose();
});
