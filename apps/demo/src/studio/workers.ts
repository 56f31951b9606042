import { type Remote, wrap } from 'comlink';
import { keepErrorCodes } from '../worker/calls.js';
import type { StudioWorker } from '../worker/worker.js';

/** A worker of the studio's, and how to be rid of it. */
export interface OpenWorker {
  readonly api: { readonly [Part in keyof StudioWorker]: Remote<StudioWorker[Part]> };
  close(): void;
}

keepErrorCodes();

export function openWorker(): OpenWorker {
  const worker = new Worker(new URL('../worker/worker.ts', import.meta.url), {
    type: 'module',
    name: 'studio',
  });
  return {
    // comlink's types don't know that a part of what is exposed is called there too.
    api: wrap(worker) as unknown as OpenWorker['api'],
    close: () => worker.terminate(),
  };
}
