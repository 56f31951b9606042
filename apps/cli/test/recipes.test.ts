import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createKey, type NdArray } from '@tenon-ml/core';
import { type Batch, resolveOptions } from '@tenon-ml/train';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { main, recipes } from '../src/index.js';

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
