import { memoryStore, type NdArray, writeSafetensors } from '@tenon-ml/core';
import { type ExperimentDocument, presets } from '@tenon-ml/experiment';
import { dense, flatten, sequential } from '@tenon-ml/layers';
import { beforeEach, expect, test, vi } from 'vitest';
import { createBackend } from '../src/worker/backends.js';
import type { Picture } from '../src/worker/protocol.js';
import { createRunHost } from '../src/worker/run.js';
import { rawInput, type Subject, subjectOfStore } from '../src/worker/subject.js';
import { folders, storage, stubLocks } from './worker_support.js';

vi.mock('@tenon-ml/core/browser', async () => (await import('./worker_support.js')).storage);

beforeEach(() => {
  folders.clear();
  stubLocks();
});

/** The subject of a run on pictures of two classes, those of the first before those of the second. */
async function subjectOn(input: NdArray): Promise<Subject> {
  const count = input.shape[0];
  const target = Int32Array.from({ length: count }, (_, i) => (i < count / 2 ? 0 : 1));
  const bytes = writeSafetensors({ input, target: { dtype: 'int32', shape: [count], data: target } });
  const files = memoryStore([['data.safetensors', bytes]]);
  folders.set('data/d', files);
  const preset = presets.find(({ id }) => id === 'pictures-cnn')?.document as ExperimentDocument;
  const document: ExperimentDocument = {
    ...preset,
    data: { source: 'arrays', file: 'data.safetensors', classNames: ['first', 'second'] },
    network: sequential([flatten(), dense(2)]).spec,
    augmentation: { flip: false, shift: 0 },
    training: { ...preset.training, epochs: 1 },
  };
  await createRunHost().start(
    'one',
    { document, dataId: 'd', backend: 'wasm', created: 1 },
    false,
    (update) => {
      if (update.error) throw new Error(update.error.message);
    },
  );
  return subjectOfStore(await storage.opfsStore('runs/one'), files, await createBackend('wasm'));
}

const white: Picture = { width: 1, height: 1, rgba: Uint8ClampedArray.of(255, 255, 255, 255) };
const black: Picture = { width: 1, height: 1, rgba: Uint8ClampedArray.of(0, 0, 0, 255) };

test('the first examples that are looked at are of all classes, whatever the order of the file', async () => {
  const subject = await subjectOn({ dtype: 'uint8', shape: [200, 2, 2, 1], data: new Uint8Array(800) });
  for (const part of [subject.parts?.train, subject.parts?.held]) {
    const examples = (await part?.take(16).toArray()) ?? [];
    const labels = examples.map(({ target }) => target.data[0]);
    expect(new Set(labels)).toEqual(new Set([0, 1]));
    expect((await part?.take(16).toArray())?.map(({ target }) => target.data[0])).toEqual(labels);
  }
});

test('a picture is given within the range of the data', async () => {
  const values = Float32Array.from({ length: 80 }, (_, i) => (i % 2 === 0 ? -1 : 3));
  const subject = await subjectOn({ dtype: 'float32', shape: [20, 2, 2, 1], data: values });
  expect((await rawInput(subject, { picture: white })).data[0]).toBeCloseTo(3);
  expect((await rawInput(subject, { picture: black })).data[0]).toBeCloseTo(-1);
});

test('pictures of 8 × 8 greys that are no digits are not taken for them', async () => {
  const subject = await subjectOn({ dtype: 'uint8', shape: [20, 8, 8, 1], data: new Uint8Array(20 * 64) });
  const { data } = await rawInput(subject, { picture: white });
  expect([...data]).toEqual(new Array(64).fill(255));
});
