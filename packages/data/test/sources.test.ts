import { fromNested, type NdArray, toNested, zeros } from '@tenon-ml/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromArrays, fromExamples, fromGenerator } from '../src/index.js';
import { rejection } from './support.js';

const dtype = fc.constantFrom('float64', 'float32', 'int64', 'int32', 'uint8', 'bool');

describe('fromArrays', () => {
  test('elements are slices; batches read straight from the arrays are those that stacking them gives', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(12),
        fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 3 }),
        dtype,
        fc.integer({ min: 1, max: 5 }),
        async (count, shape, type, size) => {
          const input = zeros([count, ...shape], type) as NdArray;
          for (let i = 0; i < input.data.length; i++) {
            input.data[i] = type === 'int64' ? BigInt(i) : type === 'bool' ? i % 2 : i % 200;
          }
          const target = fromNested(
            Array.from({ length: count }, (_, n) => n),
            'int32',
          );
          const data = fromArrays({ input, target });
          const elements = await data.toArray();
          expect(data.length).toBe(count);
          expect(elements.map(({ input: element }) => toNested(element))).toEqual(toNested(input));
          // The same order of records through the fast path and through stacking.
          const order = data.skip(1).take(9);
          const stacked = fromExamples(elements).skip(1).take(9);
          expect(await order.batch(size).toArray()).toEqual(await stacked.batch(size).toArray());
        },
      ),
    );
  });

  test('an element is a view: nothing is copied', async () => {
    const input = fromNested([
      [1, 2],
      [3, 4],
    ]);
    const [, second] = await fromArrays({ input }).toArray();
    expect(second.input.data.buffer).toBe(input.data.buffer);
    expect(toNested(second.input)).toEqual([3, 4]);
    const [batch] = await fromArrays({ input }).batch(2).toArray();
    expect(batch.input.data.buffer).not.toBe(input.data.buffer);
  });

  test('weights and trees go along; a weight that is undefined does not', async () => {
    const pair = { left: fromNested([1, 2]), right: [fromNested([3, 4], 'int32')] };
    const data = fromArrays({ input: pair, target: fromNested([5, 6]), weight: fromNested([0.5, 2]) });
    expect((await data.toArray())[1]).toEqual({
      input: { left: fromNested(2), right: [fromNested(4, 'int32')] },
      target: fromNested(6),
      weight: fromNested(2),
    });
    const [element] = await fromArrays({
      input: pair,
      target: fromNested([5, 6]),
      weight: undefined,
    }).toArray();
    expect(Object.keys(element)).toEqual(['input', 'target']);
  });

  test('first axes that differ, and arrays without one, are refused', () => {
    expect(() => fromArrays({ input: zeros([3, 2]), target: zeros([4]) })).toThrow(
      'fromArrays, target: expected 3 examples, as in input, got [4].',
    );
    expect(() => fromArrays({ input: zeros([]) })).toThrow(
      expect.objectContaining({ code: 'SHAPE_MISMATCH' }),
    );
    expect(() => fromArrays({})).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });
});

describe('fromExamples', () => {
  test('takes arrays and whatever can be iterated', async () => {
    expect(await fromExamples(new Set([3, 1, 2])).toArray()).toEqual([3, 1, 2]);
    expect(fromExamples([1, 2]).length).toBe(2);
  });
});

describe('fromGenerator', () => {
  test('is started anew for every pass, and told the epoch', async () => {
    const epochs: number[] = [];
    const data = fromGenerator(function* ({ epoch }) {
      epochs.push(epoch);
      yield epoch * 10;
      yield epoch * 10 + 1;
    });
    expect(await data.toArray({ epoch: 2 })).toEqual([20, 21]);
    expect(await data.repeat(2).toArray({ epoch: 1 })).toEqual([20, 21, 30, 31]);
    expect(epochs).toEqual([2, 2, 3]);
  });

  test('is held to its length', async () => {
    const data = (length: number) => fromGenerator(() => [1, 2, 3], { length, name: 'letters' });
    expect(data(3).length).toBe(3);
    expect(await data(3).toArray()).toEqual([1, 2, 3]);
    expect((await rejection(data(4).toArray())).message).toBe(
      'letters: expected 4 elements, as its length says, got 3.',
    );
    expect((await rejection(data(2).toArray())).message).toBe(
      'letters: expected 2 elements, as its length says, got more.',
    );
  });
});
