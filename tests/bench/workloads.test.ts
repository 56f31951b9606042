import { createKey, type NdArray, treeLeaves } from '@tenon-ml/core';
import { describe, expect, it } from 'vitest';
import { suites, workloads } from './workloads/index.js';

describe('workloads', () => {
  it('have names of their own, which no suite has', () => {
    const names = [...workloads.map(({ name }) => name), ...Object.keys(suites)];
    expect(new Set(names).size).toBe(names.length);
  });

  for (const workload of workloads) {
    if (workload.kind !== 'training') continue;
    it(`${workload.name} has ${workload.parameters} parameters, and examples of its own shape`, () => {
      const { params, output } = workload.model.init(createKey(1), workload.input);
      const sizes = treeLeaves<NdArray>(params).map(({ data }) => data.length);
      expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(workload.parameters);
      const { input, target } = workload.data(createKey(1), 5);
      expect(input.dtype).toBe(workload.input.dtype);
      expect(input.shape).toEqual([5, ...workload.input.shape.slice(1)]);
      expect(() => workload.loss.check?.(target, output)).not.toThrow();
    });
  }
});
