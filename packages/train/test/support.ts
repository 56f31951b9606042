import {
  type ArtifactStore,
  createKey,
  createRegistry,
  type NdArray,
  ndarray,
  sameBits,
  treeEntries,
} from '@tenon-ml/core';
import { fromArrays, transforms } from '@tenon-ml/data';
import { batchNorm, dense, dropout, relu, sequential } from '@tenon-ml/layers';
import { layers } from '@tenon-ml/layers/all';
import { softmaxCrossEntropy } from '@tenon-ml/losses';
import { accuracy } from '@tenon-ml/metrics';
import { adam } from '@tenon-ml/optimizers';
import { cpu } from '@tenon-ml/testkit';
import fc from 'fast-check';
import { expect } from 'vitest';
import type { Trainer, TrainerOptions } from '../src/index.js';

export const backend = cpu();
export const registry = createRegistry(layers, transforms);

/** Points in four dimensions, in three classes by which of the first three coordinates is the largest. */
export function points(count: number, seed = 1) {
  const input = createKey(seed).normal([count, 4]);
  const target = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    const row = input.data.subarray(4 * i, 4 * i + 3);
    target[i] = row.indexOf(Math.max(...row));
  }
  return fromArrays({ input, target: ndarray('int32', [count], target) });
}

/** A network with everything that a resume has to restore: weights, running statistics, random masks. */
export function parts(overrides: Partial<TrainerOptions> = {}): TrainerOptions {
  return {
    model: sequential([dense(8), batchNorm(), relu(), dropout(0.2), dense(3)]),
    loss: softmaxCrossEntropy(),
    optimizer: adam({ learningRate: 0.02 }),
    metrics: [accuracy()],
    backend,
    seed: 3,
    ...overrides,
  };
}

export function shuffledBatches(count = 50, size = 8) {
  return points(count)
    .shuffle({ key: createKey(9) })
    .batch(size);
}

export async function weights(trainer: Trainer): Promise<Map<string, NdArray>> {
  const { params, state } = await trainer.artifact();
  return new Map([...treeEntries<NdArray>(params), ...treeEntries<NdArray>(state)]);
}

export function expectSameWeights(actual: Map<string, NdArray>, expected: Map<string, NdArray>): void {
  expect([...actual.keys()]).toEqual([...expected.keys()]);
  for (const [path, array] of actual) expect(sameBits(array, expected.get(path) as NdArray), path).toBe(true);
}

/** All files of a store, as text: small stores only. */
export async function contents(store: ArtifactStore): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const path of await store.list())
    files[path] = new TextDecoder('latin1').decode(await store.read(path));
  return files;
}

/** Powers of two, by their exponents. */
export function powers(least: number, most: number): fc.Arbitrary<number> {
  return fc.integer({ min: least, max: most }).map((exponent) => 2 ** exponent);
}
