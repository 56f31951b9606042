import { type Remote, wrap } from 'comlink';
import { keepErrorCodes, WorkerError } from '../worker/calls.js';
import type { StudioWorker } from '../worker/worker.js';

/** A worker of the studio's, and how to be rid of it. */
export interface OpenWorker {
  readonly api: { readonly [Part in keyof StudioWorker]: Remote<StudioWorker[Part]> };
  close(): void;
}

keepErrorCodes();

/**
 * A new worker. `onFailure` is told where it couldn't be loaded, or broke: its calls are never answered then, since an
 * error outside of a call belongs to none.
 */
export function openWorker(onFailure: (error: WorkerError) => void): OpenWorker {
  const worker = new Worker(new URL('../worker/worker.ts', import.meta.url), {
    type: 'module',
    name: 'studio',
  });
  worker.addEventListener('error', (event) => {
    event.preventDefault();
    onFailure(
      new WorkerError({ code: 'WORKER_FAILED', message: event.message || 'a script could not be loaded' }),
    );
  });
  return {
    // comlink's types don't know that a part of what is exposed is called there too.
    api: wrap(worker) as unknown as OpenWorker['api'],
    close: () => worker.terminate(),
  };
}
