import { createRegistry, fromZip, readModel } from '@tenon-ml/core';
import { transforms } from '@tenon-ml/data';
import { fitNetwork, presets } from '@tenon-ml/experiment';
import { dense, embedding, positionEmbedding, sequential } from '@tenon-ml/layers';
import { layers } from '@tenon-ml/layers/all';
import { beforeEach, expect, test, vi } from 'vitest';
import type { RunOrigin } from '../src/worker/protocol.js';
import { createRunHost } from '../src/worker/run.js';
import { createSubjectHost } from '../src/worker/subject_host.js';
import { folders, storage, stubLocks } from './worker_support.js';

vi.mock('@tenon-ml/core/browser', async () => (await import('./worker_support.js')).storage);

beforeEach(() => {
  folders.clear();
  stubLocks();
});

const [{ document }] = presets;
const training = { ...document.training, epochs: 1 };
const origin: RunOrigin = {
  document: { ...document, training },
  dataId: null,
  backend: 'wasm',
  created: 1,
};

/** A run of an epoch, and what looks into it. */
function begin(from: RunOrigin = origin) {
  const host = createRunHost();
  return { host, subject: createSubjectHost(host), ended: host.start('one', from, false, () => {}) };
}

/** Until the network has made a step. */
function trained(host: ReturnType<typeof createRunHost>): Promise<unknown> {
  return vi.waitFor(() => expect(host.inside()?.step()).toBeGreaterThan(0), { timeout: 20_000, interval: 1 });
}

/** Asks again and again until the run is over: some wait for their turn whenever it ends. */
async function askUntil(ended: Promise<void>, ask: () => Promise<unknown>): Promise<unknown[]> {
  let over = false;
  void ended.then(() => {
    over = true;
  });
  const asked: Promise<unknown>[] = [];
  while (!over) {
    asked.push(ask().then(() => null, String));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return (await Promise.all(asked)).filter((error) => error !== null);
}

test('what is asked while a run ends is answered, by its saved model in the end', async () => {
  const { host, subject, ended } = begin();
  await trained(host);
  expect(await askUntil(ended, () => subject.answer({ example: 0 }))).toEqual([]);
  expect((await subject.info()).step).toBeNull();
});

test('a text goes on when its run ends', async () => {
  const store = await storage.opfsStore('data/text');
  await store.write(
    'text.txt',
    new TextEncoder().encode('to be or not to be, that is the question\n'.repeat(40)),
  );
  const network = sequential([embedding(20, 4), positionEmbedding(8), dense(20)]).spec;
  const data = { source: 'text', file: 'text.txt', context: 8, stepsPerEpoch: 200 } as const;
  const text = presets.find(({ id }) => id === 'text-gpt')?.document as typeof document;
  const fitted = fitNetwork(
    { ...text, network, data, training: { ...text.training, epochs: 1 } },
    {
      vocabulary: new Set('to be or not to be, that is the question\n').size,
    },
  );
  const { host, subject, ended } = begin({ ...origin, document: fitted, dataId: 'text' });
  await trained(host);
  let written = '';
  await subject.text({ prompt: '', length: 30, temperature: 1, topK: 0, seed: 0 }, async (character) => {
    written += character;
    if (written.length === 3) {
      await ended;
      // The saved model answers from here on.
      await subject.info();
    }
  });
  expect(written).toHaveLength(30);
});

test('a zip of a running run holds its model as it stands', async () => {
  const { host, subject, ended } = begin();
  await trained(host);
  const zip = fromZip(await subject.bundle('one', null, false));
  expect((await readModel(zip, createRegistry(layers, transforms))).outputActivation).toBe('softmax');
  await ended;
});

test('what is asked while a model is opened waits for it', async () => {
  await begin().ended;
  const subject = createSubjectHost(createRunHost());
  const [opened, asked] = await Promise.all([subject.openRun('one', origin), subject.info()]);
  expect(asked).toEqual(opened);
  const store = await storage.opfsStore('runs/one');
  const files = await Promise.all(
    (await store.list()).map(async (path) => [path, await store.read(path)] as const),
  );
  const other = createSubjectHost(createRunHost());
  const [fromFiles, info] = await Promise.all([other.openFiles('files', files, 'wasm'), other.info()]);
  expect(info).toEqual(fromFiles);
  await expect(createSubjectHost(createRunHost()).info()).rejects.toMatchObject({ code: 'USAGE' });
});
