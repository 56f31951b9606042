/**
 * Our own packages on `webgpu()`: replayed (`step` and the like), in mixed precision (`mixed`), and with recording off
 * (`eager`).
 */
import { webgpu } from '@tenon-ml/backend-webgpu';
import { startWorkload } from '../run_workload.js';
import { findWorkload } from '../workloads/index.js';
import { type Gpus, openGpus, synchronousMs } from './dawn.js';
import { type Started, serve, type Unit, Unsupported } from './serve.js';

await serve(async () => {
  const gpus = await openGpus();
  return { version: 'source', backend: gpus.backend, threads: 1, start: (unit) => start(gpus, unit) };
});

async function start(gpus: Gpus, unit: Unit): Promise<Started> {
  const workload = findWorkload(unit.workload);
  if (!workload) throw new Unsupported(`no workload ${unit.workload}`);
  const record = unit.case !== 'eager';
  const backend = webgpu({ gpu: gpus.gpu, record });
  await backend.init();
  if (unit.case === 'mixed' && !backend.recorder?.precisions?.includes('mixed-float16')) {
    await backend.dispose();
    throw new Unsupported('this GPU has no float16');
  }
  const running = startWorkload(workload, unit, backend);
  let dispatches: number | undefined;
  return {
    step: () => running.step(),
    /** Known once `jsMs` has run. */
    dispatches: () => dispatches,
    planBytes: () => running.explain().recordings[0]?.bytes,
    async jsMs() {
      const idle = webgpu({ gpu: gpus.idle, record });
      await idle.init();
      const other = startWorkload(workload, unit, idle);
      const ms = await synchronousMs(() => other.step());
      const before = gpus.dispatches();
      await other.step();
      dispatches = gpus.dispatches() - before;
      other.dispose();
      await idle.dispose();
      return ms;
    },
    async dispose() {
      running.dispose();
      await backend.dispose();
    },
  };
}
