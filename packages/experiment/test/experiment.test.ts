import { createKey, memoryStore, type NdArray, ndarray, writeSafetensors } from '@tenon-ml/core';
import { cpu } from '@tenon-ml/testkit';
import { type AnyPlan, type RunEvent, runExperiment } from '@tenon-ml/train';
import { describe, expect, test } from 'vitest';
import {
  checkpointInterval,
  documentExperiment,
  documentOrigin,
  type ExperimentDocument,
  fitNetwork,
  loadDocumentData,
  originDocument,
  splitDocumentData,
} from '../src/index.js';
import { preset } from './support.js';

const bytes = (text: string) => new TextEncoder().encode(text);
const key = createKey(1).foldIn('setup');

/** A table of three columns; the class is the sign of the first, the number twice it. */
function table(count: number): string {
  const values = createKey(3).normal([count, 2]).data;
  const lines = Array.from({ length: count }, (_, i) => {
    const [a, b] = values.subarray(2 * i, 2 * i + 2);
    return `${a},${b},${a > 0 ? 'up' : 'down'},${2 * a}`;
  });
  return `a,b,side,double\n${lines.join('\n')}\n`;
}

function pictures(count: number): Uint8Array {
  const input = ndarray(
    'uint8',
    [count, 6, 6, 1],
    new Uint8Array(count * 36).map((_, i) => (i * 37) % 256),
  );
  const target = ndarray(
    'int32',
    [count],
    new Int32Array(count).map((_, i) => i % 3),
  );
  return writeSafetensors({ input, target });
}

const text = 'First Citizen:\nBefore we proceed any further, hear me speak.\n\n'.repeat(20);
const files = memoryStore([
  ['table.csv', bytes(table(60))],
  ['pictures.safetensors', pictures(30)],
  ['input.txt', bytes(text)],
]);

async function setUp(document: ExperimentDocument): Promise<AnyPlan> {
  const experiment = documentExperiment(document, files);
  return experiment.setup(experiment.options, { seed: 1, key });
}

const csv = (change: object = {}): ExperimentDocument => {
  const data = {
    source: 'csv',
    file: 'table.csv',
    target: 'side',
    task: 'classification',
    features: ['a', 'b'],
  };
  return fitNetwork({ ...preset('table-mlp'), data: { ...data, ...change } as never }, { classes: 2 });
};

async function all(
  batches: AsyncIterable<unknown> | undefined,
  field: 'input' | 'target',
): Promise<number[]> {
  const found: number[] = [];
  for await (const batch of batches ?? []) {
    found.push(...((batch as { [name: string]: NdArray })[field].data as Float32Array));
  }
  return found;
}

describe('loadDocumentData', () => {
  test('tells what each source is', async () => {
    const digits = await loadDocumentData({ source: 'digits' });
    expect(digits).toMatchObject({ kind: 'images', outputs: 10, range: [0, 16] });
    expect(digits.examples.length).toBe(1797);
    const table = await loadDocumentData(csv().data, files);
    expect(table).toMatchObject({
      kind: 'table',
      task: 'classification',
      classNames: ['down', 'up'],
      featureNames: ['a', 'b'],
      input: { dtype: 'float32', shape: [null, 2] },
      outputs: 2,
    });
    const numbers = await loadDocumentData(csv({ task: 'regression', target: 'double' }).data, files);
    expect(numbers).toMatchObject({ task: 'regression', classNames: [], outputs: 1 });
    const own = await loadDocumentData(
      { source: 'arrays', file: 'pictures.safetensors', classNames: ['x', 'y', 'z'] },
      files,
    );
    expect(own).toMatchObject({
      kind: 'images',
      outputs: 3,
      range: [0, 255],
      input: { shape: [null, 6, 6, 1] },
    });
    const plays = await loadDocumentData(
      { source: 'text', file: 'input.txt', context: 16, stepsPerEpoch: 2 },
      files,
    );
    expect(plays).toMatchObject({ kind: 'text', outputs: new Set(text).size, input: { dtype: 'int32' } });
    expect(plays.vocabulary?.encode('speak').shape).toEqual([5]);
  });

  const image = new Uint8Array(3 * 3073);
  for (let i = 0; i < 3; i++) image.fill(i + 1, i * 3073, (i + 1) * 3073);

  test("reads CIFAR-10's files, as many as there are and as the limit asks for, wherever they lie", async () => {
    const batches = memoryStore([
      ['batches/data_batch_2.bin', image],
      ['batches/data_batch_1.bin', image.slice(0, 3073)],
      ['batches/test_batch.bin', image],
    ]);
    const whole = await loadDocumentData({ source: 'cifar10' }, batches);
    expect([whole.examples.length, whole.test?.length]).toEqual([4, 3]);
    expect(await all(whole.examples, 'target')).toEqual([1, 1, 2, 3]);
    const some = await loadDocumentData({ source: 'cifar10', limit: 3 }, batches);
    expect([some.examples.length, some.test?.length]).toEqual([3, 1]);
    await batches.remove('batches/test_batch.bin');
    await batches.write('batches/data_batch_2.bin', image.slice(0, 3000));
    // The first file has what the limit asks for: the damaged one isn't read.
    const one = await loadDocumentData({ source: 'cifar10', limit: 1 }, batches);
    expect([one.examples.length, one.test]).toEqual([1, undefined]);
    await expect(loadDocumentData({ source: 'cifar10' }, batches)).rejects.toThrow('data_batch_2.bin');
  });

  test.each<[string, ExperimentDocument['data'], string, string]>([
    ['without files', { source: 'cifar10' }, 'NOT_FOUND', 'data_batch_1.bin'],
    [
      'without the file',
      { source: 'text', file: 'x.txt', context: 4, stepsPerEpoch: 1 },
      'NOT_FOUND',
      'x.txt',
    ],
    ['with a column that is not there', csv({ target: 'sid' }).data, 'UNKNOWN_NAME', "'side'"],
    [
      'with a label beyond the names',
      { source: 'arrays', file: 'pictures.safetensors', classNames: ['x', 'y'] },
      'LABEL_OUT_OF_RANGE',
      'target 2: expected a label from 0 to 1',
    ],
    [
      'with another file than said',
      { source: 'arrays', file: 'input.txt', classNames: ['x', 'y'] },
      'SAFETENSORS_INVALID',
      'input.txt',
    ],
    [
      'with too short a text',
      { source: 'text', file: 'table.csv', context: 9999, stepsPerEpoch: 1 },
      'DATA_INVALID',
      'table.csv',
    ],
  ])('%s, it says so', async (_, data, code, message) => {
    await expect(loadDocumentData(data, files)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    });
  });

  test('needs no files for the digits alone', async () => {
    await expect(loadDocumentData({ source: 'cifar10' })).rejects.toMatchObject({ code: 'USAGE' });
  });
});

describe('splitDocumentData', () => {
  test('keeps the parts apart, of every class its share, and leaves out what is empty', async () => {
    const document = csv();
    const data = await loadDocumentData(document.data, files);
    const { train, validation, test } = await splitDocumentData(document, data, key);
    const parts = [await all(train, 'input'), await all(validation, 'input'), await all(test, 'input')];
    expect(parts.map(({ length }) => length)).toEqual([84, 18, 18]);
    expect(parts.flat().sort()).toEqual((await all(data.examples, 'input')).sort());
    const whole = { ...document, split: { train: 1, validation: 0, test: 0 } };
    expect(Object.keys(await splitDocumentData(whole, data, key))).toEqual(['train']);
    const plan = await setUp(whole);
    expect([plan.monitor, plan.validation, plan.test]).toEqual(['train.loss', undefined, undefined]);
  });

  test('shares out the rest where the source has a test part', async () => {
    const data = await loadDocumentData({ source: 'digits' });
    const own = { ...data, test: data.examples.take(7) };
    const parts = await splitDocumentData(preset('digits-cnn'), own, key);
    expect(parts.test?.length).toBe(7);
    expect(Number(parts.train.length) + Number(parts.validation?.length)).toBe(1797);
    expect(parts.train.length).toBe(Math.round((1797 * 0.7) / 0.85));
  });
});

describe('documentExperiment', () => {
  test('fits preprocessing to the training part alone', async () => {
    const document = csv();
    const plan = await setUp(document);
    const data = await loadDocumentData(document.data, files);
    const { train } = await splitDocumentData(document, data, key);
    const values = await all(train, 'input');
    const mean = [0, 1].map((f) => values.filter((_, i) => i % 2 === f).reduce((a, b) => a + b, 0) / 42);
    const [{ spec }] = plan.preprocessing ?? [];
    expect(spec.mean).toEqual([expect.closeTo(mean[0], 6), expect.closeTo(mean[1], 6)]);
  });

  test('changes the images that it trains on, and no others', async () => {
    const data = { source: 'arrays', file: 'pictures.safetensors', classNames: ['x', 'y', 'z'] } as const;
    const document = fitNetwork({ ...preset('pictures-cnn'), data }, { classes: 3 });
    const read = async (augmentation: ExperimentDocument['augmentation'], epoch: number) => {
      const { train, validation } = await setUp({ ...document, augmentation });
      return [
        await all(train.iterator({ epoch }), 'input'),
        await all(validation?.iterator({ epoch }), 'input'),
      ];
    };
    const plain = await read({ flip: false, shift: 0 }, 0);
    for (const augmentation of [
      { flip: true, shift: 0 },
      { flip: false, shift: 1 },
    ]) {
      const changed = await read(augmentation, 0);
      expect(changed[0]).not.toEqual(plain[0]);
      expect(changed[1]).toEqual(plain[1]);
      expect(await read(augmentation, 0)).toEqual(changed);
    }
  });

  test.each<[string, Partial<ExperimentDocument['training']>, object]>([
    ['adam', { optimizer: 'adam', schedule: 'constant' }, { transform: 'adam', learningRate: 0.005 }],
    [
      'sgd',
      { optimizer: 'sgd', weightDecay: 0.1 },
      { transform: 'sgd', momentum: 0.9, weightDecay: 0.1, learningRate: { warmup: 5, end: 0, steps: 100 } },
    ],
    [
      'adamw',
      { optimizer: 'adamw', clipNorm: 2 },
      { transform: 'chain', parts: [{ maxNorm: 2 }, { transform: 'adamw', mask: 'mask', beta2: 0.999 }] },
    ],
  ])('makes the optimizer %s', async (_, training, spec) => {
    const document = csv();
    const plan = await setUp({ ...document, training: { ...document.training, ...training } });
    expect(plan.optimizer.transform.spec).toMatchObject(spec);
  });

  test('leaves out a last batch of one, which batch normalization refuses', async () => {
    const document = { ...csv(), training: { ...csv().training, batchSize: 41 } };
    expect((await setUp(document)).train.length).toBe(2);
    const normalized = {
      layer: 'sequential',
      version: 1,
      children: { norm: { layer: 'batchNorm', version: 1 }, ends: document.network },
    };
    expect((await setUp({ ...document, network: normalized })).train.length).toBe(1);
  });

  const runs: [string, ExperimentDocument, string[]][] = [
    ['a classification', fitNetwork(csv(), { classes: 2 }), ['accuracy', 'confusionMatrix']],
    [
      'a regression',
      fitNetwork(csv({ task: 'regression', target: 'double' }), { outputs: 1 }),
      ['absoluteError'],
    ],
    [
      'a text',
      fitNetwork(
        { ...preset('text-gpt'), data: { source: 'text', file: 'input.txt', context: 16, stepsPerEpoch: 3 } },
        { vocabulary: new Set(text).size },
      ),
      ['accuracy'],
    ],
  ];
  test.each(runs)('trains %s, and says how it did', async (_, document, metrics) => {
    const training = { ...document.training, epochs: 2, batchSize: 4 };
    const events: RunEvent[] = [];
    const experiment = documentExperiment({ ...document, training }, files);
    for await (const event of runExperiment(experiment, { backend: cpu(), store: memoryStore(), seed: 1 })) {
      events.push(event);
    }
    const report = events.at(-1);
    if (report?.type !== 'report') throw new Error('no report');
    expect(Object.keys(report.report.test ?? {})).toEqual(['loss', ...metrics]);
    const [first, last] = [0, 1].map((epoch) => report.report.history[epoch].train.loss);
    expect(last).toBeLessThan(first);
  });

  test('refuses a network that gives other than the data asks for, before it is trained', async () => {
    await expect(setUp({ ...csv(), network: preset('table-mlp').network })).rejects.toThrow(
      'network: expected an output [batch, 2], for the 2 classes of the data, got [batch, 3]. Let it end with dense(2)',
    );
    const images = { ...csv(), network: preset('digits-cnn').network };
    await expect(setUp(images)).rejects.toMatchObject({ code: 'SHAPE_MISMATCH', where: 'conv2d_1' });
  });

  test('is found again by what a run keeps of it', () => {
    const document = preset('digits-cnn');
    const origin = JSON.parse(JSON.stringify(documentOrigin(document)));
    expect(originDocument(origin)).toEqual(document);
    expect(originDocument({ recipe: 'digits-cnn' })).toBe(undefined);
    expect(originDocument(null)).toBe(undefined);
    expect(() => originDocument({ document: 1 }, 'run')).toThrow('run.document: expected an object, got 1.');
  });

  test('writes checkpoints every 50 steps, of long epochs ten', () => {
    expect([1, 40, 500, 5000].map(checkpointInterval)).toEqual([50, 50, 50, 500]);
  });
});
