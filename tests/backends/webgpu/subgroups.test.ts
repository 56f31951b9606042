import { webgpu } from '@tenon-ml/backend-webgpu';
import { Sum } from '@tensorflow/tfjs-core';
import { expect, onTestFinished, test } from 'vitest';
import { ownGpu, seenAs } from '../../hosts/adapters.js';
import { runKernelForAll } from '../kernels/reference.js';
import { add, describeJoins, hasSubgroups, reduced, type View, wholeNumbers } from './subgroups_cases.js';

const ofSizes =
  (subgroupMinSize: number, subgroupMaxSize: number): View =>
  ({ info }) => ({ info: { ...info, subgroupMinSize, subgroupMaxSize } });

describeJoins('as the adapter has them', () => ({}), true);
describeJoins('of a size that programs find out', ofSizes(4, 128), true);

test('subgroups that are not what the adapter says are left alone', async ({ skip }) => {
  const gpu = await ownGpu();
  if (!(await hasSubgroups())) return skip('this adapter has no subgroups');
  const adapter = (await gpu.requestAdapter()) as GPUAdapter;
  const other = 2 * ((adapter.info as { subgroupMaxSize?: number }).subgroupMaxSize ?? 128);
  const backend = webgpu({ gpu: seenAs(gpu, ofSizes(other, other)) });
  onTestFinished(() => backend.dispose());
  expect((await backend.init()).features.subgroups).toBe(false);
  const x = wholeNumbers(1, [3, 1000, 1], 9);
  const call = { kernel: Sum, inputs: { x }, attrs: { axis: [1], keepDims: false } };
  const [{ data }] = await runKernelForAll(backend, call);
  expect([...(data as Float32Array)]).toEqual(reduced(x, add));
});
