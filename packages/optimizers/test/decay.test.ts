import { fromNested, toNested } from '@tenon-ml/core';
import { expectClose } from '@tenon-ml/testkit';
import { beforeAll, expect, test } from 'vitest';
import { adamw, addDecayedWeights, chain, scaleByLearningRate, sgd } from '../src/index.js';
import { backend, type HostTree, runUpdates } from './run.js';
import { byPath, zerosIn } from './trees.js';

beforeAll(async () => {
  await backend.init();
});

const initial: HostTree = { dense_1: { kernel: fromNested([[4, -2]]), bias: fromNested([8]) } };

test('decoupled decay shrinks parameters by η·λ a step, where the mask chooses them', async () => {
  const seen: [string, readonly number[]][] = [];
  const optimizer = adamw({
    learningRate: 0.5,
    weightDecay: 0.25,
    mask(path, shape) {
      seen.push([path, shape]);
      return shape.length > 1;
    },
  });
  const { params } = await runUpdates(optimizer, initial, [zerosIn(initial), zerosIn(initial)]);
  expectClose(byPath(params)['dense_1.kernel'], [4 * 0.875 ** 2, -2 * 0.875 ** 2], {
    op: 'optimizer',
    reduction: 2,
  });
  expect(toNested(byPath(params)['dense_1.bias'])).toEqual([8]);
  expect(seen).toContainEqual(['dense_1.kernel', [1, 2]]);
  expect(seen).toContainEqual(['dense_1.bias', [1]]);
});

test('coupled decay goes through the momentum', async () => {
  const optimizer = sgd({ learningRate: 0.5, momentum: 0.5, weightDecay: 0.25 });
  const { params } = await runUpdates(optimizer, { w: fromNested([4]) }, [
    { w: fromNested([0]) },
    { w: fromNested([0]) },
  ]);
  // v = 1, p = 3.5; then v = 0.5·1 + 0.25·3.5 = 1.375, p = 3.5 - 0.6875.
  expect(toNested(byPath(params).w)).toEqual([2.8125]);
});

test('without gradients the decay is all of the update', async () => {
  const optimizer = chain(addDecayedWeights(0.5), scaleByLearningRate(1));
  const { params } = await runUpdates(optimizer, initial, [zerosIn(initial)]);
  expect(toNested(byPath(params)['dense_1.kernel'])).toEqual([[2, -1]]);
});
