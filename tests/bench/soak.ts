/**
 * `npm run bench:soak -- [WORKLOAD...] [--backend NAME] [--steps N] [--batch N]`: many steps of every workload, replayed
 * and eager, on the default engine or on another one, that end at the first one which leaves memory behind. 'webgpu-null' is
 * a GPU that computes nothing, on which memory is handed out as on any other.
 */
import { parseArgs } from 'node:util';
import { wasm } from '@tenon-ml/backend-wasm';
import { webgpu } from '@tenon-ml/backend-webgpu';
import type { Backend } from '@tenon-ml/core';
import { openGpus } from './peers/dawn.js';
import { soak } from './soak_workload.js';
import { findWorkload, workloads } from './workloads/index.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    steps: { type: 'string', default: '2000' },
    batch: { type: 'string' },
    backend: { type: 'string', default: 'wasm' },
  },
});
const makers = new Map<string, (options: { readonly record: boolean }) => Promise<Backend>>([
  ['wasm', async (options) => wasm(options)],
  ['webgpu', async (options) => webgpu(options)],
  ['webgpu-null', async (options) => webgpu({ ...options, gpu: (await openGpus()).idle as never })],
]);
const make = makers.get(values.backend);
if (!make) {
  console.error(`There are the backends ${[...makers.keys()].join(', ')}.`);
  process.exit(2);
}
const steps = Number(values.steps);
const chosen = positionals.length === 0 ? workloads : positionals.map((name) => findWorkload(name));

for (const workload of chosen) {
  if (!workload) {
    console.error(`There are the workloads ${workloads.map(({ name }) => name).join(', ')}.`);
    process.exit(2);
  }
  const product = workload.kind === 'product' ? workload.products[0].case : 'step';
  for (const record of [true, false]) {
    const backend = await make({ record });
    await backend.init();
    const unit = { batch: Number(values.batch ?? workload.batches[0]), case: product };
    const start = performance.now();
    const { last, mode } = await soak(workload, unit, backend, steps);
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    const { inUse, peak, reserved } = last.memory;
    const megabytes = [inUse, peak, reserved].map((bytes) => (bytes / 2 ** 20).toFixed(1));
    console.log(
      `${workload.name}, batch ${unit.batch}, ${mode}: ${steps} steps in ${seconds} s; ${last.tensors} tensors; ` +
        `MB in use ${megabytes[0]}, at most ${megabytes[1]}, reserved ${megabytes[2]}; ` +
        `process ${(process.memoryUsage().rss / 2 ** 20).toFixed(0)} MB`,
    );
    await backend.dispose();
  }
}
