import { wasm } from '@tenon-ml/backend-wasm';
import { type NdArray, type Params, sameBits, treeEntries } from '@tenon-ml/core';
import { describe, expect, it } from 'vitest';
import { startTraining } from './run_workload.js';
import type { TrainingWorkload } from './workload.js';
import { workloads } from './workloads/index.js';

const steps = 6;

/** Trains on batches that take turns, at a rate at which parameters move; gives losses and all that has moved. */
async function train(workload: TrainingWorkload, record: boolean) {
  const backend = wasm({ record, poison: true });
  await backend.init();
  const training = startTraining(workload, 3, backend, { learningRate: 1e-3, batches: 3 });
  const losses: number[] = [];
  for (let i = 0; i < steps; i++) losses.push(await training.step());
  const end: Params<NdArray> = await training.read();
  const { mode, replayed } = training.explain();
  training.dispose();
  await backend.dispose();
  return { losses, end, mode, replayed };
}

describe('eager and replayed steps end in the same bits', { timeout: 300_000 }, () => {
  for (const workload of workloads) {
    if (workload.kind !== 'training') continue;
    it(`of ${workload.name}`, async () => {
      const [eager, replayed] = [await train(workload, false), await train(workload, true)];
      expect(eager.mode).toBe('eager');
      expect(replayed.mode).toBe('replayed');
      expect(replayed.replayed).toBeGreaterThanOrEqual(2);
      expect(new Set(eager.losses).size).toBe(steps);
      expect(replayed.losses).toEqual(eager.losses);
      const other = new Map(treeEntries<NdArray>(eager.end));
      const differing = treeEntries<NdArray>(replayed.end).filter(
        ([path, array]) => !sameBits(array, other.get(path) as NdArray),
      );
      expect(differing.map(([path]) => path)).toEqual([]);
      expect(other.size).toBeGreaterThan(3);
    });
  }
});
