import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { wasm } from '@tenon-ml/backend-wasm';
import { recipes } from '@tenon-ml/cli';
import { memoryStore } from '@tenon-ml/core';
import { folderStore } from '@tenon-ml/core/node';
import { documentExperiment, type ExperimentDocument, presets } from '@tenon-ml/experiment';
import { requires } from '@tenon-ml/testkit';
import { type Experiment, type RunReport, runExperiment } from '@tenon-ml/train';
import { describe, expect, test } from 'vitest';

const images = join(import.meta.dirname, '../../../shared/data/cifar-10-batches-bin');

interface Outcome {
  readonly losses: number[];
  readonly report: RunReport;
}

async function run(experiment: Experiment, options: object, seed: number, data?: string): Promise<Outcome> {
  const backend = wasm({});
  const losses: number[] = [];
  let report: RunReport | undefined;
  const given = { backend, store: memoryStore(), options: options as never, seed, data };
  for await (const event of runExperiment(experiment, given)) {
    if (event.type === 'step') losses.push(event.loss);
    if (event.type === 'report') report = event.report;
  }
  await backend.dispose();
  if (!report) throw new Error('no report');
  return { losses, report };
}

const documentOf = (id: string): ExperimentDocument => {
  const found = presets.find((preset) => preset.id === id);
  if (!found) throw new Error(id);
  return found.document;
};

describe('a preset is the recipe of its name: the same losses and figures, bit for bit', {
  timeout: 300_000,
}, () => {
  const compare = (recipe: Outcome, document: Outcome) => {
    expect(recipe.losses.length).toBeGreaterThan(3);
    expect(document.losses).toEqual(recipe.losses);
    const { confusionMatrix, ...test } = document.report.test ?? { loss: 0 };
    expect(confusionMatrix).toHaveLength(10);
    expect(test).toEqual(recipe.report.test);
    expect(document.report.best).toEqual(recipe.report.best);
  };

  test('digits-cnn', async () => {
    const options = { epochs: 2 };
    const recipe = await run(recipes['digits-cnn'], options, 4);
    compare(recipe, await run(documentExperiment(documentOf('digits-cnn')), options, 4));
    // And of another seed another run.
    const other = await run(documentExperiment(documentOf('digits-cnn')), { epochs: 1 }, 5);
    expect(other.losses[0]).not.toBe(recipe.losses[0]);
  });

  for (const id of ['cifar10-cnn', 'cifar10-resnet']) {
    test.skipIf(!requires(existsSync(images), '../shared/data/cifar-10-batches-bin'))(id, async () => {
      const limit = 150;
      const document = { ...documentOf(id), data: { source: 'cifar10', limit } } as const;
      const options = { epochs: 2, batchSize: 32 };
      const recipe = await run(recipes[id], { ...options, limit }, 4, images);
      compare(recipe, await run(documentExperiment(document, folderStore(images)), options, 4));
    });
  }
});
