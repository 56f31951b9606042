import { compile, fromNested, type NdArray, read, release, tensorCount } from '@tenon-ml/core';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { started, testedBackend } from '../hosts/tested_backend.js';

const [recording] = started(testedBackend());

/** Calls enough for a recording, and some that are replayed. */
const CALLS = 4;

test('the same expression is another program for another dtype', async () => {
  const product = compile((a: tf.Tensor, b: tf.Tensor) => tf.mul(a, b), { backend: recording });
  for (let i = 0; i < CALLS; i++) {
    for (const dtype of ['float32', 'int32'] as const) {
      const result = await read(product(fromNested([2, i], dtype), fromNested([4, 5], dtype)));
      expect([...result.data]).toEqual([8, 5 * i]);
    }
  }
  expect(product.explain().replayed).toBe(2 * (CALLS - 2));
});

test('an argument of no elements, from the host and from the device', async () => {
  const nothing: NdArray<'float32'> = { dtype: 'float32', shape: [0, 2], data: new Float32Array(0) };
  const f = compile(
    (a: tf.Tensor2D) => ({
      a,
      twice: tf.mul(a, 2),
      product: tf.matMul(a, a, true, false),
      sum: tf.sum(a, 0),
      joined: tf.concat([a, tf.ones([1, 2])]),
    }),
    { backend: recording },
  );
  const expectAll = async (given: Parameters<typeof f>[0]): Promise<tf.Tensor2D> => {
    const { a, ...others } = f(given);
    const { twice, product, sum, joined } = await read(others);
    expect([a.shape, twice.shape]).toEqual([
      [0, 2],
      [0, 2],
    ]);
    expect([...product.data, ...sum.data]).toEqual([0, 0, 0, 0, 0, 0]);
    expect([...joined.data]).toEqual([1, 1]);
    return a;
  };
  for (let i = 0; i < CALLS; i++) {
    const onDevice = await expectAll(nothing);
    release(await expectAll(onDevice));
    release(onDevice);
  }
  expect(f.explain().replayed).toBe(2 * (CALLS - 2));
});

test('arithmetic on constants that leaves the range of numbers', async () => {
  const f = compile(
    (a: tf.Tensor, b: tf.Tensor) => ({
      quotient: tf.mul(a, tf.div(tf.ones([2]), tf.zeros([2]))),
      product: tf.add(a, tf.mul(tf.scalar(1e30), tf.scalar(-1e30))),
      integers: tf.add(b, tf.mul(tf.scalar(1 << 30, 'int32'), tf.scalar(8, 'int32'))),
    }),
    { backend: recording },
  );
  for (let i = 1; i <= CALLS; i++) {
    const { quotient, product, integers } = await read(f(fromNested([i, -i]), fromNested([i, 7], 'int32')));
    expect([...quotient.data]).toEqual([Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]);
    expect([...product.data]).toEqual([Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY]);
    expect([...integers.data]).toEqual([i, 7]);
  }
  expect(f.explain().mode).toBe('replayed');
});

test('complex numbers go from call to call', async () => {
  const before = tensorCount();
  const make = compile((re: tf.Tensor, im: tf.Tensor) => tf.complex(re, im), { backend: recording });
  const sum = compile((c: tf.Tensor) => tf.add(tf.real(c), tf.imag(c)), { backend: recording });
  for (let i = 0; i < CALLS; i++) {
    const c = make(fromNested([1, 2]), fromNested([i, -i]));
    expect([...(await read(sum(c))).data]).toEqual([1 + i, 2 - i]);
    release(c);
  }
  expect(tensorCount()).toBe(before);
});
