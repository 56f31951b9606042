import {
  createKey,
  fromNested,
  isTenonError,
  keyFromWords,
  type NdArray,
  scalar,
  toNested,
} from '@tenon-ml/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromExamples, fromGenerator } from '../src/index.js';
import { numberedDataset, rejection, targets } from './support.js';

const key = fc.tuple(fc.nat(0xffffffff), fc.nat(0xffffffff)).map((words) => keyFromWords(words));
const numbers = (count: number) => Array.from({ length: count }, (_, n) => n);
const both = ['random', 'sequential'] as const;

describe('map, filter, take, skip, repeat, batch', () => {
  test('are what they are on arrays', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(30),
        fc.nat(35),
        fc.nat(35),
        fc.nat(3),
        fc.constantFrom(...both),
        async (count, taken, skipped, times, access) => {
          const data = fromExamples(numbers(count));
          const source = access === 'random' ? data : fromGenerator(() => numbers(count), { length: count });
          const doubled = source.map((n) => 2 * n);
          expect(await doubled.toArray()).toEqual(numbers(count).map((n) => 2 * n));
          expect(await source.take(taken).toArray()).toEqual(numbers(count).slice(0, taken));
          expect(await source.skip(skipped).toArray()).toEqual(numbers(count).slice(skipped));
          expect(await source.filter((n) => n % 3 === 0).toArray()).toEqual(
            numbers(count).filter((n) => n % 3 === 0),
          );
          const repeated = source.repeat(times);
          expect(await repeated.toArray()).toEqual(Array(times).fill(numbers(count)).flat());
          expect(source.take(taken).length).toBe(Math.min(count, taken));
          expect(source.skip(skipped).length).toBe(Math.max(0, count - skipped));
          expect(repeated.length).toBe(count * times);
        },
      ),
    );
  });

  test('a batch stacks every leaf, and the last one is short or left out', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(30),
        fc.integer({ min: 1, max: 8 }),
        fc.constantFrom(...both),
        async (count, size, access) => {
          const data = numberedDataset(count, access);
          const batches = await data.batch(size).toArray();
          const sizes = batches.map(({ input }) => input.shape[0]);
          expect(sizes).toEqual(
            numbers(Math.ceil(count / size)).map((b) => Math.min(size, count - b * size)),
          );
          expect(batches.flatMap(({ input }) => toNested(input))).toEqual(numbers(count).map((n) => [n, -n]));
          expect(targets(batches).flat()).toEqual(numbers(count));
          const whole = await data.batch(size, { dropRemainder: true }).toArray();
          expect(whole).toEqual(batches.filter(({ input }) => input.shape[0] === size));
          if (access === 'random') {
            expect(data.batch(size).length).toBe(batches.length);
            expect(data.batch(size, { dropRemainder: true }).length).toBe(whole.length);
          }
        },
      ),
    );
  });

  test('a length that nobody knows is null, and one without end Infinity', async () => {
    const data = numberedDataset(6, 'random');
    expect(numberedDataset(6, 'sequential').batch(2).length).toBeNull();
    expect(data.filter(() => true).length).toBeNull();
    expect(data.repeat().length).toBe(Number.POSITIVE_INFINITY);
    expect(data.repeat().batch(4).take(3).length).toBe(3);
    expect(targets(await data.repeat().batch(4).take(3).toArray())).toEqual([
      [0, 1, 2, 3],
      [4, 5, 0, 1],
      [2, 3, 4, 5],
    ]);
    for (const access of both) expect(await numberedDataset(0, access).repeat().toArray()).toEqual([]);
    for (const access of both)
      expect(
        await numberedDataset(4, access)
          .filter(() => false)
          .repeat()
          .toArray(),
      ).toEqual([]);
  });

  test('trees, scalars and absent weights are batched', async () => {
    const data = fromExamples([
      { input: { image: fromNested([1, 2]), tags: [scalar(3, 'uint8')] }, weight: undefined },
      { input: { image: fromNested([4, 5]), tags: [scalar(6, 'uint8')] } },
    ]);
    const [batch] = await data.batch(2).toArray();
    expect(batch).toEqual({
      input: {
        image: fromNested([
          [1, 2],
          [4, 5],
        ]),
        tags: [fromNested([3, 6], 'uint8')],
      },
    });
  });

  test.each<[string, unknown, string, string]>([
    [
      'a shape',
      { x: fromNested([1, 2, 3]) },
      'SHAPE_MISMATCH',
      'record 1, x: expected float32 [2] as in record 0, got float32 [3].',
    ],
    [
      'a dtype',
      { x: fromNested([1, 2], 'int32') },
      'DTYPE_MISMATCH',
      'record 1, x: expected float32 [2] as in record 0, got int32 [2].',
    ],
    [
      'a name',
      { y: fromNested([1, 2]) },
      'STRUCTURE_MISMATCH',
      'record 1: expected { x } as in record 0, got { y }.',
    ],
    [
      'a tree',
      { x: [fromNested([1, 2])] },
      'STRUCTURE_MISMATCH',
      'record 1, x: expected float32 [2] as in record 0, got an array of 1.',
    ],
  ])('a batch names the record with %s of its own', async (_, odd, code, message) => {
    for (const prefetched of [0, 2]) {
      const data = fromExamples<unknown>([{ x: fromNested([1, 2]) }, odd]);
      const error = await rejection(data.prefetch(prefetched).batch(2).toArray());
      expect(error).toMatchObject({ code });
      expect(error.message).toContain(message);
    }
  });

  test('a batch of what is no array says so', async () => {
    const error = await rejection(
      fromExamples([{ label: 'seven' }])
        .batch(2)
        .toArray(),
    );
    expect(error).toMatchObject({ code: 'DATA_INVALID', where: 'record 0, label' });
  });

  test('counts that are none are refused at once', () => {
    const data = numberedDataset(3, 'random');
    for (const build of [
      () => data.batch(0),
      () => data.batch(1.5),
      () => data.take(-1),
      () => data.skip(Number.NaN),
      () => data.repeat(-1),
      () => data.prefetch(-2),
      () => data.shuffle({ key: createKey(0), buffer: 0 }),
      () => data.iterator({ epoch: -1 }),
    ]) {
      expect(build).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    }
  });
});

describe('map', () => {
  test('knows index and epoch; with a key it gets one of its own for every element and epoch', async () => {
    for (const access of both) {
      const data = numberedDataset(4, access).map(
        (_, { index, epoch, key: own }) => ({ index, epoch, words: own.words }),
        {
          key: createKey(9),
        },
      );
      const first = await data.toArray({ epoch: 1 });
      expect(first.map(({ index, epoch }) => [index, epoch])).toEqual([
        [0, 1],
        [1, 1],
        [2, 1],
        [3, 1],
      ]);
      expect(first[2].words).toEqual(createKey(9).foldIn('epoch').foldIn(1).foldIn(2).words);
      const second = await data.toArray({ epoch: 2 });
      expect(new Set([...first, ...second].map(({ words }) => words.join())).size).toBe(8);
    }
  });

  test('without a key there is none', async () => {
    const [context] = await numberedDataset(1, 'random')
      .map((_, context) => context)
      .toArray();
    expect(context).toEqual({ index: 0, epoch: 0 });
  });

  test('what a function throws has the record of the source, in any order and inside a batch', async () => {
    const cause = new RangeError('this digit is upside down');
    const broken = (access: (typeof both)[number]) =>
      numberedDataset(30, access).map(({ target, ...rest }) => {
        if (target.data[0] === 17) throw cause;
        return { ...rest, target };
      });
    for (const data of [
      broken('random').shuffle({ key: createKey(2) }),
      broken('sequential').shuffle({ key: createKey(2), buffer: 10 }),
      broken('random')
        .shuffle({ key: createKey(2) })
        .batch(8)
        .prefetch(3),
      broken('sequential').skip(2).batch(7),
    ]) {
      const error = await rejection(data.toArray());
      expect(isTenonError(error)).toBe(true);
      expect(error).toMatchObject({ code: 'DATA_INVALID', cause });
      expect(error.message).toBe('map, record 17: this digit is upside down.');
    }
    const filter = await rejection(
      numberedDataset(5, 'random')
        .filter(({ target }) => {
          if (target.data[0] === 3) throw cause;
          return true;
        })
        .toArray(),
    );
    expect(filter.message).toBe('filter, record 3: this digit is upside down.');
    const batch = await rejection(
      numberedDataset(5, 'random')
        .batch(3)
        .map(() => Promise.reject(cause))
        .toArray(),
    );
    expect(batch.message).toBe('map, batch 0 of record 0, record 1, record 2: this digit is upside down.');
  });

  test('of several that fail in a batch, the first in order is named, not in time', async () => {
    const failing = numberedDataset(6, 'random').map(async (example) => {
      const n = Number(example.target.data[0]);
      await new Promise((resolve) => setTimeout(resolve, 6 - n));
      if (n >= 2) throw new Error(`bad ${n}`);
      return example;
    });
    for (const data of [failing.batch(6), failing.prefetch(1).batch(6)]) {
      expect((await rejection(data.toArray())).message).toBe('map, record 2: bad 2.');
    }
  });

  test('an error of ours keeps its code', async () => {
    const data = numberedDataset(3, 'random').map(({ input }) =>
      fromNested([[1], [2, 3]] as never, input.dtype),
    );
    expect(await rejection(data.toArray())).toMatchObject({ code: 'SHAPE_MISMATCH', where: 'map, record 0' });
  });
});

describe('shuffle', () => {
  test('gives every element once, in an order of its own for each epoch', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(60), key, fc.nat(5), async (count, k, epoch) => {
        const data = numberedDataset(count, 'random').shuffle({ key: k });
        const order = targets(await data.toArray({ epoch })) as number[];
        expect([...order].sort((a, b) => a - b)).toEqual(numbers(count));
        expect(order).toEqual([...k.foldIn('epoch').foldIn(epoch).permutation(count)]);
        if (count > 20) expect(targets(await data.toArray({ epoch: epoch + 1 }))).not.toEqual(order);
      }),
    );
  });

  test('with a buffer shuffles within windows, all of them differently', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(60),
        key,
        fc.integer({ min: 1, max: 20 }),
        fc.constantFrom(...both),
        async (count, k, buffer, access) => {
          const data = numberedDataset(count, access).shuffle({ key: k, buffer });
          const order = targets(await data.toArray()) as number[];
          for (let begin = 0; begin < count; begin += buffer) {
            const window = order.slice(begin, begin + buffer).sort((a, b) => a - b);
            expect(window).toEqual(numbers(count).slice(begin, begin + buffer));
          }
        },
      ),
    );
    const order = targets(
      await numberedDataset(60, 'sequential')
        .shuffle({ key: createKey(1), buffer: 30 })
        .toArray(),
    ) as number[];
    expect(order.slice(0, 30)).not.toEqual(order.slice(30).map((n) => n - 30));
  });

  test('after batch only moves whole batches', async () => {
    const data = numberedDataset(12, 'random')
      .batch(3)
      .shuffle({ key: createKey(4) });
    for (const epoch of [0, 1, 2]) {
      const batches = targets(await data.toArray({ epoch })) as number[][];
      expect([...batches].sort((a, b) => a[0] - b[0])).toEqual([
        [0, 1, 2],
        [3, 4, 5],
        [6, 7, 8],
        [9, 10, 11],
      ]);
    }
  });

  test('needs random access, an end, or a buffer', () => {
    const options = { key: createKey(1) };
    const random = numberedDataset(5, 'random');
    for (const data of [
      numberedDataset(5, 'sequential'),
      random.filter(() => true),
      random.prefetch(1),
      random.repeat(),
    ]) {
      expect(() => data.shuffle(options)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
      expect(() => data.shuffle({ ...options, buffer: 3 })).not.toThrow();
    }
  });
});

describe('repeat', () => {
  test('each pass is an epoch of its own, and no two of an epoch meet those of the next', async () => {
    const shuffled = numberedDataset(7, 'random').shuffle({ key: createKey(8) });
    const epochs = await Promise.all([0, 1, 2, 3, 4, 5].map((epoch) => shuffled.toArray({ epoch })));
    expect(await shuffled.repeat(3).toArray()).toEqual(epochs.slice(0, 3).flat());
    expect(await shuffled.repeat(3).toArray({ epoch: 1 })).toEqual(epochs.slice(3).flat());
  });
});

test('a stage leaves what it was made from as it was', async () => {
  const data = numberedDataset(6, 'random');
  data
    .take(2)
    .shuffle({ key: createKey(1) })
    .batch(2);
  expect(data.length).toBe(6);
  expect(Object.isFrozen(data)).toBe(true);
  expect(targets(await data.toArray())).toEqual(numbers(6));
  const image: NdArray = (await data.toArray())[1].input;
  expect(toNested(image)).toEqual([1, -1]);
});
