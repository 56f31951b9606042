import { wasm } from '@tenon-ml/backend-wasm';
import { compile, createKey, fromNested, type NdArray, read, scalar } from '@tenon-ml/core';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { started } from '../../hosts/tested_backend.js';
import { adamCorrection, initialState, randomBatch, trainStep } from '../digits_network.js';

const [recording, eager] = started(wasm({ poison: true }), wasm({ record: false }));

const x = fromNested([1, 2, 3]);

describe('a recorded step', () => {
  test('computes from its constants once', async () => {
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
    expect(f.explain().recordings[0].commands).toBeLessThanOrEqual(2);
  });

  test('holds no more memory after many replays, and gives back what it held', async () => {
    const backend = wasm();
    await backend.init();
    const step = compile(trainStep, { backend, donate: [0] });
    let state: Parameters<typeof step>[0] = initialState(1, 4);
    const run = async (i: number) => {
      const { images, labels } = randomBatch(i, 4);
      const result = step(state, images, labels, scalar(adamCorrection(i)));
      state = result.state;
      await read(result.loss);
    };
    for (let i = 1; i <= 6; i++) await run(i);
    const before = backend.memory?.();
    for (let i = 7; i <= 60; i++) await run(i);
    expect(backend.memory?.()).toEqual(before);
    await backend.dispose();
  });
});

describe('stays eager, and says why:', () => {
  const explained = async (f: (a: tf.Tensor) => tf.Tensor, calls = 4): Promise<string> => {
    const compiled = compile(f, { backend: recording, name: 'f' });
    for (let i = 0; i < calls; i++) await read(compiled(x));
    const { mode, reason, replayed } = compiled.explain();
    expect([mode, replayed]).toEqual(['eager', 0]);
    return reason;
  };

  test('a number that is drawn inside', async () => {
    expect(await explained((a) => tf.mul(a, tf.scalar(Math.random())))).toMatch(
      /constant made inside.*changes/,
    );
  });

  test('random values of tfjs', async () => {
    expect(await explained((a) => tf.add(a, tf.randomUniform([3])))).toMatch(/constant made inside.*changes/);
  });

  test('an attribute that changes', async () => {
    let axis = 0;
    expect(
      await explained((a) => tf.slice(tf.reshape(tf.sum(tf.reshape(a, [1, 3]), axis++ % 2), [-1]), 0, 1)),
    ).toMatch(/Sum|other shapes/);
  });

  test('a value that is read inside', async () => {
    expect(await explained((a) => tf.mul(a, a.dataSync()[1]))).toBe('it reads values inside');
  });

  test('a shape that depends on values', async () => {
    expect(await explained((a) => tf.unique(a).values)).toBe('the shape that Unique gives depends on values');
  });

  test('another course from call to call', async () => {
    let calls = 0;
    expect(await explained((a) => (calls++ % 2 === 0 ? tf.square(a) : tf.neg(a)))).toMatch(
      /command 1 is (square|negate) in one call and (negate|square) in the next/,
    );
  });
});

describe('a relu after a product or a convolution', () => {
  const key = createKey(3);
  const inputs = { x: key.normal([5, 9]), w: key.foldIn(1).normal([9, 13]) };
  const images = { x: key.normal([2, 7, 6, 3]), w: key.foldIn(1).normal([3, 3, 3, 5]) };
  const bias = (size: number) => key.foldIn('bias').normal([size]);

  /** The values of a function, eager and replayed, and how many commands a replay has. */
  async function both<A extends Record<string, NdArray>>(
    f: (args: { readonly [K in keyof A]: tf.Tensor }) => tf.Tensor[],
    args: A,
  ): Promise<number> {
    const plain = compile(f as never, { backend: eager });
    const recorded = compile(f as never, { backend: recording });
    const wanted = await read((plain as never as (a: A) => tf.Tensor[])(args));
    for (let i = 0; i < 3; i++) {
      expect(await read((recorded as never as (a: A) => tf.Tensor[])(args))).toEqual(wanted);
    }
    expect(recorded.explain().mode).toBe('replayed');
    return recorded.explain().recordings[0].commands;
  }

  test('runs inside of it, with the same bits', async () => {
    const product = await both(({ x, w, b }) => [tf.add(tf.matMul(x as tf.Tensor2D, w as tf.Tensor2D), b)], {
      ...inputs,
      b: bias(13),
    });
    const fused = (activation: 'linear' | 'relu') =>
      both(
        ({ x, w, b }) => {
          const y = tf.fused.matMul({ a: x as tf.Tensor2D, b: w as tf.Tensor2D, bias: b });
          return [activation === 'relu' ? tf.relu(y) : y];
        },
        { ...inputs, b: bias(13) },
      );
    expect(await fused('relu')).toBe(await fused('linear'));
    expect(await fused('linear')).toBeLessThan(product);
    const convolution = (activation: 'linear' | 'relu') =>
      both(
        ({ x, w, b }) => {
          const y = tf.fused.conv2d({
            x: x as tf.Tensor4D,
            filter: w as tf.Tensor4D,
            strides: 1,
            pad: 'same',
            bias: b,
          });
          return [activation === 'relu' ? tf.relu(y) : y];
        },
        { ...images, b: bias(5) },
      );
    expect(await convolution('relu')).toBe(await convolution('linear'));
  });

  test('runs after it where something else needs what is between them', async () => {
    const alone = await both(({ x, w }) => [tf.relu(tf.matMul(x as tf.Tensor2D, w as tf.Tensor2D))], inputs);
    const shared = await both(({ x, w }) => {
      const y = tf.matMul(x as tf.Tensor2D, w as tf.Tensor2D);
      return [tf.relu(y), y];
    }, inputs);
    const twice = await both(({ x, w }) => {
      const y = tf.matMul(x as tf.Tensor2D, w as tf.Tensor2D);
      return [tf.relu(y), tf.relu(y)];
    }, inputs);
    expect([shared, twice]).toEqual([alone + 1, alone + 2]);
  });
});
