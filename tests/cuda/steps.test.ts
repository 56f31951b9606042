import { once } from 'node:events';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { cuda } from '@tenon-ml/backend-cuda';
import {
  compile,
  createKey,
  fromNested,
  read,
  release,
  scalar,
  scalars,
  tensorCount,
  upload,
} from '@tenon-ml/core';
import { conv2d, dense, dropout, flatten, maxPool2d, relu, sequential } from '@tenon-ml/layers';
import { softmaxCrossEntropy } from '@tenon-ml/losses';
import { adam } from '@tenon-ml/optimizers';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { open } from '../../packages/backend-cuda/src/open.js';
import { type Carry, compileTrainStep } from '../../packages/train/src/step.js';
import { startTraining } from '../bench/run_workload.js';
import { soak } from '../bench/soak_workload.js';
import { randomLabels, type TrainingWorkload } from '../bench/workload.js';
import { started } from '../hosts/tested_backend.js';

const device = process.env.TENON_CUDA_DEVICE === 'gpu' ? 'gpu' : 'cpu';
const [replaying, eager] = started(cuda({ device }), cuda({ device, record: false }));

const BATCH = 8;
const IMAGE_BYTES = 6 * 6 * 4;

/** With dropout: its masks are drawn where the step runs. */
const network: TrainingWorkload = {
  kind: 'training',
  name: 'small',
  summary: 'a convolution and two dense layers',
  batches: [BATCH],
  model: sequential([conv2d(8, 3), relu(), maxPool2d(2), flatten(), dense(64), dropout(0.3), dense(3)]),
  input: { shape: [null, 6, 6, 1], dtype: 'float32' },
  parameters: 2_355,
  loss: softmaxCrossEntropy() as TrainingWorkload['loss'],
  data(key, batch) {
    const [pixels, labels] = key.split(2);
    return { input: pixels.uniform([batch, 6, 6, 1]), target: randomLabels(labels, [batch], 3) };
  },
};

/** Bytes of a batch: images and labels. */
const BATCH_BYTES = BATCH * (IMAGE_BYTES + 4);
/** Bytes that a step may bring besides: the random key, rates, and an axis or a shape here and there. */
const FEW = 100;

/** What a trainer reads of a step: its loss, the weighted sum and the weights' total that it is made of, and whether it has halted. */
const READS = 4;

describe('a step keeps its data on the device', () => {
  test('replayed: the batch and a few numbers go there, four numbers come back', async () => {
    const training = startTraining(network, BATCH, replaying);
    for (let i = 0; i < 4; i++) await training.step();
    const before = { ...replaying.counters() };
    for (let i = 0; i < 10; i++) await training.step();
    expect(training.explain().mode).toBe('replayed');
    const after = replaying.counters();
    expect(after.reads - before.reads).toBe(10 * READS);
    expect(after.readBytes - before.readBytes).toBeLessThanOrEqual(10 * READS * 4);
    const brought = (after.uploadedBytes - before.uploadedBytes) / 10;
    expect(brought).toBeGreaterThanOrEqual(BATCH_BYTES);
    expect(brought).toBeLessThanOrEqual(BATCH_BYTES + FEW);
    training.dispose();
  });

  test('eager: shapes and axes go there too, and nothing else comes back', async () => {
    const training = startTraining(network, BATCH, eager);
    for (let i = 0; i < 2; i++) await training.step();
    const before = { ...eager.counters() };
    for (let i = 0; i < 10; i++) await training.step();
    const after = eager.counters();
    expect(after.reads - before.reads).toBe(10 * READS);
    expect(after.readBytes - before.readBytes).toBeLessThanOrEqual(10 * READS * 4);
    // Less than the parameters, which have 9 kB.
    const brought = (after.uploadedBytes - before.uploadedBytes) / 10;
    expect(brought).toBeLessThan(BATCH_BYTES + 4_000);
    training.dispose();
  });
});

describe('what is held', () => {
  test('is the same after a thousand replayed steps', async () => {
    const tensors = tensorCount();
    const { last, mode } = await soak(network, { batch: BATCH, case: 'step' }, replaying, 1000);
    expect([last.step, mode]).toEqual([1000, 'replayed']);
    expect(tensorCount()).toBe(tensors);
  });

  test('is the same after eager steps', async () => {
    const { last, mode } = await soak(network, { batch: BATCH, case: 'step' }, eager, 60);
    expect([last.step, mode]).toEqual([60, 'eager']);
  });

  test('is that of the recordings that are kept, however many batch sizes take turns', async () => {
    const optimizer = adam({ learningRate: 1e-3 });
    const { model, loss } = network;
    const step = compileTrainStep({ model, loss, optimizer, metrics: [], backend: replaying });
    const key = createKey(1);
    const { params, state } = model.init(key, network.input);
    let carry: Carry = {
      ...upload({ params, state, optimizer: optimizer.init(params) }, replaying),
      halted: upload(scalar(0), replaying),
    };
    const control = { scalars: scalars({ ...optimizer.scalars(0) }), key: key.toNdArray() };
    /** Three steps of each size: the second one makes a recording, and that used longest ago goes. */
    const take = async (sizes: readonly number[]): Promise<number> => {
      for (const size of sizes) {
        for (let i = 0; i < 3; i++) {
          const result = step(carry, network.data(key, size), control);
          carry = result.carry;
          await read(result.seen);
        }
      }
      return replaying.memory().inUse;
    };
    const sizes = Array.from({ length: 18 }, (_, i) => 1 + i);
    const first = await take(sizes);
    expect(await take(sizes)).toBe(first);
    expect(step.explain().recordings).toHaveLength(16);
    release(carry as never);
  });
});

describe('a replay that throws', () => {
  test('leaves nothing behind, and the next one works', async () => {
    const rows = compile(
      (table: tf.Tensor, ids: tf.Tensor) => {
        const doubled = tf.add(table, table);
        return { rows: tf.gather(doubled, ids as tf.Tensor1D), table: tf.add(doubled, 1) };
      },
      { backend: replaying },
    );
    const table = upload(fromNested([[1], [2]]), replaying);
    const call = async (id: number) => {
      const result = rows(table, fromNested([id], 'int32'));
      return (await read(result)).rows.data[0];
    };
    for (let i = 0; i < 3; i++) expect(await call(1)).toBe(4);
    expect(rows.explain().mode).toBe('replayed');
    const before = [tensorCount(), replaying.memory().inUse];
    for (let i = 0; i < 3; i++) await expect(call(7)).rejects.toThrow(/7 is not in \[0, 2\)/);
    expect([tensorCount(), replaying.memory().inUse]).toEqual(before);
    expect(await call(0)).toBe(2);
    release(table);
  });
});

describe('a backend that is disposed of', () => {
  test('leaves nothing in TensorFlow: neither tensors nor what plans keep', async () => {
    const { binding } = open({ device });
    const before = binding.getNumOfTensors();
    const backend = cuda({ device });
    await backend.init();
    const shift = compile((x: tf.Tensor) => tf.add(x, tf.range(0, 3)), { backend });
    for (let i = 0; i < 4; i++) shift(fromNested([1, 2, 3]));
    expect(binding.getNumOfTensors()).toBeGreaterThan(before);
    await backend.dispose();
    expect(binding.getNumOfTensors()).toBe(before);
  });
});

describe('what TensorFlow refuses', () => {
  test.each([
    ['device', { device: 'tpu' }],
    ['threads', { threads: 0 }],
    ['threads', { threads: 1.5 }],
    ['visibleDevices', { visibleDevices: [] }],
    ['visibleDevices', { visibleDevices: [-1] }],
  ] as const)('the option %s of %j', async (option, options) => {
    await expect(cuda(options as object).init()).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      where: `cuda, ${option}`,
    });
  });

  test('to run in a worker, whose environment it doesn’t see', async () => {
    const built = join(import.meta.dirname, '../../packages/backend-cuda/dist/index.js');
    const worker = new Worker(
      `import(${JSON.stringify(pathToFileURL(built).href)})
        .then(({ cuda }) => cuda({ device: 'cpu' }).init())
        .then(() => 'started', ({ code, message }) => code + ': ' + message)
        .then((said) => require('node:worker_threads').parentPort.postMessage(said));`,
      { eval: true, execArgv: [] },
    );
    const [said] = await once(worker, 'message');
    await worker.terminate();
    expect(said).toMatch(/^BACKEND_UNAVAILABLE: cuda: it runs on the main thread/);
  });

  test('another cuda() with other options in one process', async () => {
    await expect(cuda({ device, threads: 7 }).init()).rejects.toMatchObject({
      code: 'BACKEND_UNAVAILABLE',
      message: expect.stringContaining('with other options'),
    });
  });

  test.skipIf(device === 'gpu')('the GPU of a set-up for the CPU', async () => {
    await expect(cuda({ device: 'gpu' }).init()).rejects.toMatchObject({
      code: 'BACKEND_UNAVAILABLE',
      message: expect.stringMatching(/was set up for the CPU.*tenon setup cuda --device gpu/),
    });
  });

  test('more than there is room for is OUT_OF_MEMORY, and leaves everything as it was', async () => {
    const before = [tensorCount(), replaying.memory().inUse];
    const huge = compile((x: tf.Tensor) => tf.tile(x, [2 ** 20, 2 ** 20]), { backend: replaying });
    const x = fromNested([[1, 2]]);
    expect(() => huge(x)).toThrow(expect.objectContaining({ code: 'OUT_OF_MEMORY' }));
    expect([tensorCount(), replaying.memory().inUse]).toEqual(before);
    const double = compile((y: tf.Tensor) => tf.add(y, y), { backend: replaying });
    expect([...(await read(double(x))).data]).toEqual([2, 4]);
  });

  test('what an op says is said, with the op', () => {
    const bad = compile(
      (a: tf.Tensor) =>
        tf.engine().runKernel(
          'Conv2D',
          { x: a, filter: a } as never,
          {
            strides: 1,
            pad: 'valid',
            dataFormat: 'NHWC',
            dilations: 1,
          } as never,
        ) as tf.Tensor,
      { backend: eager },
    );
    const x = upload(createKey(1).uniform([1, 4, 4, 2]), eager);
    expect(() => bad(x)).toThrow(/TensorFlow's Conv2D: /);
    release(x);
  });
});
