import {
  add,
  conv2d,
  customGrad,
  engine,
  keep,
  matMul,
  maxPool,
  mul,
  onesLike,
  relu,
  reshape,
  sub,
  sum,
  type Tensor,
  type Tensor2D,
  type Tensor4D,
} from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  type Backend,
  compile,
  createContext,
  createKey,
  type Device,
  fromNested,
  type Host,
  type Leaf,
  randomUniform,
  read,
  release,
  sameBits,
  scalar,
  softmaxCrossEntropyRows,
  type Tree,
  tensorCount,
  treeZip,
  upload,
  valueAndGrad,
  weightedMean,
  zeros,
} from '../src/index.js';
import { anotherCpu, cpu } from './support.js';

type Network = {
  readonly conv: { readonly kernel: Leaf; readonly bias: Leaf };
  readonly dense: { readonly kernel: Leaf; readonly bias: Leaf };
};

let backend: Backend;
beforeAll(async () => {
  backend = await cpu();
});

const key = createKey(7);
const initial: Host<Network> = {
  conv: { kernel: key.foldIn('conv').normal([3, 3, 1, 2], 0, 0.3), bias: zeros([2]) },
  dense: { kernel: key.foldIn('dense').normal([8, 3], 0, 0.3), bias: zeros([3]) },
};
const images = key.foldIn('images').uniform([4, 4, 4, 1]);
const labels = fromNested([
  [1, 0, 0],
  [0, 1, 0],
  [0, 0, 1],
  [1, 0, 0],
]);

function forward(p: Device<Network>, x: Tensor, stepKey: Tensor): Tensor {
  const convolved = relu(add(conv2d(x as Tensor4D, p.conv.kernel as Tensor4D, 1, 'same'), p.conv.bias));
  const pooled = reshape(maxPool(convolved as Tensor4D, 2, 2, 'valid'), [x.shape[0], 8]);
  const { random } = createContext({ training: true, key: stepKey }).child('dropout');
  const noisy = mul(pooled, randomUniform(random, pooled.shape));
  return add(matMul(noisy as Tensor2D, p.dense.kernel as Tensor2D), p.dense.bias);
}

function update<T extends Tree<Tensor>>(a: T, b: T, f: (a: Tensor, b: Tensor) => Tensor): T {
  return treeZip<Tensor, Tensor, Tensor>(a, b, f) as T;
}

/** A small convolutional network with random noise, an op of ours, momentum and an aux output. */
function makeStep(on: Backend) {
  return compile(
    (
      { params, momentum }: { params: Device<Network>; momentum: Device<Network> },
      x: Tensor,
      y: Tensor,
      stepKey: Tensor,
      rate: Tensor,
    ) => {
      const { value, grads, aux } = valueAndGrad(
        (p: Device<Network>) => {
          const logits = forward(p, x, stepKey);
          const values = softmaxCrossEntropyRows(logits as Tensor2D, y as Tensor2D);
          return [weightedMean({ values, weights: onesLike(values) }), { logits }] as const;
        },
        { aux: true },
      )(params);
      const moved = update(momentum, grads, (m, g) => add(mul(m, 0.9), g));
      const next = update(params, moved, (p, m) => sub(p, mul(rate, m)));
      return { train: { params: next, momentum: moved }, value, logits: aux.logits };
    },
    { backend: on, donate: [0] },
  );
}

const fresh = () => ({ params: initial, momentum: update(initial as never, initial as never, (a) => a) });

/** Trains; the tensor count after each step, the losses, and the parameters at the end. */
function trainer(on: Backend, seed: number) {
  const step = makeStep(on);
  let train: Parameters<typeof step>[0] = fresh();
  const losses: number[] = [];
  let i = 0;
  return {
    losses,
    async next(): Promise<void> {
      const stepKey = createKey(seed).foldIn(i++).toNdArray();
      const { train: updated, value, logits } = step(train, images, labels, stepKey, scalar(0.1));
      train = updated;
      release(logits);
      losses.push(Number((await read(value)).data[0]));
    },
    finish: async () => read(train as { params: Device<Network>; momentum: Device<Network> }),
  };
}

describe('the tensor count', () => {
  it('after 500 steps of a convolutional network is what it was after 5', async () => {
    const before = tensorCount();
    const buffers = engine().state.numDataBuffers;
    const run = trainer(backend, 1);
    const counts: number[] = [];
    for (let i = 0; i < 500; i++) {
      await run.next();
      if (i === 4 || i === 499) counts.push(tensorCount(), engine().memory().numBytes);
    }
    expect(counts.slice(2)).toEqual(counts.slice(0, 2));
    expect(counts[0]).toBe(before + 8);
    expect(run.losses.at(-1)).toBeLessThan(0.5 * run.losses[0]);
    await run.finish();
    expect(tensorCount()).toBe(before);
    expect(engine().state.numDataBuffers).toBe(buffers);
  });

  it('stays where it was with second-order gradients, custom gradients and kept tensors', async () => {
    const before = tensorCount();
    const cube = customGrad((x, save) => {
      (save as (tensors: Tensor[]) => void)([x as Tensor]);
      return {
        value: mul(mul(x as Tensor, x as Tensor), x as Tensor),
        gradFunc: (dy, [saved]) => mul(dy, mul(mul(saved, saved), 3)),
      };
    });
    const f = compile(
      (x: Tensor) =>
        valueAndGrad((p: Tensor) => {
          const { value, grads } = valueAndGrad((q: Tensor) => sum(cube(keep(mul(q, 1)))))(p);
          return add(value, sum(grads));
        })(x),
      { backend },
    );
    for (let i = 0; i < 3; i++) {
      const { value, grads } = await read(f(fromNested([2, 3])));
      // Σ x³ + 3x², and 3x² + 6x.
      expect([Number(value.data[0]), ...grads.data]).toEqual([35 + 39, 24, 45]);
      expect(tensorCount()).toBe(before);
    }
  });
});

describe('two backends in one process', () => {
  it('train interleaved, with the same bits as alone, and count right', async () => {
    const other = await anotherCpu();
    const before = tensorCount();
    const alone = [trainer(backend, 1), trainer(other, 2)];
    for (const run of alone) for (let i = 0; i < 10; i++) await run.next();
    const [first, second] = [trainer(backend, 1), trainer(other, 2)];
    for (let i = 0; i < 10; i++) {
      // Under way at the same time: the reads of both overlap.
      await Promise.all([first.next(), second.next()]);
      expect(tensorCount()).toBe(before + 4 * 8);
    }
    for (const [run, single] of [
      [first, alone[0]],
      [second, alone[1]],
    ]) {
      expect(run.losses).toEqual(single.losses);
      const [a, b] = [await run.finish(), await single.finish()];
      expect(sameBits(a.params.conv.kernel, b.params.conv.kernel)).toBe(true);
      expect(sameBits(a.momentum.dense.kernel, b.momentum.dense.kernel)).toBe(true);
    }
    expect(first.losses).not.toEqual(second.losses);
    expect(tensorCount()).toBe(before);
  });

  it('keep their tensors to themselves', async () => {
    const other = await anotherCpu();
    const count = (on: Backend): number => engine().findBackend(on.engineName).numDataIds();
    const [here, there] = [count(backend), count(other)];
    const x = upload(fromNested([1, 2]), other);
    expect([count(backend), count(other)]).toEqual([here, there + 1]);
    const y = compile((t: Tensor) => mul(t, 2), { backend: other })(x);
    expect([count(backend), count(other)]).toEqual([here, there + 2]);
    release([x, y]);
    expect([count(backend), count(other)]).toEqual([here, there]);
  });
});
