import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { wasm } from '@tenon-ml/backend-wasm';
import { recipes } from '@tenon-ml/cli';
import { createKey, sameBits, treeEntries } from '@tenon-ml/core';
import { requires } from '@tenon-ml/testkit';
import { createTrainer, type ExperimentOptions, resolveOptions, type TrainerOptions } from '@tenon-ml/train';
import { describe, expect, test } from 'vitest';

const shared = join(import.meta.dirname, '../../../shared/data');
const STEPS = 6;

const cases: readonly { name: string; data?: string; options: ExperimentOptions }[] = [
  { name: 'digits-cnn', options: {} },
  { name: 'cifar10-cnn', data: 'cifar-10-batches-bin', options: { limit: 300 } },
  { name: 'cifar10-resnet', data: 'cifar-10-batches-bin', options: { limit: 300, batchSize: 16 } },
  { name: 'shakespeare-gpt', data: 'tinyshakespeare', options: { layers: 2, context: 32, dropout: 0.1 } },
];

/** The losses of the first steps of a recipe, and the model that they end in. */
async function train({ name, data, options }: (typeof cases)[number], record: boolean) {
  const backend = wasm({ record, poison: true });
  const recipe = recipes[name];
  const plan = await recipe.setup(resolveOptions(recipe, options), {
    seed: 1,
    key: createKey(1).foldIn('setup'),
    ...(data && { data: join(shared, data) }),
  });
  const trainer = await createTrainer({ ...plan, backend, seed: 1 } as unknown as TrainerOptions);
  const losses: number[] = [];
  for await (const event of trainer.run(plan.train, { epochs: 9 })) {
    if (event.type === 'step' && losses.push(event.loss) === STEPS) break;
  }
  const { params, state } = await trainer.artifact();
  trainer.dispose();
  await backend.dispose();
  return { losses, weights: treeEntries({ params, state } as never) };
}

describe('the first steps of a recipe give the same bits, eager and replayed', { timeout: 300_000 }, () => {
  test('every recipe is here', () => {
    expect(Object.keys(recipes).sort()).toEqual(cases.map(({ name }) => name).sort());
  });

  for (const recipe of cases) {
    const there = recipe.data === undefined || existsSync(join(shared, recipe.data));
    test.skipIf(!requires(there, `../shared/data/${recipe.data}`))(recipe.name, async () => {
      const [eager, replayed] = [await train(recipe, false), await train(recipe, true)];
      expect(new Set(eager.losses).size).toBe(STEPS);
      expect(replayed.losses).toEqual(eager.losses);
      const other = new Map(eager.weights);
      expect(other.size).toBeGreaterThan(3);
      const differing = replayed.weights.filter(
        ([path, array]) => !sameBits(array as never, other.get(path) as never),
      );
      expect(differing.map(([path]) => path)).toEqual([]);
    });
  }
});
