import { beforeEach, expect, test, vi } from 'vitest';
import { ModelView } from '../src/studio/model_view.svelte.js';
import type { Studio } from '../src/studio/studio.svelte.js';
import type { OpenWorker } from '../src/studio/workers.js';
import type { SubjectInfo } from '../src/worker/protocol_subject.js';

const opened: OpenWorker[] = [];
const { next } = vi.hoisted(() => ({ next: { openRun: async (): Promise<unknown> => null } }));
vi.mock('../src/studio/workers.js', () => ({
  openWorker: () => {
    const worker = workerOf({ openRun: () => next.openRun() });
    opened.push(worker);
    return worker;
  },
}));

function workerOf(subject: object): OpenWorker {
  return { api: { subject }, close: vi.fn() } as unknown as OpenWorker;
}

const infoOf = (step: number): SubjectInfo => ({ step }) as SubjectInfo;

/** A run as far as the view asks of it. */
function runOf(given: object): NonNullable<Studio['run']> {
  return {
    id: 'r',
    status: 'training',
    position: { step: 5 },
    report: null,
    worker: null,
    ...given,
  } as never;
}

beforeEach(() => {
  opened.length = 0;
  // Svelte's compiler isn't here: state is what it holds.
  const state = Object.assign(<T>(value: T): T => value, { raw: <T>(value: T): T => value });
  vi.stubGlobal('$state', state);
});

test('an answer that another run has overtaken is not taken over', async () => {
  let answer = (_: SubjectInfo): void => {};
  const slow = new Promise<SubjectInfo>((resolve) => {
    answer = resolve;
  });
  const studio = { run: runOf({ worker: workerOf({ info: () => slow }) }) };
  const view = new ModelView(studio as unknown as Studio);
  const first = view.refresh();
  studio.run = runOf({ worker: workerOf({ info: async () => infoOf(2) }) });
  await view.refresh();
  answer(infoOf(1));
  await first;
  expect(view.info).toEqual(infoOf(2));
});

test('a saved model that cannot be opened is told of once more when it is asked for again', async () => {
  const run = runOf({ status: 'ended', report: {} });
  const view = new ModelView({ run } as unknown as Studio);
  view.info = infoOf(1);
  next.openRun = async () => {
    throw new Error('damaged');
  };
  await expect(view.refresh()).rejects.toThrow('damaged');
  expect(view.info).toBeNull();
  expect(run.worker).toBeNull();
  expect(opened[0].close).toHaveBeenCalled();
  next.openRun = async () => infoOf(9);
  await view.refresh();
  expect(view.info).toEqual(infoOf(9));
});

test.each(['starting', 'failed'])('a run that is %s has nothing to ask', async (status) => {
  const info = vi.fn();
  const view = new ModelView({ run: runOf({ status, worker: workerOf({ info }) }) } as unknown as Studio);
  await view.refresh();
  expect(view.info).toBeNull();
  expect(info).not.toHaveBeenCalled();
});
