import { presets } from '@tenon-ml/experiment';
import { beforeEach, expect, test, vi } from 'vitest';
import type { RunOrigin, RunStatus, RunUpdate } from '../src/worker/protocol.js';
import { createRunHost, type RunHost } from '../src/worker/run.js';
import { folders, storage, stubLocks } from './worker_support.js';

vi.mock('@tenon-ml/core/browser', async () => (await import('./worker_support.js')).storage);

beforeEach(() => {
  folders.clear();
  stubLocks();
});

const [{ document }] = presets;

function originOf(epochs: number): RunOrigin {
  const training = { ...document.training, epochs };
  return { document: { ...document, training }, dataId: null, backend: 'wasm', created: 1 };
}

/** A run, what it told, and a wait for a status. */
function begin(host: RunHost, epochs: number) {
  const updates: RunUpdate[] = [];
  const waiting = new Set<() => void>();
  const ended = host.start('one', originOf(epochs), false, (update) => {
    updates.push(update);
    for (const check of waiting) check();
  });
  const status = (...wanted: readonly RunStatus[]): Promise<void> =>
    new Promise((resolve) => {
      const check = (): void => {
        if (!wanted.includes(updates.at(-1)?.status as RunStatus)) return;
        waiting.delete(check);
        resolve();
      };
      waiting.add(check);
      check();
    });
  return { updates, ended, status };
}

test('a run that is stopped while it is about to pause ends', async () => {
  const host = createRunHost();
  const run = begin(host, 1000);
  await run.status('training');
  host.pause();
  host.stop();
  await run.ended;
  expect(run.updates.at(-1)).toMatchObject({ status: 'stopped', report: { reason: 'aborted' } });
});

test('one step is a step, also where an epoch ends before it', async () => {
  const host = createRunHost();
  const run = begin(host, 1000);
  await run.status('training');
  host.pause();
  await run.status('paused');
  const at = (): number => run.updates.at(-1)?.position.step ?? 0;
  const { stepsPerEpoch } = run.updates.at(-1)?.position ?? {};
  // Past the end of the epoch, one by one.
  for (let more = (stepsPerEpoch ?? 0) + 1; more > 0; more--) {
    const before = at();
    const next = run.status('pausing').then(() => run.status('paused'));
    host.step();
    await next;
    expect(at()).toBe(before + 1);
  }
  host.stop();
  await run.ended;
});

test('a run that is stopped in the step that was asked for ends', async () => {
  const host = createRunHost();
  const run = begin(host, 1000);
  await run.status('training');
  host.pause();
  await run.status('paused');
  host.step();
  host.stop();
  await run.ended;
  expect(run.updates.at(-1)?.status).toBe('stopped');
});

test('a run whose first write fails has failed, and frees its trainer', async () => {
  const host = createRunHost();
  let inside: ReturnType<typeof host.inside> = null;
  const store = await storage.opfsStore('runs/one');
  const write = store.write.bind(store);
  vi.spyOn(store, 'write').mockImplementation(async (path, bytes) => {
    if (path !== 'run.json') return write(path, bytes);
    inside = host.inside();
    throw new Error('broken');
  });
  const run = begin(host, 1000);
  await run.ended;
  expect(run.updates.at(-1)).toMatchObject({ status: 'failed', error: { message: 'broken' } });
  expect(host.inside()).toBeNull();
  const { trainer } = inside as unknown as NonNullable<ReturnType<typeof host.inside>>;
  await expect(trainer.artifact()).rejects.toMatchObject({ code: 'USAGE' });
});
