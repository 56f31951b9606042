import { type Backend, compile, type NdArray, read, release, scalar, tensorCount } from '@tenon-ml/core';
import { cpu } from '@tenon-ml/testkit';
import { getBackend, setBackend, type Tensor } from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { testedBackend, testedDevice } from '../hosts/tested_backend.js';
import {
  adamCorrection,
  initialState,
  randomBatch,
  type TrainingState,
  trainStep,
} from './digits_network.js';

const STEPS = 4;
const BATCH = 3;
const MANY = testedDevice === 'gpu' ? 100 : 500;
const WIDTH = 4;

/** A model in training: one call of `next` is one step. */
function trainOn(backend: Backend, seed: number) {
  const step = compile(trainStep, { backend, donate: [0] });
  let state: TrainingState<Tensor> | TrainingState<NdArray> = initialState(seed, WIDTH);
  let count = 0;
  const losses: NdArray[] = [];
  return {
    async next(): Promise<void> {
      count++;
      const { images, labels } = randomBatch(seed * 1000 + count, BATCH);
      const output = step(state, images, labels, scalar(adamCorrection(count)));
      state = output.state;
      losses.push(await read(output.loss));
    },
    async end(): Promise<{ losses: NdArray[]; state: TrainingState<NdArray> }> {
      return { losses, state: await read(state as TrainingState<Tensor>) };
    },
  };
}

type Result = Awaited<ReturnType<ReturnType<typeof trainOn>['end']>>;

const reached = new Map<string, Promise<Result>>();

/** What a seed reaches on a backend of its own. Trained once, since a GPU's shaders take their time to compile. */
function trainAlone(create: () => Backend, seed: number): Promise<Result> {
  const key = `${create.name} ${seed}`;
  const known = reached.get(key) ?? trainOnNew(create(), seed);
  reached.set(key, known);
  return known;
}

async function trainOnNew(backend: Backend, seed: number): Promise<Result> {
  await backend.init();
  const run = trainOn(backend, seed);
  for (let i = 0; i < STEPS; i++) await run.next();
  const result = await run.end();
  await backend.dispose();
  return result;
}

test.each([
  { name: 'with tfjs cpu', backends: [testedBackend, cpu] },
  { name: 'with another of its kind', backends: [testedBackend, testedBackend] },
])('two models train interleaved, each to the bits that it reaches alone: $name', async ({ backends }) => {
  const alone = [await trainAlone(backends[0], 1), await trainAlone(backends[1], 2)];
  expect(alone[0].losses.map(({ data }) => data[0])).not.toEqual(alone[1].losses.map(({ data }) => data[0]));

  const before = tensorCount();
  const [first, second] = [backends[0](), backends[1]()];
  await first.init();
  await second.init();
  await setBackend('cpu');
  const runs = [trainOn(first, 1), trainOn(second, 2)];
  for (let i = 0; i < STEPS; i++) for (const run of runs) await run.next();
  expect(await runs[0].end()).toEqual(alone[0]);
  expect(await runs[1].end()).toEqual(alone[1]);
  expect(getBackend()).toBe('cpu');
  expect(tensorCount()).toBe(before);
  await first.dispose();
  await second.dispose();
});

test('two models train at the same time, their reads in any order', async () => {
  const alone = [await trainAlone(testedBackend, 1), await trainAlone(testedBackend, 2)];
  const backends = [testedBackend(), testedBackend()];
  const results = await Promise.all(
    backends.map(async (backend, i) => {
      await backend.init();
      const run = trainOn(backend, i + 1);
      for (let step = 0; step < STEPS; step++) await run.next();
      return run.end();
    }),
  );
  expect(results).toEqual(alone);
  for (const backend of backends) await backend.dispose();
});

test('disposing of one in the middle leaves the other one alone', async () => {
  const alone = await trainAlone(testedBackend, 1);
  const [first, second] = [testedBackend(), testedBackend()];
  await first.init();
  await second.init();
  const runs = [trainOn(first, 1), trainOn(second, 2)];
  for (let i = 0; i < STEPS; i++) {
    await runs[0].next();
    if (i < 2) await runs[1].next();
    if (i === 1) await second.dispose();
  }
  expect(await runs[0].end()).toEqual(alone);
  await first.dispose();
});

test(`${MANY} steps hold as many tensors as 5`, async () => {
  const backend = testedBackend();
  await backend.init();
  const step = compile(trainStep, { backend, donate: [0] });
  const { images, labels } = randomBatch(1, 1);
  let state: Parameters<typeof step>[0] = initialState(1, WIDTH);
  let after5 = 0;
  for (let i = 1; i <= MANY; i++) {
    const { state: next, loss } = step(state, images, labels, scalar(adamCorrection(i)));
    state = next;
    release(loss);
    if (i === 5) after5 = tensorCount();
  }
  expect(tensorCount()).toBe(after5);
  await backend.dispose();
});
