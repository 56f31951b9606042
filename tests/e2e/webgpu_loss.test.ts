import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { webgpu } from '@tenon-ml/backend-webgpu';
import { type Backend, isTenonError, tensorCount } from '@tenon-ml/core';
import { folderStore } from '@tenon-ml/core/node';
import { type RunEvent, runExperiment } from '@tenon-ml/train';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import own from './fixtures/experiment.js';
import { type HeldGpu, hasGpu, holdGpu } from './gpu.js';
import { filesIn, outcome } from './tenon.js';

const options = { epochs: 2, examples: 120, checkpointEverySteps: 2 };
const seed = 7;
const checkpoint = (step: number): string => `checkpoints/step-${String(step).padStart(9, '0')}.safetensors`;

describe.skipIf(!hasGpu)('a GPU that is lost', { timeout: 120_000 }, () => {
  let folder: string;
  let held: HeldGpu;
  let backend: Backend;
  /** The run that nothing happened to. */
  let whole: Record<string, unknown>;
  const rejections: unknown[] = [];
  const note = (reason: unknown): void => void rejections.push(reason);

  async function run(name: string, resume: boolean, onEvent: (event: RunEvent) => void): Promise<void> {
    const store = folderStore(join(folder, name));
    const events = runExperiment(own, { backend, store, options, seed, resume });
    for await (const event of events) onEvent(event);
  }

  /** What a run ends with whose device is destroyed: right after a step, or so long after. */
  async function lose(name: string, atStep: number, delay?: number): Promise<unknown> {
    const destroy = (): void => held.device.destroy();
    return run(name, false, (event) => {
      if (event.type !== 'step' || event.step !== atStep) return;
      if (delay === undefined) destroy();
      else setTimeout(destroy, delay);
    }).then(
      () => undefined,
      (error) => error,
    );
  }

  beforeAll(async () => {
    process.on('unhandledRejection', note);
    folder = await mkdtemp(join(tmpdir(), 'tenon-loss-'));
    held = await holdGpu();
    backend = webgpu({ gpu: held.gpu });
    await run('whole', false, () => {});
    whole = await outcome(join(folder, 'whole'));
  }, 120_000);
  afterAll(async () => {
    process.off('unhandledRejection', note);
    await backend.dispose();
    await rm(folder, { recursive: true, force: true });
  });

  test.each([
    ['between two steps', 5, undefined, 4],
    ['before a checkpoint is read', 4, undefined, 2],
    ['while it works', 5, 1, 4],
  ] as const)(
    '%s: one error, whole checkpoints, and a resumed run with the same bits',
    async (name, step, delay, saved) => {
      const tensors = tensorCount();
      const error = await lose(name, step, delay);
      if (!isTenonError(error)) throw error ?? new Error('It went on.');
      expect(error.code).toBe('DEVICE_LOST');
      expect(error.message).toMatch(
        /webgpu: the GPU is gone \(its device was destroyed\), and every tensor on it\. Start the backend again \(dispose, init\) and go on from the last checkpoint\.$/,
      );
      const files = await filesIn(join(folder, name));
      expect(files).toContain(checkpoint(saved));
      expect(files.filter((path) => path.endsWith('.tmp'))).toEqual([]);
      expect(files).not.toContain('report.json');

      await backend.dispose();
      expect(tensorCount()).toBe(tensors);
      await backend.init();
      const events: RunEvent[] = [];
      await run(name, true, (event) => void events.push(event));
      expect(events[0]).toMatchObject({ type: 'start', resumed: true });
      expect(events[0].type === 'start' && events[0].step).toBeGreaterThanOrEqual(saved);
      expect(await outcome(join(folder, name))).toEqual(whole);
      expect(rejections).toEqual([]);
    },
  );
});
