import { wasm } from '@tenon-ml/backend-wasm';
import { tensorCount } from '@tenon-ml/core';
import { describe, expect, it } from 'vitest';
import { growth, type Held, soak } from './soak_workload.js';
import { workloads } from './workloads/index.js';

const steps = 30;

describe('memory', { timeout: 300_000 }, () => {
  for (const workload of workloads) {
    const name = workload.kind === 'product' ? workload.products[0].case : 'step';
    it.each([true, false])(
      `of ${workload.name} is the same after ${steps} steps (recorded: %j)`,
      async (record) => {
        const before = tensorCount();
        const backend = wasm({ record });
        await backend.init();
        const { last, mode } = await soak(workload, { batch: 1, case: name }, backend, steps);
        expect(last.step).toBe(steps);
        expect(mode).toBe(record ? 'replayed' : 'eager');
        expect(tensorCount()).toBe(before);
        await backend.dispose();
      },
    );
  }

  it('that grows is noticed', () => {
    const held: Held = { step: 20, tensors: 40, memory: { inUse: 1000, peak: 5000, reserved: 65536 } };
    expect(growth(held, { ...held, step: 7 })).toBeUndefined();
    expect(growth(held, { ...held, tensors: 41 })).toBe('40 tensors after step 20 have become 41');
    const more = { ...held, memory: { ...held.memory, inUse: 1064 } };
    expect(growth(held, more)).toBe('1000 bytes in use after step 20 have become 1064');
  });
});
