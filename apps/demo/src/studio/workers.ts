import { type Remote, wrap } from 'comlink';
import { keepErrorCodes } from '../worker/calls.js';
import type { StudioWorker } from '../worker/worker.js';

/** A worker of the studio's, and how to be rid of it. */
export interface OpenWorker {
  readonly api: Remote<StudioWorker>;
  close(): void;
}

keepErrorCodes();

export function openWorker(): OpenWorker {
  const worker = new Worker(new URL('../worker/worker.ts', import.meta.url), { type: 'module', name: 'studio' });
  return { api: wrap<StudioWorker>(worker), close: () => worker.terminate() };
}
