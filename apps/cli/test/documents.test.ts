import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { memoryStore, toZip } from '@tenon-ml/core';
import { folderStore } from '@tenon-ml/core/node';
import { type ExperimentDocument, presets } from '@tenon-ml/experiment';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { main } from '../src/index.js';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tenon-documents-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
afterEach(() => {
  vi.restoreAllMocks();
});

async function tenon(...args: string[]) {
  let written = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    written += text;
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation(() => true);
  const code = await main([...args, '--json']);
  vi.restoreAllMocks();
  return { code, result: JSON.parse(written.trim().split('\n').at(-1) ?? '{}') };
}

const table = `a,b,side\n${Array.from({ length: 60 }, (_, i) => `${Math.sin(i)},${i % 5},${Math.sin(i) > 0 ? 'up' : 'down'}`).join('\n')}\n`;

async function documentFile(name: string, change: Partial<ExperimentDocument> = {}): Promise<string> {
  const found = presets.find(({ id }) => id === 'table-mlp');
  if (!found) throw new Error('no preset');
  const { document } = found;
  const { children } = document.network as unknown as { children: Record<string, object> };
  const file = join(folder, name);
  const written: ExperimentDocument = {
    ...document,
    name: 'sides',
    seed: 3,
    data: { source: 'csv', file: 'table.csv', target: 'side', task: 'classification' },
    network: {
      ...document.network,
      children: { ...children, dense_3: { ...children.dense_3, units: 2 } },
    } as ExperimentDocument['network'],
    training: { ...document.training, epochs: 3, batchSize: 8 },
    ...change,
  };
  await writeFile(file, JSON.stringify(written));
  return file;
}

describe('a document', () => {
  let file = '';
  let data = '';
  beforeAll(async () => {
    file = await documentFile('sides.json');
    data = join(folder, 'tables');
    await mkdir(data);
    await writeFile(join(data, 'table.csv'), table);
  });
  const json = async (...path: string[]) => JSON.parse(await readFile(join(folder, ...path), 'utf8'));

  test('is trained with its own seed, evaluated, predicted from and resumed, with --data', async () => {
    const run = join(folder, 'given');
    const trained = await tenon('train', file, '--data', data, '--out', run);
    expect(trained.code, JSON.stringify(trained.result)).toBe(0);
    expect(await json('given', 'run.json')).toMatchObject({
      name: 'sides',
      seed: 3,
      data,
      origin: { document: { name: 'sides', seed: 3 } },
    });
    expect((await tenon('evaluate', run)).result.test).toEqual(trained.result.test);
    const examples = join(folder, 'examples.csv');
    await writeFile(examples, '0.9,1\n-0.9,1\n');
    const predicted = (await tenon('predict', run, examples)).result.predictions[0].predictions;
    expect(predicted.map(({ label }: { label: string }) => label)).toEqual([
      expect.stringMatching(/^(up|down)$/),
      expect.stringMatching(/^(up|down)$/),
    ]);
    // The document's file isn't needed any more: the run holds it.
    expect((await tenon('resume', run)).result).toMatchObject({
      reason: 'completed',
      test: trained.result.test,
    });
  });

  test('finds its data in the run, and a zip of it is enough to evaluate and predict', async () => {
    const run = join(folder, 'own');
    await mkdir(join(run, 'data'), { recursive: true });
    await writeFile(join(run, 'data', 'table.csv'), table);
    const trained = await tenon('train', file, '--out', run, '--seed', '5', '--epochs', '2');
    expect(trained.code, JSON.stringify(trained.result)).toBe(0);
    const described = await json('own', 'run.json');
    expect(described).toMatchObject({ seed: 5, options: { epochs: 2 } });
    expect(described.origin.document).toMatchObject({ seed: 5, training: { epochs: 2 } });
    expect(described).not.toHaveProperty('data');

    const zip = join(folder, 'taken-home.zip');
    await writeFile(zip, await toZip(folderStore(run)));
    await rm(run, { recursive: true });
    const evaluated = await tenon('evaluate', zip);
    expect(evaluated).toMatchObject({ code: 0, result: { run: zip, test: trained.result.test } });
    const examples = join(folder, 'one.json');
    await writeFile(examples, '[0.5, 2]');
    expect((await tenon('predict', zip, examples)).result.predictions[0].predictions).toHaveLength(1);
    const refused = await tenon('resume', zip);
    expect(refused.code).not.toBe(0);
    expect(refused.result.error).toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('this is a zip of one. Unpack it, and resume the folder.'),
    });
  });

  test('taken home without its data is evaluated with --data', async () => {
    const run = join(folder, 'apart');
    const trained = await tenon('train', file, '--data', data, '--out', run);
    const store = folderStore(run);
    await store.write(
      'run.json',
      new TextEncoder().encode(JSON.stringify({ ...(await json('apart', 'run.json')), data: undefined })),
    );
    const zip = join(folder, 'apart.zip');
    await writeFile(zip, await toZip(store));
    expect((await tenon('evaluate', zip)).result.error).toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('--data'),
    });
    expect((await tenon('evaluate', zip, '--data', data)).result.test).toEqual(trained.result.test);
  });

  test('that lacks its data, is wrong or is not there, says so and leaves no run', async () => {
    const run = join(folder, 'none');
    const fail = async (...args: string[]) => {
      const { code, result } = await tenon('train', ...args, '--out', run);
      expect(code).toBe(1);
      expect(existsSync(join(run, 'run.json'))).toBe(false);
      return result.error;
    };
    expect(await fail(file)).toMatchObject({
      code: 'NOT_FOUND',
      message: `${join(run, 'data')}: there is no table.csv here. Give the folder that holds the data: --data FOLDER.`,
    });
    const wrong = await documentFile('wrong.json', { seed: -1 });
    expect(await fail(wrong, '--data', data)).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: `${wrong}, seed: expected an integer of at least 0, got -1.`,
    });
    expect(await fail(file, '--data', data, '--epochs', '0')).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: `${file}, training.epochs: expected an integer of at least 1, got 0.`,
    });
    expect(await fail(join(folder, 'x.json'))).toMatchObject({ code: 'NOT_FOUND' });
    const { network } = JSON.parse(await readFile(file, 'utf8'));
    const unknown = await documentFile('unknown.json', {
      network: { ...network, children: { ...network.children, relu_1: { layer: 'rel', version: 1 } } },
    });
    expect(await fail(unknown, '--data', data)).toMatchObject({
      code: 'UNKNOWN_NAME',
      message: expect.stringContaining("relu_1: There is no layer 'rel'"),
    });
  });

  test('of which the rate was changed by hand is resumed with it', async () => {
    const [plain, changed] = ['plain', 'changed'].map((name) => join(folder, name));
    await mkdir(changed);
    // From the first step on: as the studio would have written it.
    await writeFile(join(changed, 'learning-rate.json'), '[{"step": 2, "factor": 0.125}]');
    const rates = async (run: string) => {
      await tenon('train', file, '--data', data, '--out', run);
      const lines = (await readFile(join(run, 'events.jsonl'), 'utf8')).trim().split('\n');
      const events = lines.map((line) => JSON.parse(line)).filter(({ type }) => type === 'step');
      return events.map(({ scalars }) => scalars.learningRate);
    };
    const whole = await rates(plain);
    expect(await rates(changed)).toEqual(whole.map((rate, i) => (i < 2 ? rate : rate * 0.125)));
  });
});

test('a zip names no code that is run', async () => {
  const ran = join(folder, 'ran.txt');
  const code = join(folder, 'code.mjs');
  await writeFile(
    code,
    `import { writeFileSync } from 'node:fs'; writeFileSync(${JSON.stringify(ran)}, '');`,
  );
  const run = {
    format: 'tenon-run',
    version: 1,
    name: 'x',
    origin: { file: code },
    options: {},
    seed: 0,
    backend: 'wasm',
  };
  const files = { 'run.json': JSON.stringify(run), 'model.json': '{}', 'weights.safetensors': '' };
  const store = memoryStore(
    Object.entries(files).map(([path, text]) => [path, new TextEncoder().encode(text)] as const),
  );
  const zip = join(folder, 'foreign.zip');
  await writeFile(zip, await toZip(store));
  for (const args of [
    ['evaluate', zip],
    ['predict', zip, 'x.json'],
  ]) {
    expect((await tenon(...args)).result.error).toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining(code),
    });
  }
  expect(existsSync(ran)).toBe(false);
});

test('a zip that is none says so', async () => {
  const zip = join(folder, 'none.zip');
  expect((await tenon('evaluate', zip)).result.error).toMatchObject({ code: 'NOT_FOUND' });
  await writeFile(zip, 'PK?');
  expect((await tenon('predict', zip, 'x.json')).result.error).toMatchObject({
    code: 'ARTIFACT_INVALID',
    message: expect.stringContaining('none.zip: expected a zip archive'),
  });
});
