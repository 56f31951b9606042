import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { wasm } from '@tenon-ml/backend-wasm';
import { createKey, memoryStore, ndarray, writeSafetensors } from '@tenon-ml/core';
import { folderStore } from '@tenon-ml/core/node';
import {
  documentCode,
  documentExperiment,
  type ExperimentDocument,
  fitNetwork,
  type PresetId,
  presets,
} from '@tenon-ml/experiment';
import { batchNorm, dense, sequential } from '@tenon-ml/layers';
import { type RunReport, runExperiment } from '@tenon-ml/train';
import ts from 'typescript';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';

const root = join(import.meta.dirname, '../..');
// Inside the workspace, so that the code finds the packages as a user's file would.
const generated = join(import.meta.dirname, '.generated');

const preset = (id: PresetId) => presets.find((one) => one.id === id)?.document as ExperimentDocument;
const short = (document: ExperimentDocument, training: object = {}): ExperimentDocument => ({
  ...document,
  seed: 7,
  training: { ...document.training, epochs: 2, ...training },
});
const csv = (change: object, parts: Partial<ExperimentDocument>, ends: object) =>
  fitNetwork(
    {
      ...short(preset('table-mlp'), { batchSize: 6 }),
      data: { source: 'csv', file: 'table.csv', target: 'side', task: 'classification', ...change } as never,
      ...parts,
    },
    ends,
  );

const text = 'To be, or not to be, that is the question:\nWhether it is nobler\n'.repeat(30);

/** What is run, and held to the run of the same document. */
const run: { readonly [name: string]: ExperimentDocument } = {
  'digits-mlp': short(preset('digits-mlp')),
  'digits-cnn': short(preset('digits-cnn')),
  'digits, without parts to look at, another scale and optimizer': {
    ...short(preset('digits-mlp'), { optimizer: 'sgd', weightDecay: 0.01, clipNorm: 1, learningRate: 0.1 }),
    split: { train: 1, validation: 0, test: 0 },
    preprocessing: 'rescale',
  },
  'a table': csv({ features: ['a', 'b'] }, {}, { classes: 2 }),
  'a table, with a batch of one': csv(
    { features: ['a', 'b'] },
    {
      network: sequential([dense(4), batchNorm(), dense(2)]).spec,
      split: { train: 0.5, validation: 0.25, test: 0.25 },
    },
    { classes: 2 },
  ),
  'a regression': csv(
    { target: 'a', task: 'regression', features: ['b'] },
    { preprocessing: 'rescale' },
    { outputs: 1 },
  ),
  pictures: fitNetwork(
    {
      ...short(preset('pictures-cnn')),
      data: { source: 'arrays', file: 'pictures.safetensors', classNames: ["it's", 'b', 'c'] },
      augmentation: { flip: true, shift: 1 },
    },
    { classes: 3 },
  ),
  text: fitNetwork(
    {
      ...short(preset('text-gpt'), { batchSize: 4 }),
      data: { source: 'text', file: 'input.txt', context: 16, stepsPerEpoch: 3 },
    },
    { vocabulary: new Set(text).size },
  ),
};
const typed = {
  ...run,
  ...Object.fromEntries(presets.map(({ id, document }) => [`preset ${id}`, document])),
};
const fileOf = (name: string) => join(generated, `${name.replace(/\W+/g, '_')}.ts`);

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tenon-code-'));
  const values = createKey(3).normal([61, 2]).data;
  const rows = Array.from(
    { length: 50 },
    (_, i) => `${values[2 * i]},${values[2 * i + 1]},${values[2 * i] > 0}`,
  );
  await writeFile(join(folder, 'table.csv'), `a,b,side\n${rows.join('\n')}\n`);
  await writeFile(join(folder, 'input.txt'), text);
  const input = ndarray(
    'uint8',
    [30, 6, 6, 1],
    new Uint8Array(30 * 36).map((_, i) => (i * 37) % 256),
  );
  const target = ndarray(
    'int32',
    [30],
    new Int32Array(30).map((_, i) => i % 3),
  );
  await writeFile(join(folder, 'pictures.safetensors'), writeSafetensors({ input, target }));
  await mkdir(generated, { recursive: true });
  for (const [name, document] of Object.entries(typed)) {
    const code = documentCode(document).replace(
      /readFile\('([^']+)'/,
      (_, file) => `readFile('${join(folder, file)}'`,
    );
    await writeFile(fileOf(name), code);
  }
});
afterAll(async () => {
  await rm(generated, { recursive: true, force: true });
  await rm(folder, { recursive: true, force: true });
});
afterEach(() => {
  vi.restoreAllMocks();
});

describe("a document's code", { timeout: 120_000 }, () => {
  test('type-checks, of every preset and kind of data', () => {
    const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile);
    const content = { ...config, include: [], files: ['_.ts'] };
    const { options } = ts.parseJsonConfigFileContent(content, ts.sys, root);
    const files = Object.keys(typed).map(fileOf);
    const strict = { ...options, noUnusedLocals: true };
    const program = ts.createProgram(files, strict);
    const problems = files.flatMap((file) =>
      ts
        .getPreEmitDiagnostics(program, program.getSourceFile(file))
        .map(({ messageText }) => `${file}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`),
    );
    expect(problems).toEqual([]);
  });

  test.each(Object.keys(run))('trains as the document does, bit for bit: %s', async (name) => {
    const printed: unknown[][] = [];
    vi.spyOn(console, 'log').mockImplementation((...values) => void printed.push(values));
    await import(/* @vite-ignore */ fileOf(name));
    vi.restoreAllMocks();

    const backend = wasm({});
    const document = run[name];
    let report: RunReport | undefined;
    const given = { backend, store: memoryStore(), seed: document.seed };
    for await (const event of runExperiment(documentExperiment(document, folderStore(folder)), given)) {
      if (event.type === 'report') report = event.report;
    }
    await backend.dispose();
    const lines = (report?.history ?? []).map(({ epoch, train, validation }) => [
      epoch + 1,
      train,
      validation,
    ]);
    expect(lines).toHaveLength(2);
    expect(printed).toEqual([...lines, ...(report?.test ? [['test', report.test]] : [])]);
  });

  test('reads as people write it', () => {
    expect(documentCode(preset('digits-cnn'))).toBe(`import { wasm } from '@tenon-ml/backend-wasm';
import { createKey } from '@tenon-ml/core';
import { fitTransform, normalize } from '@tenon-ml/data';
import { digits, digitsInfo } from '@tenon-ml/data/digits';
import { conv2d, dense, dropout, flatten, maxPool2d, relu, sequential } from '@tenon-ml/layers';
import { softmaxCrossEntropy } from '@tenon-ml/losses';
import { accuracy, confusionMatrix } from '@tenon-ml/metrics';
import { adam, cosineDecay } from '@tenon-ml/optimizers';
import { createTrainer } from '@tenon-ml/train';

// digits-cnn: one seed, one run.
const seed = 0;
const key = createKey(seed).foldIn('setup');

const model = sequential([
  conv2d(32, 3, { padding: 'same' }),
  relu(),
  maxPool2d(2),
  conv2d(64, 3, { padding: 'same' }),
  relu(),
  maxPool2d(2),
  flatten(),
  dense(128),
  relu(),
  dropout(0.25),
  dense(10),
]);

const { train, validation, test } = await digits().split(
  { train: 0.7, validation: 0.15, test: 0.15 },
  { key: key.foldIn('split'), stratify: ({ target }) => target },
);
const batches = train.shuffle({ key: key.foldIn('order') }).batch(32);
const validationBatches = validation.batch(256);
const testBatches = test.batch(256);

const steps = Math.max(1, 15 * Number(batches.length));
const trainer = await createTrainer({
  model,
  loss: softmaxCrossEntropy(),
  optimizer: adam({ learningRate: cosineDecay({ peak: 0.002, steps }) }),
  metrics: [accuracy(), confusionMatrix({ classes: digitsInfo.classNames.length })],
  backend: wasm(),
  seed,
  preprocessing: [await fitTransform(normalize(), train)],
  classNames: digitsInfo.classNames,
});
for await (const event of trainer.run(batches, {
  epochs: 15,
  validation: validationBatches,
  restoreBest: true,
})) {
  if (event.type === 'epoch') console.log(event.epoch + 1, event.train, event.validation);
}
console.log('test', await trainer.evaluate(testBatches));
`);
  });
});
