import { type Backend, type BackendMemory, tensorCount } from '@tenon-ml/core';
import { startWorkload } from './run_workload.js';
import type { Workload } from './workload.js';

/** What there is after a step. */
export interface Held {
  readonly step: number;
  /** Tensors that tfjs knows of, on every backend. */
  readonly tensors: number;
  readonly memory: BackendMemory;
}

/**
 * Steps after which nothing may grow: recordings are made, and the engine's memory has been divided up as the steps
 * need it (eager ones may still put free pieces together in the tenth).
 */
export const soakWarmUp = 20;

/**
 * Runs many steps of a workload on a started backend that tells of its memory. Gives what there was after the warm-up,
 * and at the end. Throws at the first step that leaves more behind than the warm-up did.
 */
export async function soak(
  workload: Workload,
  unit: { readonly batch: number; readonly case: string },
  backend: Backend,
  steps: number,
): Promise<{ settled: Held; last: Held; mode: string }> {
  const running = startWorkload(workload, unit, backend);
  const held = (step: number): Held => {
    const memory = backend.memory?.();
    if (!memory) throw new Error(`the backend ${backend.name} does not tell of its memory`);
    return { step, tensors: tensorCount(), memory };
  };
  try {
    for (let step = 1; step <= soakWarmUp; step++) await running.step();
    const settled = held(soakWarmUp);
    let last = settled;
    for (let step = soakWarmUp + 1; step <= steps; step++) {
      const loss = await running.step();
      if (loss !== undefined && !Number.isFinite(loss)) throw new Error(`step ${step}: the loss is ${loss}`);
      last = held(step);
      const grown = growth(settled, last);
      if (grown) throw new Error(`${workload.name}, step ${step}: ${grown}`);
    }
    return { settled, last, mode: running.explain().mode };
  } finally {
    running.dispose();
  }
}

/** What has grown, in words. */
export function growth(before: Held, after: Held): string | undefined {
  const figures = [
    ['tensors', before.tensors, after.tensors],
    ['bytes in use', before.memory.inUse, after.memory.inUse],
    ['peak bytes', before.memory.peak, after.memory.peak],
    ['bytes reserved', before.memory.reserved, after.memory.reserved],
  ] as const;
  const found = figures.find(([, was, is]) => is > was);
  return found && `${found[1]} ${found[0]} after step ${before.step} have become ${found[2]}`;
}
