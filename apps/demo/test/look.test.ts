import { createKey, memoryStore, type NdArray, writeSafetensors } from '@tenon-ml/core';
import { parseCsv } from '@tenon-ml/data';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type ArraysLook,
  lookAt,
  lookAtArrays,
  lookAtTable,
  lookAtText,
  thumbnail,
} from '../src/import/look.js';
import { type Statistics, statisticsCounter } from '../src/import/statistics.js';
import { expectError } from './support.js';

/** The same in two passes. */
function reference(values: readonly number[]): Statistics {
  const count = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / count);
  return { count, min: Math.min(...values), max: Math.max(...values), mean, deviation };
}

function expectClose(got: Statistics, expected: Statistics): void {
  expect([got.count, got.min, got.max]).toEqual([expected.count, expected.min, expected.max]);
  const scale = 1e-12 * Math.max(1, Math.abs(expected.min), Math.abs(expected.max));
  expect(Math.abs(got.mean - expected.mean)).toBeLessThanOrEqual(scale);
  expect(Math.abs(got.deviation - expected.deviation)).toBeLessThanOrEqual(1e3 * scale);
}

describe('statisticsCounter', () => {
  it.each(['uint8', 'float32'] as const)('of %s is what two passes give, over any parts', (dtype) => {
    const values =
      dtype === 'uint8' ? fc.nat({ max: 255 }) : fc.float({ noNaN: true, min: -1000, max: 1000 });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        fc.array(fc.array(values, { minLength: 4, maxLength: 4 }), { minLength: 1, maxLength: 30 }),
        fc.nat({ max: 30 }),
        (features, all, cut) => {
          const counter = statisticsCounter(features);
          const rows = all.map((row) => row.slice(0, features));
          for (const part of [rows.slice(0, cut), rows.slice(cut)]) {
            const data = dtype === 'uint8' ? Uint8Array.from(part.flat()) : Float32Array.from(part.flat());
            counter.add({ dtype, shape: [part.length, features], data } as NdArray);
          }
          for (const [f, found] of counter.compute().entries()) {
            expectClose(found, reference(rows.map((row) => row[f])));
          }
        },
      ),
    );
  });

  it('does not cancel where the mean is large', () => {
    const data = Float64Array.from({ length: 1000 }, (_, i) => 1e9 + (i % 2));
    const counter = statisticsCounter(1);
    counter.add({ dtype: 'float64', shape: [1000, 1], data });
    expect(counter.compute()[0]).toEqual({
      count: 1000,
      min: 1e9,
      max: 1e9 + 1,
      mean: 1e9 + 0.5,
      deviation: 0.5,
    });
  });

  it('of nothing is not a number', () => {
    expect(statisticsCounter(1).compute()[0]).toMatchObject({ count: 0, mean: Number.NaN });
  });
});

describe('lookAt', () => {
  it('the embedded digits', async () => {
    const look = (await lookAt({ source: 'digits' }, memoryStore(), { thumbnails: 20 })) as ArraysLook;
    expect([look.examples, look.shape, look.thumbnails.length]).toEqual([1797, [8, 8, 1], 20]);
    // scikit-learn: np.bincount(load_digits().target).
    expect(look.classes.map(({ count }) => count)).toEqual([
      178, 182, 177, 183, 181, 182, 181, 179, 174, 180,
    ]);
    expect(look.statistics[0]).toMatchObject({ count: 1797 * 64, min: 0, max: 16 });
    // load_digits().data.mean(), .std().
    expect(look.statistics[0].mean).toBeCloseTo(4.884164579855314, 12);
    expect(look.statistics[0].deviation).toBeCloseTo(6.016787548672236, 10);
    expect(look.thumbnails.map(({ label }) => label).join('')).toBe('01234567890123456789');
    expect(Math.max(...look.thumbnails[0].rgba)).toBe(255);
  });

  it('CIFAR-10, as many of it as the experiment reads', async () => {
    const file = (...labels: number[]): Uint8Array => {
      const bytes = new Uint8Array(labels.length * 3073);
      for (const [i, label] of labels.entries()) {
        bytes.set([label], i * 3073);
        // Red 10, green 20, blue 30.
        for (let c = 0; c < 3; c++)
          bytes.fill(10 * (c + 1), i * 3073 + 1 + 1024 * c, i * 3073 + 1025 + 1024 * c);
      }
      return bytes;
    };
    const store = memoryStore([
      ['data_batch_1.bin', file(0, 1, 2)],
      ['data_batch_2.bin', file(3, 3, 3)],
      ['notes.txt', new Uint8Array(5)],
      ['test_batch.bin', file(9, 8, 7)],
    ]);
    const whole = (await lookAt({ source: 'cifar10' }, store)) as ArraysLook;
    expect(whole.classes.map(({ count }) => count)).toEqual([1, 1, 1, 3, 0, 0, 0, 1, 1, 1]);
    expect(whole.statistics.map(({ mean, count }) => [mean, count])).toEqual(
      [10, 20, 30].map((mean) => [mean, 9 * 1024]),
    );
    expect([...whole.thumbnails[0].rgba.subarray(0, 4), whole.thumbnails[0].label]).toEqual([
      10,
      20,
      30,
      255,
      'airplane',
    ]);
    const some = (await lookAt({ source: 'cifar10', limit: 4 }, store)) as ArraysLook;
    expect(some.classes.map(({ count }) => count)).toEqual([1, 1, 1, 1, 0, 0, 0, 0, 0, 1]);
    const few = (await lookAt({ source: 'cifar10', limit: 3 }, store)) as ArraysLook;
    expect(few.classes.map(({ count }) => count)).toEqual([1, 1, 1, 0, 0, 0, 0, 0, 0, 1]);
  });

  it('arrays of pictures', async () => {
    const input: NdArray = { dtype: 'uint8', shape: [3, 1, 1, 1], data: Uint8Array.of(5, 6, 7) };
    const target = (...labels: number[]): NdArray => ({
      dtype: 'int32',
      shape: [3],
      data: Int32Array.from(labels),
    });
    const look = (...labels: number[]) => {
      const bytes = writeSafetensors({ input, target: target(...labels) });
      const data = { source: 'arrays', file: 'a', classNames: ['x', 'y'] } as const;
      return lookAt(data, memoryStore([['a', bytes]]));
    };
    expect(await look(1, 0, 1)).toMatchObject({
      classes: [
        { name: 'x', count: 1 },
        { name: 'y', count: 2 },
      ],
      thumbnails: [{ label: 'x' }, { label: 'y' }, { label: 'y' }],
    });
    await expectError(() => look(0, 1, 2), 'LABEL_OUT_OF_RANGE', 'example 2', 'from 0 to 1, got 2');
    const other = memoryStore([['a', writeSafetensors({ weights: input })]]);
    const data = { source: 'arrays', file: 'a', classNames: ['x'] } as const;
    await expectError(() => lookAt(data, other), 'DATA_INVALID', "'input' and 'target', got weights");
  });

  it('refuses parts of different inputs, and shows no picture of what is none', async () => {
    const part = (...shape: number[]) => ({
      input: {
        dtype: 'float32',
        shape: [1, ...shape],
        data: new Float32Array(shape.reduce((a, b) => a * b)),
      } as NdArray,
      target: { dtype: 'int32', shape: [1], data: Int32Array.of(0) } as NdArray,
    });
    await expectError(
      () => lookAtArrays([part(2, 2, 1), part(2, 3, 1)], ['a']),
      'DATA_INVALID',
      '[2, 2, 1]',
      '[2, 3, 1]',
    );
    for (const shape of [[4], [2, 2], [2, 2, 4]]) {
      expect((await lookAtArrays([part(...shape)], ['a'])).thumbnails).toEqual([]);
    }
    expect((await lookAtArrays([part(4)], ['a'])).statistics).toHaveLength(4);
  });
});

it('a thumbnail is scaled to a byte, clamped, and grey for one channel', () => {
  const input: NdArray = { dtype: 'float32', shape: [2, 1, 2, 1], data: Float32Array.of(9, 9, 0.5, 2) };
  expect([...thumbnail(input, 1).rgba]).toEqual([128, 128, 128, 255, 255, 255, 255, 255]);
  expect([...thumbnail(input, 1, 4).rgba]).toEqual([32, 32, 32, 255, 128, 128, 128, 255]);
});

it('a table: its columns, its classes, its first rows', () => {
  const table = parseCsv('x,colour,size\n1,red,10\n2.5,blue,9\n4,red,10\n');
  const look = lookAtTable(table, { target: 'colour', task: 'classification' }, { rows: 2 });
  expect(look.columns).toMatchObject([
    { name: 'x', numeric: true, statistics: { count: 3, min: 1, max: 4, mean: 2.5 } },
    {
      name: 'colour',
      numeric: false,
      values: [
        { name: 'red', count: 2 },
        { name: 'blue', count: 1 },
      ],
    },
    { name: 'size', numeric: true, distinct: 2 },
  ]);
  expect(look.classes).toEqual([
    { name: 'blue', count: 1 },
    { name: 'red', count: 2 },
  ]);
  expect(look.head).toEqual([
    ['1', 'red', '10'],
    ['2.5', 'blue', '9'],
  ]);
  expect(lookAtTable(table, { target: 'size', task: 'classification' }).classes).toEqual([
    { name: '9', count: 1 },
    { name: '10', count: 2 },
  ]);
  expect(lookAtTable(table, { target: 'size', task: 'regression' }).classes).toEqual([]);
});

it('a text: code points, lines, vocabulary', async () => {
  const store = memoryStore([['t', new TextEncoder().encode('a🎲a\nb\n')]]);
  expect(await lookAt({ source: 'text', file: 't', context: 1, stepsPerEpoch: 1 }, store)).toEqual({
    kind: 'text',
    characters: 6,
    lines: 2,
    vocabulary: [
      { name: '\n', count: 2 },
      { name: 'a', count: 2 },
      { name: 'b', count: 1 },
      { name: '🎲', count: 1 },
    ],
    head: 'a🎲a\nb\n',
  });
  expect(lookAtText('')).toMatchObject({ characters: 0, lines: 0, head: '' });
  expect([...lookAtText('🎲'.repeat(3000)).head]).toHaveLength(2000);
  expect(lookAtText('x\ny').lines).toBe(2);
});

it('50,000 colour pictures are looked at in one pass', async () => {
  const count = 50_000;
  const pattern = new Uint8Array(createKey(1).bits(1 << 18).buffer);
  const data = new Uint8Array(count * 3072);
  for (let at = 0; at < data.length; at += pattern.length)
    data.set(pattern.subarray(0, data.length - at), at);
  const input: NdArray = { dtype: 'uint8', shape: [count, 32, 32, 3], data };
  const target: NdArray = {
    dtype: 'int32',
    shape: [count],
    data: Int32Array.from({ length: count }, (_, i) => i % 10),
  };
  const names = Array.from({ length: 10 }, (_, i) => String(i));
  const began = performance.now();
  const look = await lookAtArrays([{ input, target }], names);
  const took = performance.now() - began;
  console.log(`looked at ${count} pictures in ${Math.round(took)} ms`);
  expect(look.statistics[2].count).toBe(count * 1024);
  // A few hundred milliseconds where nothing else runs.
  expect(took).toBeLessThan(5000);
});
