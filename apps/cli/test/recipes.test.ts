import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createKey, type NdArray } from '@tenon-ml/core';
import { type Batch, resolveOptions } from '@tenon-ml/train';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { main, recipes } from '../src/index.js';

// What a test that timed out still prints would come among the next one's output.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

const shared = join(import.meta.dirname, '../../../../shared/data');
const images = join(shared, 'cifar-10-batches-bin');

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tenon-recipes-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
afterEach(() => {
  vi.restoreAllMocks();
});

/** Runs a command line in this process, and gives its exit code and its last line of JSON. */
async function tenon(...args: string[]): Promise<{ code: number; result: Record<string, unknown> }> {
  let written = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    written += text;
    return true;
  });
  const notes = vi.spyOn(process.stderr, 'write').mockImplementation(() => true);
  const code = await main([...args, '--json']);
  const said = notes.mock.calls.join('');
  vi.restoreAllMocks();
  const line = written.trim().split('\n').at(-1);
  if (!line) throw new Error(said);
  return { code, result: JSON.parse(line) };
}

async function setUp(name: string, data: string, options: Record<string, number | string> = {}) {
  const recipe = recipes[name];
  const context = { seed: 1, key: createKey(1).foldIn('setup'), data };
  return recipe.setup(resolveOptions(recipe, options), context);
}

/** The labels of a dataset of batches, in their order. */
async function labels(batches: AsyncIterable<Batch> | undefined): Promise<number[]> {
  const found: number[] = [];
  for await (const { target } of batches ?? []) found.push(...((target as NdArray<'int32'>).data ?? []));
  return found;
}

describe.skipIf(!existsSync(images))('cifar10-cnn, with the data beside the repository', () => {
  test('trains on 45,000 images, chooses by 5,000 of every class alike, tests on 10,000', async () => {
    const { train, validation, test: held, monitor, restoreBest } = await setUp('cifar10-cnn', images);
    expect([train.length, validation?.length, held?.length]).toEqual([Math.ceil(45_000 / 32), 20, 40]);
    expect([monitor, restoreBest]).toEqual(['validation.accuracy', true]);
    const chosen = await labels(validation);
    expect(chosen).toHaveLength(5000);
    for (let c = 0; c < 10; c++) expect(chosen.filter((label) => label === c)).toHaveLength(500);
  });

  test('a few steps, then what was saved evaluates and predicts an image of bytes', async () => {
    const out = join(folder, 'cnn');
    const args = ['--data', images, '--out', out, '--set', 'limit=100', '--epochs', '2', '--seed', '3'];
    const trained = await tenon('train', 'cifar10-cnn', ...args);
    expect(trained.code).toBe(0);
    // 90 images in batches of 32.
    expect(trained.result.step).toBe(6);
    const evaluated = await tenon('evaluate', out);
    expect(evaluated.result.test).toEqual(trained.result.test);
    const model = JSON.parse(await readFile(join(out, 'model.json'), 'utf8'));
    expect(model.classNames[3]).toBe('cat');
    expect(model.preprocessing).toEqual([{ transform: 'rescale', version: 1, scale: 1 / 255, offset: 0 }]);
    const file = join(folder, 'image.csv');
    await writeFile(file, `${Array.from({ length: 3072 }, (_, i) => i % 256).join(',')}\n`);
    const predicted = await tenon('predict', out, file);
    expect(predicted.result).toMatchObject({
      predictions: [{ predictions: [{ label: expect.stringMatching(/^[a-z]+$/) }] }],
    });
  });
});

describe.skipIf(!existsSync(images))('cifar10-resnet, with the data beside the repository', () => {
  test('shifts and mirrors the images that it trains on, other ones in every epoch, and no others', async () => {
    const { train, validation, model } = await setUp('cifar10-resnet', images, { limit: 40, batchSize: 36 });
    const pixels = async (batches: typeof train, epoch: number) =>
      ((await batches.take(1).toArray({ epoch }))[0].input as NdArray<'uint8'>).data;
    expect(await pixels(train, 0)).toEqual(await pixels(train, 0));
    expect(await pixels(train, 0)).not.toEqual(await pixels(train, 1));
    const held = validation as typeof train;
    expect(await pixels(held, 0)).toEqual(await pixels(held, 1));
    const { output } = model.init(createKey(1), { dtype: 'float32', shape: [null, 32, 32, 3] });
    expect(output).toMatchObject({ shape: [null, 10] });
  });

  test('a step, then what was saved evaluates', async () => {
    const out = join(folder, 'resnet');
    const args = ['--data', images, '--out', out, '--set', 'limit=40', '--epochs', '1'];
    const trained = await tenon('train', 'cifar10-resnet', ...args);
    expect(trained.code).toBe(0);
    expect((await tenon('evaluate', out)).result.test).toEqual(trained.result.test);
  });
});

const tiny = ['context=16', 'layers=1', 'heads=2', 'width=16', 'stepsPerEpoch=4', 'batchSize=4'];

describe('shakespeare-gpt', () => {
  const plays =
    'First Citizen:\nBefore we proceed any further, hear me speak.\n\nAll:\nSpeak, speak.\n'.repeat(20);
  let text = '';
  let run = '';
  beforeAll(async () => {
    text = join(folder, 'input.txt');
    run = join(folder, 'gpt');
    await writeFile(text, plays);
    const args = ['--data', folder, '--out', run, '--epochs', '2', ...tiny.flatMap((set) => ['--set', set])];
    const { code, result } = await tenon('train', 'shakespeare-gpt', ...args);
    expect(code, JSON.stringify(result)).toBe(0);
  });

  test('the parts follow each other, and a few steps an epoch', async () => {
    const plan = await setUp('shakespeare-gpt', text, { context: 16, stepsPerEpoch: 4, batchSize: 4 });
    expect(plan.train.length).toBe(4);
    const read = async (batches: AsyncIterable<Batch> | undefined) => {
      for await (const { input } of batches ?? [])
        return String.fromCodePoint(...(input as NdArray<'int32'>).data);
      return '';
    };
    expect(plays.indexOf((await read(plan.validation)).slice(0, 16))).toBeGreaterThanOrEqual(0);
    expect(plays.slice(Math.floor(0.95 * plays.length))).toContain((await read(plan.test)).slice(0, 16));
    const short = join(folder, 'short.txt');
    await writeFile(short, 'to be');
    await expect(setUp('shakespeare-gpt', short)).rejects.toMatchObject({
      code: 'DATA_INVALID',
      where: short,
    });
  });

  test('what was saved evaluates to the same figures', async () => {
    const report = JSON.parse(await readFile(join(run, 'report.json'), 'utf8'));
    expect((await tenon('evaluate', run)).result.test).toEqual(report.test);
    // 8 steps: no better than guessing evenly, but not worse either.
    expect(report.test.loss).toBeLessThan(Math.log(new Set(plays).size) + 0.1);
  });

  test('writes text from the saved model alone: one seed, one text', async () => {
    const saved = join(folder, 'saved');
    await mkdir(saved);
    for (const name of ['model.json', 'weights.safetensors'])
      await copyFile(join(run, name), join(saved, name));
    const write = async (...args: string[]) => {
      const { code, result } = await tenon('predict', saved, '--length', '40', ...args);
      expect(code, JSON.stringify(result)).toBe(0);
      return (result.predictions as { prompt: string; text: string }[])[0];
    };
    const first = await write('--prompt', 'Speak, ', '--seed', '4');
    expect(first.prompt).toBe('Speak, ');
    expect(first.text).toHaveLength(40);
    expect([...first.text].every((character) => plays.includes(character))).toBe(true);
    expect(await write('--prompt', 'Speak, ', '--seed', '4')).toEqual(first);
    expect(await write('--prompt', 'Speak, ', '--seed', '5')).not.toEqual(first);
    // The likeliest each time: no seed changes that, nor does drawing from the one likeliest.
    const likeliest = await write('--temperature', '0');
    expect(await write('--temperature', '0', '--seed', '5')).toEqual(likeliest);
    expect(await write('--top-k', '1', '--seed', '6')).toEqual(likeliest);
    // Longer than the context, and from a file.
    const file = join(folder, 'prompt.txt');
    await writeFile(file, plays.slice(0, 50));
    expect(await write(file)).toMatchObject({ file, prompt: plays.slice(0, 50) });
  });

  test('refuses characters that it never saw, options out of range, and prompts for other models', async () => {
    const fail = async (...args: string[]) => {
      const { code, result } = await tenon('predict', ...args);
      expect(code).not.toBe(0);
      return result.error as { code: string; message: string };
    };
    expect(await fail(run, '--prompt', 'né')).toMatchObject({
      code: 'DATA_INVALID',
      message: expect.stringMatching(/^prompt, characters, index 1: expected one of the \d+ characters.*"é"/),
    });
    expect(await fail(run, '--top-k', '0')).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(await fail(run, '--temperature', '-1')).toMatchObject({ code: 'USAGE' });
    const digits = join(folder, 'digits');
    await tenon('train', 'digits-cnn', '--epochs', '0', '--out', digits);
    expect(await fail(digits, '--prompt', 'x')).toMatchObject({ code: 'USAGE' });
    expect(await fail(digits)).toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('files of examples, .json or .csv, got none'),
    });
  });
});
