import { createKey, type NdArray, read, scalar, scalars, treeEntries, upload } from '@tenon-ml/core';
import { batchNorm, conv2d, dense, dropout, flatten, relu, sequential } from '@tenon-ml/layers';
import { softmaxCrossEntropy } from '@tenon-ml/losses';
import { sgd } from '@tenon-ml/optimizers';
import { mul, type Tensor } from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { type Carry, compileTrainStep } from '../../packages/train/src/step.js';
import { started, testedBackend } from '../hosts/tested_backend.js';
import { randomBatch } from './digits_network.js';
import { expectSame } from './kernels/reference.js';

const [backend] = started(testedBackend());
const input = { shape: [null, 8, 8, 1], dtype: 'float32' } as const;
const model = sequential([conv2d(4, 3), batchNorm(), relu(), flatten(), dropout(0.2), dense(10)]);

const crossEntropy = softmaxCrossEntropy();
/** So large that there are gradients beyond 4, which 2^126 times are infinite. */
const loss = Object.assign(
  (prediction: Tensor, target: Tensor) => {
    const { values, weights } = crossEntropy(prediction, target);
    return { values: mul(values, 1000), weights };
  },
  { spec: crossEntropy.spec },
) as unknown as Parameters<typeof compileTrainStep>[0]['loss'];
const agreement = { op: 'network', reduction: 6 } as const;

/** Some steps of the trainer's, the loss of each scaled as told; how they ran, and what they came to. */
async function train(scales: readonly (number | undefined)[]) {
  const optimizer = sgd({ learningRate: 5e-5, momentum: 0.9 });
  const step = compileTrainStep({ model, loss, optimizer, metrics: [], backend });
  const key = createKey(5);
  const { params, state } = model.init(key, input);
  let carry: Carry = upload({ params, state, optimizer: optimizer.init(params), halted: scalar(0) }, backend);
  const seen: { loss: number; halted: number; mode: string }[] = [];
  for (const [i, scale] of scales.entries()) {
    const { images, labels } = randomBatch(i, 6);
    const control = {
      scalars: scalars({ ...optimizer.scalars(i) }),
      key: key.foldIn(i).toNdArray(),
      ...(scale !== undefined && { lossScale: { scale: scalar(scale), inverse: scalar(1 / scale) } }),
    };
    const result = step(carry, { input: images, target: labels }, control);
    carry = result.carry;
    const { loss, halted } = await read(result.seen);
    seen.push({ loss: Number(loss.data[0]), halted: Number(halted.data[0]), mode: step.explain().mode });
  }
  return { seen, arrays: new Map(treeEntries<NdArray>(await read(carry))) };
}

test('a step whose loss is scaled is replayed at every scale, to the numbers of one whose is not', async () => {
  const scales = [1, 2 ** 16, 2 ** 40, 2, 2 ** 15, 2 ** 16];
  const plain = await train(scales.map(() => undefined));
  const scaled = await train(scales);
  expect(scaled.seen.map(({ mode }) => mode).slice(2)).toEqual(scales.slice(2).map(() => 'replayed'));
  expect(plain.seen.map(({ mode }) => mode)).toEqual(scaled.seen.map(({ mode }) => mode));
  const losses = (run: typeof plain): NdArray => ({
    dtype: 'float32',
    shape: [scales.length],
    data: Float32Array.from(run.seen, ({ loss }) => loss),
  });
  expectSame(losses(scaled), losses(plain), agreement);
  expect([...scaled.arrays.keys()]).toEqual([...plain.arrays.keys()]);
  for (const [path, array] of scaled.arrays) expectSame(array, plain.arrays.get(path) as NdArray, agreement);
});

test('a replayed step whose scale is too large for float32 gives back what it was given', async () => {
  const steps = [2, 2, 2];
  const before = await train(steps);
  const after = await train([...steps, 2 ** 126]);
  expect(after.seen.at(-1)).toMatchObject({ halted: 1, mode: 'replayed' });
  expect(Number.isFinite(after.seen.at(-1)?.loss)).toBe(true);
  for (const [path, array] of after.arrays)
    if (path !== 'halted') expectSame(array, before.arrays.get(path) as NdArray, agreement);
});
