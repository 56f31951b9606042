import { createKey, keyFromWords } from '@tenon-ml/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Dataset, type Example, fromArrays, fromGenerator } from '../src/index.js';
import { numbered, numberedDataset, rejection, targets, throughJson } from './support.js';

type Stage = (data: Dataset<Example>) => Dataset<Example>;

const key = fc.tuple(fc.nat(0xffffffff), fc.nat(0xffffffff)).map((words) => keyFromWords(words));
const named = (name: string, stage: Stage): [string, Stage] => [name, stage];

/** Stages that every dataset takes, and that leave elements as examples. */
const anyStage = fc.oneof(
  fc
    .integer({ min: 1, max: 9 })
    .map((buffer) => [`window ${buffer}`, buffer] as const)
    .chain(([name, buffer]) => key.map((k) => named(name, (data) => data.shuffle({ key: k, buffer })))),
  fc.nat(60).map((n) => named(`take ${n}`, (data) => data.take(n))),
  fc.nat(5).map((n) => named(`skip ${n}`, (data) => data.skip(n))),
  fc.constantFrom(1, 2, 2, 3, 0).map((n) => named(`repeat ${n}`, (data) => data.repeat(n))),
  fc.nat(4).map((n) => named(`prefetch ${n}`, (data) => data.prefetch(n))),
  fc
    .integer({ min: 2, max: 4 })
    .map((n) =>
      named(`filter %${n}`, (data) =>
        data.filter(({ target }, { index }) => (Number(target.data[0]) + index) % n !== 0),
      ),
    ),
  key.map((k) =>
    named('random map', (data) =>
      data.map(
        (example, { key: own, index, epoch }) => ({
          ...example,
          weight: {
            ...own.uniform([2]),
            data: Float32Array.of(own.uniform([1]).data[0], index + 1000 * epoch),
          },
        }),
        { key: k },
      ),
    ),
  ),
  fc.constant(named('map', (data) => data.map(async (example) => example))),
);
const batchStage = fc
  .tuple(fc.integer({ min: 1, max: 5 }), fc.boolean())
  .map(([size, dropRemainder]) =>
    named(`batch ${size} ${dropRemainder}`, (data) => data.batch(size, { dropRemainder })),
  );
const fullShuffle = key.map((k) => named('shuffle', (data) => data.shuffle({ key: k })));
const source = fc
  .tuple(fc.nat(40), fc.constantFrom('random', 'sequential', 'arrays'))
  .map(([count, access]) => ({
    name: `${access} ${count}`,
    open(): Dataset<Example> {
      if (access !== 'arrays') return numberedDataset(count, access);
      return fromArrays({
        input: {
          dtype: 'float32',
          shape: [count, 2],
          data: Float32Array.from({ length: 2 * count }, (_, i) => (i % 2 ? -(i - 1) / 2 : i / 2)),
        },
        target: { dtype: 'int32', shape: [count], data: Int32Array.from({ length: count }, (_, i) => i) },
      });
    },
  }));

/** A source, stages in any order, perhaps a batch, and stages that a batch takes as well. */
const pipeline = fc
  .tuple(
    source,
    fc.option(fullShuffle, { nil: undefined }),
    fc.array(anyStage, { maxLength: 4 }),
    fc.option(batchStage, { nil: undefined }),
    fc.array(anyStage, { maxLength: 2 }),
  )
  .map(([{ name, open }, shuffle, before, batch, after]) => {
    const first = shuffle && !name.startsWith('sequential') ? [shuffle] : [];
    const stages = [...first, ...before, ...(batch ? [batch, ...after] : [])];
    return {
      toString: () => [name, ...stages.map(([stage]) => stage)].join(' > '),
      create: () => stages.reduce((data, [, stage]) => stage(data), open()),
    };
  });

describe('positions', () => {
  test('every pipeline, from every position, through JSON, gives exactly the rest', async () => {
    await fc.assert(
      fc.asyncProperty(pipeline, fc.nat(40), fc.nat(3), async ({ create }, steps, epoch) => {
        const all = await create().toArray({ epoch });
        const iterator = create().iterator({ epoch });
        const taken: Example[] = [];
        for (let i = 0; i < steps; i++) {
          const { done, value } = await iterator.next();
          if (done) break;
          taken.push(value);
        }
        const state = throughJson(iterator.state());
        const fresh = create().iterator();
        await fresh.restore(state);
        // A position is read without moving it.
        expect(fresh.state()).toEqual(state);
        const rest: Example[] = [];
        for await (const element of fresh) rest.push(element);
        expect([...taken, ...rest]).toEqual(all);
        // So does the iterator that went on meanwhile, and one that goes back.
        await iterator.next();
        await iterator.restore(state);
        const again: Example[] = [];
        for await (const element of iterator) again.push(element);
        expect(again).toEqual(rest);
      }),
      { numRuns: 400 },
    );
  });

  test('what has random access gives the same as what comes one after another', async () => {
    const stages = fc.array(anyStage, { maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(
        fc.nat(25),
        stages,
        fc.option(batchStage),
        fc.nat(2),
        async (count, list, batch, epoch) => {
          const all = batch ? [...list, batch] : list;
          const run = (access: 'random' | 'sequential') =>
            all.reduce((data, [, stage]) => stage(data), numberedDataset(count, access) as Dataset<Example>);
          const random = await run('random').toArray({ epoch });
          expect(await run('sequential').toArray({ epoch })).toEqual(random);
          const { length } = run('random');
          expect(length === null || length === random.length).toBe(true);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('the state of an endless repetition goes on in the next pass', async () => {
    for (const access of ['random', 'sequential'] as const) {
      const create = () =>
        numberedDataset(5, access)
          .shuffle({ key: createKey(1), buffer: 3 })
          .repeat()
          .batch(4);
      const iterator = create().iterator({ epoch: 2 });
      const first: Example[] = [];
      for (let i = 0; i < 7; i++) first.push((await iterator.next()).value as Example);
      const state = throughJson(iterator.state());
      const expected = [(await iterator.next()).value, (await iterator.next()).value];
      const fresh = create().iterator();
      await fresh.restore(state);
      expect([(await fresh.next()).value, (await fresh.next()).value]).toEqual(expected);
      // Pass p of epoch 2 is epoch 2 + p of what is repeated.
      const passes = [2, 3, 4].map((epoch) =>
        numberedDataset(5, access)
          .shuffle({ key: createKey(1), buffer: 3 })
          .toArray({ epoch }),
      );
      expect(targets(first).flat().slice(0, 15)).toEqual(targets((await Promise.all(passes)).flat()));
    }
  });

  test('an endless repetition goes on after the last element of a pass', async () => {
    for (const access of ['random', 'sequential'] as const) {
      const create = () => numberedDataset(3, access).repeat();
      const iterator = create().iterator();
      for (let i = 0; i < 10; i++) {
        const fresh = create().iterator();
        await fresh.restore(throughJson(iterator.state()));
        expect(targets([(await fresh.next()).value as Example])).toEqual([i % 3]);
        await iterator.next();
      }
    }
  });

  test('the position is of constant size, and restoring loads nothing where access is random', async () => {
    const loaded: number[] = [];
    const data = numberedDataset(10_000, 'random')
      .map((example) => {
        loaded.push(Number(example.target.data[0]));
        return example;
      })
      .shuffle({ key: createKey(3) })
      .batch(10)
      .prefetch(2);
    const iterator = data.iterator();
    await iterator.restore({ ...(iterator.state() as object), position: 900 });
    expect(loaded).toEqual([]);
    await iterator.next();
    expect(JSON.stringify(iterator.state()).length).toBeLessThan(200);
    expect((iterator.state() as { position: number }).position).toBe(901);
    await iterator.return();
    expect(loaded.length).toBeLessThanOrEqual(30);
  });

  test('reading ahead does not move the position', async () => {
    const ahead = numberedDataset(20, 'random').prefetch(8).iterator();
    const plain = numberedDataset(20, 'random').iterator();
    for (let i = 0; i < 5; i++) {
      await ahead.next();
      await plain.next();
    }
    expect(ahead.state()).toEqual(plain.state());
    // So a resumed run may read ahead further, or less far.
    const other = numberedDataset(20, 'random').prefetch(1).iterator();
    await other.restore(ahead.state());
    expect(targets([(await other.next()).value as Example])).toEqual([5]);
  });

  test('a restored position has its own epoch', async () => {
    const create = () => numberedDataset(9, 'random').shuffle({ key: createKey(5) });
    const iterator = create().iterator({ epoch: 4 });
    await iterator.next();
    const fresh = create().iterator({ epoch: 0 });
    await fresh.restore(iterator.state());
    expect((fresh.state() as { epoch: number }).epoch).toBe(4);
    const rest: Example[] = [];
    for await (const element of fresh) rest.push(element);
    expect(rest).toEqual((await create().toArray({ epoch: 4 })).slice(1));
  });

  test('positions of other pipelines, and what are none, are refused', async () => {
    const data = (seed: number, size: number) =>
      numberedDataset(20, 'random')
        .shuffle({ key: createKey(seed) })
        .batch(size);
    const iterator = data(1, 4).iterator();
    await iterator.next();
    const state = iterator.state() as { pipeline: string; epoch: number; position: number };
    for (const other of [data(2, 4), data(1, 5), data(1, 4).skip(1)]) {
      await expect(other.iterator().restore(state)).rejects.toMatchObject({ code: 'CHECKPOINT_INVALID' });
    }
    const error = await rejection(data(1, 5).iterator().restore(state));
    expect(error.message).toContain('expected examples(20) > shuffle(key ');
    expect(error.message).toContain('batch(5), got "examples(20)');
    for (const broken of [
      null,
      7,
      [],
      {},
      { ...state, position: -1 },
      { ...state, position: 6 },
      { ...state, position: 1.5 },
      { ...state, position: '1' },
      { ...state, epoch: -1 },
    ]) {
      await expect(iterator.restore(broken)).rejects.toMatchObject({ code: 'CHECKPOINT_INVALID' });
    }
    // A refused position leaves the iterator where it was.
    expect(iterator.state()).toEqual(state);
    expect(targets([(await iterator.next()).value as Example])).toEqual(
      targets((await data(1, 4).toArray()).slice(1, 2)),
    );
  });

  test('a generator that has become shorter is an error, not an early end', async () => {
    let count = 9;
    const data = fromGenerator(function* () {
      for (let n = 0; n < count; n++) yield numbered(n);
    });
    const iterator = data.iterator();
    for (let i = 0; i < 6; i++) await iterator.next();
    count = 4;
    await expect(data.iterator().restore(iterator.state())).rejects.toMatchObject({ code: 'DATA_INVALID' });
  });
});
