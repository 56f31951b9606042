import { describe, expect, test } from 'vitest';
import { fromExamples, fromGenerator } from '../src/index.js';
import { numbered, numberedDataset, rejection, targets } from './support.js';

const numbers = (count: number) => Array.from({ length: count }, (_, n) => n);
const both = ['random', 'sequential'] as const;

describe('an iterator after an error', () => {
  test.each(both)('throws again instead of skipping the record (%s)', async (access) => {
    let broken = true;
    const data = numberedDataset(6, access).map((example) => {
      if (broken && example.target.data[0] === 2) throw new Error('broken');
      return example;
    });
    for (const prefetched of [0, 3]) {
      broken = true;
      const iterator = data.prefetch(prefetched).iterator();
      expect(targets([(await iterator.next()).value!, (await iterator.next()).value!])).toEqual([0, 1]);
      const before = iterator.state();
      const first = await rejection(iterator.next());
      expect(await rejection(iterator.next())).toBe(first);
      expect(iterator.state()).toEqual(before);
      broken = false;
      await iterator.restore(iterator.state());
      expect(targets([(await iterator.next()).value!])).toEqual([2]);
    }
  });

  test('a generator that throws is not taken for one that ends', async () => {
    const data = fromGenerator(
      async function* () {
        yield 1;
        throw new Error('connection lost');
      },
      { name: 'stream' },
    );
    const iterator = data.iterator();
    await iterator.next();
    const error = await rejection(iterator.next());
    expect(error).toMatchObject({ code: 'DATA_INVALID', where: 'stream, record 1' });
    expect(await rejection(iterator.next())).toBe(error);
  });
});

describe('prefetch', () => {
  const deferred = (count: number) => {
    const started: number[] = [];
    const finish: (() => void)[] = [];
    const data = fromExamples(numbers(count)).map(
      (n) =>
        new Promise<number>((resolve) => {
          started.push(n);
          finish[n] = () => resolve(n);
        }),
    );
    return { data, started, finish };
  };
  const idle = () => new Promise((resolve) => setTimeout(resolve, 5));

  test('has as many elements in flight as it says, and starts one for each that is taken', async () => {
    const { data, started, finish } = deferred(10);
    const iterator = data.prefetch(3).iterator();
    await idle();
    expect(started).toEqual([]);
    const first = iterator.next();
    await idle();
    // The one that is waited for, and three after it.
    expect(started).toEqual([0, 1, 2, 3]);
    finish[2]();
    finish[1]();
    await idle();
    expect(started).toEqual([0, 1, 2, 3]);
    finish[0]();
    expect((await first).value).toBe(0);
    expect((await iterator.next()).value).toBe(1);
    await idle();
    expect(started).toEqual([0, 1, 2, 3, 4]);
  });

  test('stops reading on return', async () => {
    const { data, started, finish } = deferred(100);
    const iterator = data.prefetch(4).iterator();
    const first = iterator.next();
    await idle();
    finish[0]();
    await first;
    await iterator.return();
    for (const end of finish) end();
    await idle();
    expect(started.length).toBeLessThanOrEqual(6);
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
  });

  test('an error comes where its element would have, and is nobody else’s', async () => {
    const unhandled: unknown[] = [];
    const listen = (error: unknown) => unhandled.push(error);
    process.on('unhandledRejection', listen);
    const data = fromExamples(numbers(8)).map((n) =>
      n === 4 || n === 5 ? Promise.reject(new Error(`bad ${n}`)) : n,
    );
    const iterator = data.prefetch(8).iterator();
    const got: unknown[] = [];
    await iterator.next();
    await idle();
    for (let i = 1; i < 4; i++) got.push((await iterator.next()).value);
    expect(got).toEqual([1, 2, 3]);
    expect((await rejection(iterator.next())).message).toContain('record 4: bad 4');
    await iterator.return();
    await idle();
    process.off('unhandledRejection', listen);
    expect(unhandled).toEqual([]);
  });

  test('a source is closed when it has answered, not in the middle', async () => {
    const calls: string[] = [];
    const data = fromGenerator(() => ({
      [Symbol.asyncIterator]: () => ({
        async next() {
          calls.push('next');
          await idle();
          calls.push('answer');
          return { done: false, value: 1 };
        },
        async return() {
          calls.push('return');
          return { done: true, value: undefined };
        },
      }),
    }));
    const iterator = data.prefetch(2).iterator();
    await iterator.next();
    await iterator.return();
    expect(calls.at(-1)).toBe('return');
    expect(calls.at(-2)).toBe('answer');
  });

  test('break in a for await closes the source', async () => {
    let closed = 0;
    const data = fromGenerator(async function* () {
      try {
        for (let n = 0; ; n++) yield numbered(n);
      } finally {
        closed++;
      }
    });
    for await (const { target } of data.batch(2).prefetch(2)) if (target.data[0] === 4) break;
    expect(closed).toBe(1);
  });

  test('calls that overlap are answered in order', async () => {
    for (const access of both) {
      const iterator = numberedDataset(5, access)
        .map(async (example) => {
          await new Promise((resolve) => setTimeout(resolve, 4 - Number(example.target.data[0])));
          return example;
        })
        .prefetch(2)
        .iterator();
      const results = await Promise.all(numbers(6).map(() => iterator.next()));
      expect(targets(results.flatMap(({ value }) => (value ? [value] : [])))).toEqual([0, 1, 2, 3, 4]);
      expect(results[5].done).toBe(true);
    }
  });
});
