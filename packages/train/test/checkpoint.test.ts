import {
  type ArtifactStore,
  memoryStore,
  readSafetensors,
  TenonError,
  writeSafetensors,
} from '@tenon-ml/core';
import { rescale } from '@tenon-ml/data';
import { dense, relu, sequential } from '@tenon-ml/layers';
import { softmaxCrossEntropy } from '@tenon-ml/losses';
import { sgd } from '@tenon-ml/optimizers';
import { describe, expect, test } from 'vitest';
import {
  type CheckpointOptions,
  createTrainer,
  listCheckpoints,
  readLatestCheckpoint,
  type TrainerOptions,
} from '../src/index.js';
import { contents, expectSameWeights, parts, shuffledBatches, weights } from './support.js';

interface Life {
  /** Ends this process' part, without a word, after so many of its steps. */
  readonly stop?: number;
  readonly options?: Partial<TrainerOptions>;
  readonly resume?: boolean;
  readonly checkpoints?: Partial<CheckpointOptions>;
}

/** 14 steps in two epochs. */
async function train(store: ArtifactStore, life: Life = {}) {
  const { stop = Number.POSITIVE_INFINITY, options, resume = true } = life;
  const trainer = await createTrainer(parts(options));
  try {
    const checkpoints = { store, everySteps: 2, ...life.checkpoints };
    let steps = 0;
    for await (const event of trainer.run(shuffledBatches(), { epochs: 2, checkpoints, resume })) {
      if (event.type === 'step' && ++steps === stop) break;
    }
    return await weights(trainer);
  } finally {
    trainer.dispose();
  }
}

const steps = async (store: ArtifactStore): Promise<number[]> =>
  (await listCheckpoints(store)).map((path) => Number(/\d+/.exec(path)?.[0]));

/** Writes a checkpoint anew, with other metadata. */
async function edit(store: ArtifactStore, path: string, change: (metadata: Record<string, string>) => void) {
  const { tensors, metadata } = readSafetensors(await store.read(path));
  const changed = { ...metadata };
  change(changed);
  await store.write(path, writeSafetensors(tensors, changed));
}

describe('which are kept', () => {
  test('the newest two, or as many as is said', async () => {
    const store = memoryStore();
    await train(store, { stop: 9 });
    expect(await steps(store)).toEqual([7, 8]);
    const more = memoryStore();
    await train(more, { stop: 11, checkpoints: { keep: 3 } });
    expect(await steps(more)).toEqual([7, 8, 10]);
  });

  test('not damaged ones that a resume has passed over: the new ones are', async () => {
    const store = memoryStore();
    await train(store, { stop: 9, checkpoints: { keep: 4 } });
    expect(await steps(store)).toEqual([4, 6, 7, 8]);
    for (const path of (await listCheckpoints(store)).slice(1)) await store.write(path, new Uint8Array(5));
    await train(store, { stop: 2, checkpoints: { keep: 1, everySteps: 1 } });
    expect(await steps(store)).toEqual([5]);
  });

  test('files of other names are nobody’s', async () => {
    const store = memoryStore([['checkpoints/notes.txt', new Uint8Array(1)]]);
    await train(store, { stop: 9 });
    expect(await store.list('checkpoints/notes')).toHaveLength(1);
    expect(await steps(store)).toEqual([7, 8]);
  });
});

describe('which is taken up', () => {
  test('the one before a damaged one, to the same bits; if all are damaged, the newest is named', async () => {
    const store = memoryStore();
    await train(store, { stop: 9 });
    const [older, newer] = await listCheckpoints(store);
    await store.write(newer, (await store.read(newer)).subarray(0, 500));
    expect((await readLatestCheckpoint(store))?.path).toBe(older);
    expectSameWeights(await train(store), await train(memoryStore()));
    const broken = memoryStore([
      [older, new Uint8Array(3)],
      [newer, new Uint8Array(4)],
    ]);
    await expect(train(broken)).rejects.toThrow(newer);
  });

  test.each([
    ['is missing', undefined, /JSON as 'position', got nothing/],
    ['does not parse', '{"step":', /JSON as 'position', got text that does not parse/],
  ])('not one whose position %s', async (_, position, message) => {
    const store = memoryStore();
    await train(store, { stop: 9 });
    const [older, newer] = await listCheckpoints(store);
    const spoil = (metadata: Record<string, string>) => {
      if (position === undefined) delete metadata.position;
      else metadata.position = position;
    };
    await edit(store, newer, spoil);
    expect((await readLatestCheckpoint(store))?.path).toBe(older);
    await edit(store, older, spoil);
    const error = await readLatestCheckpoint(store).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: 'CHECKPOINT_INVALID', message: expect.stringMatching(message) });
  });

  test('none, where the newest is sound and only can’t be read', async () => {
    const store = memoryStore();
    await train(store, { stop: 9 });
    const [, newer] = await listCheckpoints(store);
    const locked: ArtifactStore = {
      ...store,
      read: async (path) => {
        if (path === newer) throw new TenonError({ code: 'PERMISSION_DENIED', message: 'locked' });
        return store.read(path);
      },
    };
    await expect(train(locked)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
  });

  test('none by a run that does not resume: it is refused before it trains', async () => {
    const store = memoryStore();
    await train(store, { stop: 9 });
    const before = await contents(store);
    const error = await train(store, { resume: false, options: { seed: 9 } }).catch((e: unknown) => e);
    expect(error).toMatchObject({
      code: 'USAGE',
      message: expect.stringMatching(/step-000000008.*another run's.*`resume: true`/),
    });
    expect(await contents(store)).toEqual(before);
  });
});

describe('whose they are', () => {
  test.each<[string, Partial<TrainerOptions>, string]>([
    [
      'model',
      { model: sequential([dense(9), relu(), dense(3)]) },
      'the model that the run began with, children.dense_1.units: 8, got 9',
    ],
    ['optimizer', { optimizer: sgd({ learningRate: 0.1 }) }, 'the optimizer that the run began with, '],
    ['seed', { seed: 4 }, 'the seed that the run began with, 3, got 4.'],
    [
      'loss',
      { loss: softmaxCrossEntropy({ labelSmoothing: 0.1 }) },
      'the loss that the run began with, labelSmoothing: 0, got 0.1',
    ],
    ['list of metrics', { metrics: [] }, 'the metrics that the run began with, 0: "accuracy", got nothing'],
    [
      'preprocessing',
      { preprocessing: [rescale({ scale: 2 })] },
      'the preprocessing that the run began with, 0: nothing, got {"transform":"rescale"',
    ],
  ])('another %s is refused, with the first thing that differs', async (_, options, message) => {
    const store = memoryStore();
    await train(store, { stop: 9 });
    const error = await train(store, { options }).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: 'CHECKPOINT_INVALID' });
    expect((error as Error).message).toContain(message);
    expect((error as Error).message).toContain('The experiment was changed since: start a new run.');
  });

  test('what a checkpoint does not tell is not held against it', async () => {
    const store = memoryStore();
    await train(store, { stop: 9 });
    for (const path of await listCheckpoints(store)) {
      await edit(store, path, (metadata) => {
        const { loss: _, metrics: __, preprocessing: ___, ...first } = JSON.parse(metadata.identity);
        metadata.identity = JSON.stringify(first);
      });
    }
    expectSameWeights(await train(store), await train(memoryStore()));
  });
});

test('a store that fails while a checkpoint is written leaves the one before, and the error comes out', async () => {
  const inner = memoryStore();
  let failing = false;
  const store: ArtifactStore = {
    ...inner,
    write: async (path, bytes) => {
      if (failing) throw new Error('no space');
      return inner.write(path, bytes);
    },
  };
  await train(store, { stop: 9, checkpoints: { everySteps: 4 } });
  const before = await contents(inner);
  failing = true;
  await expect(train(store, { checkpoints: { everySteps: 4 } })).rejects.toThrow('no space');
  expect(await contents(inner)).toEqual(before);
});
