/** Our own packages on `cuda()`, the backend tensorflow being the processor and cuda a GPU: replayed (`step` and the like), and with recording off (`eager`). */
import { cuda } from '@tenon-ml/backend-cuda';
import { startWorkload } from '../run_workload.js';
import { findWorkload } from '../workloads/index.js';
import { type Started, serve, Unavailable, type Unit, Unsupported } from './serve.js';

const threads = Number(process.argv[2]);
const device = process.argv[3] === 'cuda' ? 'gpu' : 'cpu';

await serve(async () => {
  const backend = cuda({ device, threads });
  const info = await backend.init().catch((error: Error) => {
    throw new Unavailable(error.message);
  });
  await backend.dispose();
  return { version: `source (${info.device})`, backend: process.argv[3], threads, start };
});

async function start(unit: Unit): Promise<Started> {
  const workload = findWorkload(unit.workload);
  if (!workload) throw new Unsupported(`no workload ${unit.workload}`);
  const backend = cuda({ device, threads, record: unit.case !== 'eager' });
  await backend.init();
  const running = startWorkload(workload, unit, backend);
  return {
    step: () => running.step(),
    dispatches() {
      const { mode, recordings } = running.explain();
      return mode === 'replayed' ? recordings[0].commands : undefined;
    },
    planBytes: () => running.explain().recordings[0]?.bytes,
    async dispose() {
      running.dispose();
      await backend.dispose();
    },
  };
}
