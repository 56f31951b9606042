import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digits } from '@tenon-ml/data/digits';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { lastJson, tenon } from './tenon.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tenon-quickstart-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('trains digits to 0.96 and more, evaluates to the same figure, predicts, and knows when it has ended', async () => {
  const quickstart = await tenon(['quickstart', '--json'], { cwd: folder });
  expect(quickstart.code, quickstart.stderr).toBe(0);
  const {
    test: figures,
    run,
    sample,
  } = lastJson(quickstart) as {
    test: { accuracy: number; loss: number };
    run: string;
    sample: { label: string; predicted: string; probability: number };
  };
  expect(figures.accuracy).toBeGreaterThanOrEqual(0.96);
  expect(sample.label).toMatch(/^\d$/);
  expect(existsSync(join(run, 'model.json'))).toBe(true);

  expect(lastJson(await tenon(['evaluate', run, '--json'])).test).toEqual(figures);
  // An ended run: resuming it changes nothing.
  const weights = await readFile(join(run, 'weights.safetensors'));
  expect(lastJson(await tenon(['resume', run, '--json'])).test).toEqual(figures);
  expect((await readFile(join(run, 'weights.safetensors'))).equals(weights)).toBe(true);

  const images: number[][] = [];
  const labels: string[] = [];
  for await (const { input, target } of digits().take(40)) {
    images.push(Array.from(input.data));
    labels.push(String(target.data[0]));
  }
  await writeFile(join(folder, 'images.csv'), images.map((row) => row.join(',')).join('\n'));
  const square = Array.from({ length: 8 }, (_, y) =>
    Array.from({ length: 8 }, (_, x) => [images[0][8 * y + x]]),
  );
  await writeFile(join(folder, 'one.json'), JSON.stringify(square));
  const ended = await tenon(['predict', run, join(folder, 'images.csv'), join(folder, 'one.json'), '--json']);
  expect(ended.code, ended.stderr).toBe(0);
  const [table, one] = lastJson(ended).predictions as {
    predictions: { label: string; probability: number }[];
  }[];
  expect(table.predictions.filter(({ label }, i) => label === labels[i]).length).toBeGreaterThanOrEqual(37);
  expect(one.predictions).toHaveLength(1);
  expect(one.predictions[0].label).toBe(table.predictions[0].label);
  expect(one.predictions[0].probability).toBeCloseTo(table.predictions[0].probability, 5);
}, 240_000);
