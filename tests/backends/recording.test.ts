import {
  type Backend,
  compile,
  createKey,
  fromNested,
  type NdArray,
  read,
  release,
  scalar,
  tensorCount,
  treeEntries,
  upload,
} from '@tenon-ml/core';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { started, testedBackend } from '../hosts/tested_backend.js';
import { adamCorrection, initialState, randomBatch, trainStep } from './digits_network.js';
import { expectSame } from './kernels/reference.js';

const [recording, eager] = started(testedBackend({ poison: true }), testedBackend({ record: false }));

const x = fromNested([1, 2, 3]);

/** The parameters and losses of some steps of the digits CNN; the batch alternates between two sizes. */
async function train(backend: Backend, steps: number, sizes: readonly number[]) {
  const step = compile(trainStep, { backend, donate: [0] });
  let state: Parameters<typeof step>[0] = initialState(1, 8);
  const losses: NdArray[] = [];
  for (let i = 1; i <= steps; i++) {
    const { images, labels } = randomBatch(i, sizes[i % sizes.length]);
    const result = step(state, images, labels, scalar(adamCorrection(i)));
    state = result.state;
    losses.push(await read(result.loss));
  }
  const values = treeEntries<NdArray>((await read(state as never)) as never);
  return { losses, values, explanation: step.explain() };
}

describe('a recorded step', () => {
  test('gives what the eager one gives, for several batch sizes at once', async () => {
    const before = tensorCount();
    const replayed = await train(recording, 14, [8, 5]);
    const plain = await train(eager, 14, [8, 5]);
    // From step to step what a GPU rounds differently adds up.
    const options = { op: 'network', reduction: 14 * 8 } as const;
    expectSame(replayed.losses, plain.losses, options);
    expect(replayed.values.map(([path]) => path)).toEqual(plain.values.map(([path]) => path));
    for (const [i, [, value]] of replayed.values.entries()) expectSame(value, plain.values[i][1], options);
    // The first two calls of each of four signatures: the state comes as arrays once, then as tensors.
    expect(replayed.explanation).toMatchObject({ mode: 'replayed', calls: 14 });
    expect(replayed.explanation.replayed).toBeGreaterThanOrEqual(14 - 6);
    expect(plain.explanation).toMatchObject({ mode: 'eager', replayed: 0 });
    expect(tensorCount()).toBe(before);
  });

  test('doesn’t run the function any more', async () => {
    let runs = 0;
    const double = compile(
      (a: tf.Tensor) => {
        runs++;
        return tf.add(a, a);
      },
      { backend: recording },
    );
    for (let i = 0; i < 5; i++) expect((await read(double(scalar(i)))).data[0]).toBe(2 * i);
    expect(runs).toBe(2);
  });

  test('takes tensors and arrays, and hands an argument through', async () => {
    const f = compile((a: tf.Tensor, b: tf.Tensor) => ({ a, b, sum: tf.add(a, b), again: a }), {
      backend: recording,
    });
    const a = upload(x, recording);
    for (let i = 0; i < 4; i++) {
      const { a: same, b, sum, again } = await read(f(a, fromNested([i, i, i])));
      expect([...same.data]).toEqual([1, 2, 3]);
      expect([...again.data]).toEqual([1, 2, 3]);
      expect([...b.data]).toEqual([i, i, i]);
      expect([...sum.data]).toEqual([1 + i, 2 + i, 3 + i]);
    }
    expect(f.explain().mode).toBe('replayed');
    release(a);
  });

  test.each(['float32', 'int32', 'int16', 'int8', 'uint16', 'uint8', 'bool'] as const)(
    'takes arrays of %s, as eager calls do',
    async (dtype) => {
      const f = compile((a: tf.Tensor) => tf.mul(tf.cast(a, 'float32'), 2), { backend: recording });
      for (let i = 0; i < 4; i++) {
        const given = fromNested([1, i % 2, 0], dtype);
        expect([...(await read(f(given))).data]).toEqual([2, 2 * (i % 2), 0]);
      }
      expect(f.explain().mode).toBe('replayed');
    },
  );

  test('keeps its constants', async () => {
    const f = compile(
      (a: tf.Tensor) => ({ shifted: tf.add(a, tf.mul(tf.range(0, 3), 2)), table: tf.range(0, 3) }),
      { backend: recording },
    );
    for (let i = 0; i < 4; i++) {
      const { shifted, table } = await read(f(fromNested([i, i, i])));
      expect([...shifted.data]).toEqual([i, i + 2, i + 4]);
      expect([...table.data]).toEqual([0, 1, 2]);
    }
    expect(f.explain()).toMatchObject({ mode: 'replayed' });
  });

  test('holds kernels that take a list', async () => {
    const f = compile(
      (a: tf.Tensor, b: tf.Tensor) => [tf.concat([a, b, a]), tf.stack([b, a]), tf.addN([a, b, b])],
      { backend: recording },
    );
    for (let i = 0; i < 4; i++) {
      const [joined, stacked, total] = await read(f(fromNested([i, 2]), fromNested([10, 20])));
      expect([...joined.data]).toEqual([i, 2, 10, 20, i, 2]);
      expect([...stacked.data]).toEqual([10, 20, i, 2]);
      expect([...total.data]).toEqual([i + 20, 42]);
    }
    expect(f.explain()).toMatchObject({ mode: 'replayed' });
  });

  test('tells signatures apart: shapes, dtypes, structure, tensors that are the same', async () => {
    const f = compile((a: tf.Tensor, b: tf.Tensor) => tf.add(a, b), { backend: recording });
    const [p, q] = [upload(x, recording), upload(fromNested([10, 20, 30]), recording)];
    for (let i = 0; i < 3; i++) {
      expect([...(await read(f(p, p))).data]).toEqual([2, 4, 6]);
      expect([...(await read(f(p, q))).data]).toEqual([11, 22, 33]);
      expect([...(await read(f(scalar(i), q))).data]).toEqual([10 + i, 20 + i, 30 + i]);
    }
    expect(f.explain().recordings).toHaveLength(3);
    release([p, q]);
  });

  test('is one of a bounded number', async () => {
    const f = compile((a: tf.Tensor) => tf.sum(a), { backend: recording });
    for (let size = 1; size <= 40; size++) {
      for (let i = 0; i < 3; i++) await read(f(createKey(size).normal([size])));
    }
    expect(f.explain().recordings.length).toBeLessThanOrEqual(16);
  });

  test('holds no more tensors after many replays', async () => {
    const step = compile(trainStep, { backend: recording, donate: [0] });
    let state: Parameters<typeof step>[0] = initialState(1, 4);
    let after6 = 0;
    for (let i = 1; i <= 60; i++) {
      const { images, labels } = randomBatch(i, 4);
      const result = step(state, images, labels, scalar(adamCorrection(i)));
      state = result.state;
      await read(result.loss);
      if (i === 6) after6 = tensorCount();
    }
    expect(step.explain().mode).toBe('replayed');
    expect(tensorCount()).toBe(after6);
    release(state as never);
  });
});

describe('stays eager, with what each call should give:', () => {
  const explained = async (f: (a: tf.Tensor) => tf.Tensor, calls = 4): Promise<NdArray[]> => {
    const compiled = compile(f, { backend: recording, name: 'f' });
    const results: NdArray[] = [];
    for (let i = 0; i < calls; i++) results.push(await read(compiled(x)));
    const { mode, reason, replayed } = compiled.explain();
    expect([mode, replayed]).toEqual(['eager', 0]);
    expect(reason).not.toBe('');
    return results;
  };
  const values = (results: readonly NdArray[]) => results.map(({ data }) => [...data]);

  test('a number that is drawn inside', async () => {
    let drawn = 0;
    const results = await explained((a) => tf.mul(a, tf.scalar(++drawn)));
    expect(values(results)).toEqual([1, 2, 3, 4].map((by) => [by, 2 * by, 3 * by]));
  });

  test('random values of tfjs', async () => {
    const results = await explained((a) => tf.add(a, tf.randomUniform([3])));
    expect(new Set(results.map(({ data }) => data[0])).size).toBe(4);
  });

  test('a function that looks at values, if later', async () => {
    const seen: Promise<unknown>[] = [];
    await explained((a) => {
      const doubled = tf.add(a, a);
      seen.push(doubled.data());
      return tf.square(doubled);
    });
    expect(await Promise.all(seen)).toEqual(Array(4).fill(Float32Array.of(2, 4, 6)));
  });

  test('an attribute that changes', async () => {
    let axis = 0;
    const results = await explained((a) =>
      tf.slice(tf.reshape(tf.sum(tf.reshape(a, [1, 3]), axis++ % 2), [-1]), 0, 1),
    );
    expect(values(results)).toEqual([[1], [6], [1], [6]]);
  });

  test('another course from call to call', async () => {
    let calls = 0;
    const results = await explained((a) => (calls++ % 2 === 0 ? tf.square(a) : tf.neg(a)));
    expect(values(results)).toEqual([
      [1, 4, 9],
      [-1, -2, -3],
      [1, 4, 9],
      [-1, -2, -3],
    ]);
  });

  test('a course that settles is replayed after all', async () => {
    let calls = 0;
    const settles = compile((a: tf.Tensor) => (calls++ === 0 ? tf.square(a) : tf.neg(a)), {
      backend: recording,
    });
    const results = [];
    for (let i = 0; i < 5; i++) results.push((await read(settles(scalar(3)))).data[0]);
    expect(results).toEqual([9, -3, -3, -3, -3]);
    expect(settles.explain().mode).toBe('replayed');
  });
});

describe('a backend that is started again', () => {
  test('begins its recordings anew', async () => {
    const backend = testedBackend();
    await backend.init();
    const double = compile((a: tf.Tensor) => tf.add(a, a), { backend });
    for (let i = 0; i < 3; i++) await read(double(scalar(i)));
    expect(double.explain().replayed).toBe(1);
    await backend.dispose();
    await backend.init();
    for (let i = 0; i < 4; i++) expect((await read(double(scalar(i)))).data[0]).toBe(2 * i);
    expect(double.explain().replayed).toBe(3);
    await backend.dispose();
  });
});
