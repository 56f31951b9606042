/** Our own packages, from source, on the default engine: replayed (`step` and the like), and with recording off (`eager`). */
import { wasm } from '@tenon-ml/backend-wasm';
import type { Backend } from '@tenon-ml/core';
import { type Running, startWorkload } from '../run_workload.js';
import { median } from '../statistics.js';
import { findWorkload } from '../workloads/index.js';
import { type Started, serve, type Unit, Unsupported } from './serve.js';

await serve(async () => {
  const backend = wasm();
  const info = await backend.init();
  await backend.dispose();
  return { version: 'source', backend: info.name, threads: info.threads, start };
});

/** A unit has engines of its own: nothing of another's is in its memory. */
async function start(unit: Unit): Promise<Started> {
  const workload = findWorkload(unit.workload);
  if (!workload) throw new Unsupported(`no workload ${unit.workload}`);
  const record = unit.case !== 'eager';
  const backend = wasm({ record });
  await backend.init();
  const running = startWorkload(workload, unit, backend);
  return {
    step: () => running.step(),
    dispatches() {
      const { mode, recordings } = running.explain();
      return mode === 'replayed' ? recordings[0].commands : undefined;
    },
    planBytes: () => running.explain().recordings[0]?.bytes,
    jsMs: () => dryMs(record, (other) => startWorkload(workload, unit, other)),
    async dispose() {
      running.dispose();
      await backend.dispose();
    },
  };
}

/** Steps on an engine whose kernels do nothing, after as many to warm up: what JavaScript takes. */
async function dryMs(record: boolean, begin: (backend: Backend) => Running): Promise<number> {
  const backend = wasm({ record, dryRun: true });
  await backend.init();
  try {
    const running = begin(backend);
    const times: number[] = [];
    const end = performance.now() + 1000;
    // Twice 30 steps, or what a second holds: kernels that are left to JavaScript run even here.
    for (let i = 0; i < 60 && (i < 8 || performance.now() < end); i++) {
      const before = performance.now();
      await running.step();
      times.push(performance.now() - before);
    }
    running.dispose();
    return median(times.slice(times.length >> 1));
  } finally {
    await backend.dispose();
  }
}
