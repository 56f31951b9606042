import { createKey, keyFromWords, type NdArray, scalar } from '@tenon-ml/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Dataset, fromExamples, type SplitSizes } from '../src/index.js';
import { largestRemainder, stratifiedCounts } from '../src/split.js';
import { numberedDataset, rejection, targets } from './support.js';

const key = fc.tuple(fc.nat(0xffffffff), fc.nat(0xffffffff)).map((words) => keyFromWords(words));
const fractions = fc
  .array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 5 })
  .map((weights) => weights.map((weight) => weight / weights.reduce((a, b) => a + b, 0)));
const sizes = (values: readonly number[]) =>
  Object.fromEntries(values.map((value, p) => [`part${p}`, value]));
const labelled = (labels: readonly number[]) =>
  fromExamples(labels.map((label, record) => ({ record, label })));

async function members(parts: { readonly [name: string]: Dataset<{ record: number; label: number }> }) {
  return Promise.all(Object.values(parts).map((part) => part.toArray()));
}

describe('split', () => {
  test('every record is in one part, counts are by largest remainder, and the order is kept', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(80), fractions, key, fc.boolean(), async (count, values, k, stratified) => {
        const data = labelled(Array.from({ length: count }, (_, n) => n % 3));
        const parts = await data.split(sizes(values), {
          key: k,
          ...(stratified && { stratify: ({ label }: { label: number }) => label }),
        });
        const records = (await members(parts)).map((part) => part.map(({ record }) => record));
        expect(records.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, n) => n));
        for (const part of records) expect(part).toEqual([...part].sort((a, b) => a - b));
        expect(Object.values(parts).map(({ length }) => length)).toEqual(records.map((part) => part.length));
        expect(records.map((part) => part.length)).toEqual(largestRemainder(values, count));
      }),
    );
  });

  test('largest remainder: known apportionments', () => {
    expect(largestRemainder([0.7, 0.15, 0.15], 10)).toEqual([7, 2, 1]);
    expect(largestRemainder([0.7, 0.3], 10)).toEqual([7, 3]);
    expect(largestRemainder([0.6, 0.2, 0.2], 1797)).toEqual([1078, 360, 359]);
    expect(largestRemainder([1 / 3, 1 / 3, 1 / 3], 9)).toEqual([3, 3, 3]);
    expect(largestRemainder([0.15, 0.85], 10)).toEqual([2, 8]);
  });

  test('the last bits of a fraction decide nothing', () => {
    fc.assert(
      fc.property(
        fc.nat(1000),
        fractions,
        fc.array(fc.constantFrom(-1, 0, 1), { minLength: 5, maxLength: 5 }),
        (total, values, bits) => {
          const nudged = values.map((value, p) => value * (1 + bits[p] * Number.EPSILON));
          expect(largestRemainder(nudged, total)).toEqual(largestRemainder(values, total));
        },
      ),
      { numRuns: 1000 },
    );
  });

  test('stratified: each class is within one of its exact share, and the totals are those of a plain split', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(12), { minLength: 1, maxLength: 12 }),
        fractions,
        key,
        async (classSizes, values, k) => {
          const labels = classSizes.flatMap((size, label) => Array<number>(size).fill(label));
          const parts = await labelled(labels).split(sizes(values), {
            key: k,
            stratify: ({ label }) => label,
          });
          const got = await members(parts);
          for (const [label, size] of classSizes.entries()) {
            for (const [p, part] of got.entries()) {
              const count = part.filter((element) => element.label === label).length;
              expect(Math.abs(count - values[p] * size)).toBeLessThan(1);
            }
          }
          expect(got.map((part) => part.length)).toEqual(largestRemainder(values, labels.length));
        },
      ),
      { numRuns: 300 },
    );
    // Ten classes of five, halved: rounding every class alone would give the first part all the remainders, 30 to 20.
    const halves = stratifiedCounts(Array(10).fill(5), [0.5, 0.5], [25, 25]);
    expect(halves.reduce((sum, [first]) => sum + first, 0)).toBe(25);
    expect(halves.every(([a, b]) => a + b === 5 && Math.abs(a - b) === 1)).toBe(true);
  });

  test('two parts: totals are exact whatever the classes', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(20), { maxLength: 30 }),
        fc.integer({ min: 1, max: 99 }),
        (classSizes, percent) => {
          const values = [percent / 100, 1 - percent / 100];
          const totals = largestRemainder(
            values,
            classSizes.reduce((a, b) => a + b, 0),
          );
          const counts = stratifiedCounts(classSizes, values, totals);
          expect(values.map((_, p) => counts.reduce((sum, row) => sum + row[p], 0))).toEqual(totals);
        },
      ),
    );
  });

  test('is the same in every epoch and for the same key, and another for another', async () => {
    const create = (seed: number) =>
      numberedDataset(40, 'random').split({ train: 0.5, test: 0.5 }, { key: createKey(seed) });
    const [a, again, b] = [await create(1), await create(1), await create(2)];
    const first = targets(await a.test.toArray());
    expect(targets(await a.test.toArray({ epoch: 7 }))).toEqual(first);
    expect(targets(await again.test.toArray())).toEqual(first);
    expect(targets(await b.test.toArray())).not.toEqual(first);
    expect(a.train.description).toContain('split(train 20 of 40, key ');
  });

  test('a class is drawn by its own key: other classes don’t move it', async () => {
    const stratify = ({ label }: { label: number }) => label;
    const recordsOf = async (labels: number[]) => {
      const { test: held } = await labelled(labels).split(
        { train: 0.5, test: 0.5 },
        { key: createKey(3), stratify },
      );
      const sevens = labels.flatMap((label, record) => (label === 7 ? [record] : []));
      return (await held.toArray())
        .filter(({ label }) => label === 7)
        .map(({ record }) => sevens.indexOf(record));
    };
    expect(await recordsOf([...Array(10).fill(7), 1, 1, 2])).toEqual(
      await recordsOf([4, 4, 4, 4, ...Array(10).fill(7)]),
    );
  });

  test('takes numbers of records, and labels as arrays or text', async () => {
    const data = fromExamples(['b', 'a', 'b', 'a'].map((label) => ({ label })));
    const parts = await data.split(
      { train: 2, test: 2 },
      { key: createKey(1), stratify: ({ label }) => label },
    );
    expect((await parts.train.toArray()).map(({ label }) => label).sort()).toEqual(['a', 'b']);
    const arrays = fromExamples(
      [1, 0, 1, 0].map((label): { target: NdArray } => ({ target: scalar(label, 'int32') })),
    );
    const halves = await arrays.split(
      { a: 0.5, b: 0.5 },
      { key: createKey(1), stratify: ({ target }) => target },
    );
    expect((await halves.a.toArray()).map(({ target }) => target.data[0]).sort()).toEqual([0, 1]);
    const { all } = await numberedDataset(3, 'random').split({ all: 1 }, { key: createKey(1) });
    expect(all.length).toBe(3);
  });

  test('contiguous parts stand as the records do', async () => {
    const parts = await numberedDataset(10, 'random').split({ past: 0.7, future: 0.3 }, { contiguous: true });
    expect(targets(await parts.past.toArray())).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(targets(await parts.future.toArray())).toEqual([7, 8, 9]);
  });

  test('refuses what would put a record into two parts, and sizes that don’t add up', async () => {
    const options = { key: createKey(1) };
    const data = numberedDataset(10, 'random');
    const half = { a: 0.5, b: 0.5 };
    for (const wrong of [
      data.shuffle(options),
      data.repeat(2),
      data
        .shuffle(options)
        .take(5)
        .map((x) => x),
      data.filter(() => true),
      numberedDataset(10, 'sequential'),
    ]) {
      expect(await rejection(wrong.split(half, options))).toMatchObject({
        code: 'INVALID_ARGUMENT',
        where: 'split',
      });
    }
    const sums: SplitSizes[] = [
      { a: 0.5, b: 0.4 },
      { a: 5, b: 6 },
      { a: 1.5, b: -0.5 },
      {},
      { a: Number.NaN },
    ];
    for (const wrong of sums) {
      expect(await rejection(data.split(wrong, options))).toMatchObject({ code: 'INVALID_ARGUMENT' });
    }
    const unlabelled = await rejection(data.split(half, { ...options, stratify: ({ input }) => input }));
    expect(unlabelled).toMatchObject({ code: 'DATA_INVALID', where: 'split, stratify, record 0' });
  });
});
