/** Our own step as tfjs runs it on its WebGPU backend: every op by itself, those that tfjs lacks in terms of its own. */
import { tfjsBackend } from '@tenon-ml/core';
import * as tf from '@tensorflow/tfjs-core';
import { startWorkload } from '../run_workload.js';
import { findWorkload } from '../workloads/index.js';
import { type Gpus, openGpus, synchronousMs } from './dawn.js';
import { optional, type Started, serve, type Unit, Unsupported } from './serve.js';

await serve(async () => {
  const gpus = await openGpus();
  // tfjs looks for it when it is imported.
  Object.defineProperty(globalThis, 'navigator', { value: { gpu: gpus.gpu }, configurable: true });
  await optional(() => import('@tensorflow/tfjs-backend-webgpu'), '@tensorflow/tfjs-backend-webgpu');
  return { version: tf.version_core, backend: gpus.backend, threads: 1, start: (unit) => start(gpus, unit) };
});

async function start(gpus: Gpus, unit: Unit): Promise<Started> {
  const workload = findWorkload(unit.workload);
  if (!workload) throw new Unsupported(`no workload ${unit.workload}`);
  const backend = tfjsBackend('webgpu');
  await backend.init();
  const running = startWorkload(workload, unit, backend);
  let dispatches: number | undefined;
  return {
    step: () => running.step(),
    /** Known once `jsMs` has run. */
    dispatches: () => dispatches,
    async jsMs() {
      const idle = tfjsBackend(await idleBackend(gpus));
      await idle.init();
      const other = startWorkload(workload, unit, idle);
      const ms = await synchronousMs(() => other.step());
      const before = gpus.dispatches();
      await other.step();
      dispatches = gpus.dispatches() - before;
      other.dispose();
      return ms;
    },
    dispose: () => running.dispose(),
  };
}

/** tfjs's backend once more, under another name, on the GPU that does nothing. */
async function idleBackend({ idle }: Gpus): Promise<string> {
  const name = 'webgpu-idle';
  if (tf.engine().backendNames().includes(name)) return name;
  const { WebGPUBackend } = await import('@tensorflow/tfjs-backend-webgpu');
  const adapter = (await idle.requestAdapter()) as {
    requestDevice(): Promise<ConstructorParameters<typeof WebGPUBackend>[0]>;
    readonly info: ConstructorParameters<typeof WebGPUBackend>[1];
  };
  const device = await adapter.requestDevice();
  for (const { kernelName, kernelFunc } of tf.getKernelsForBackend('webgpu')) {
    tf.registerKernel({ kernelName, kernelFunc, backendName: name });
  }
  tf.registerBackend(name, () => new WebGPUBackend(device, adapter.info), 0);
  return name;
}
