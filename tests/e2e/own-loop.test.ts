import { type NdArray, sameBits, treeEntries } from '@tenon-ml/core';
import { expect, test, vi } from 'vitest';

test('the loop written by hand ends with the same bits as the trainer', async () => {
  vi.stubEnv('EPOCHS', '2');
  vi.spyOn(console, 'log').mockImplementation(() => {});
  const byHand = (await import('../../examples/own-loop.js')).trained;
  const byTrainer = (await import('../../examples/with-trainer.js')).trained;
  const expected = new Map(treeEntries<NdArray>(byTrainer));
  const entries = treeEntries<NdArray>(byHand);
  expect(entries.map(([path]) => path)).toEqual([...expected.keys()]);
  for (const [path, array] of entries)
    expect(sameBits(array, expected.get(path) as NdArray), path).toBe(true);
  // Not the same because nothing was trained: the weights have moved.
  const { model, input, seed } = await import('../../examples/digits.js');
  const { createKey } = await import('@tenon-ml/core');
  const initial = model.init(createKey(seed).foldIn('params'), input).params as {
    dense_1: { kernel: NdArray };
  };
  expect(sameBits(initial.dense_1.kernel, expected.get('dense_1.kernel') as NdArray)).toBe(false);
}, 120_000);
