import { fromNested, type NdArray, ndarray } from '@tenon-ml/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { histogram, nearest } from '../src/index.js';
import { expectError } from './support.js';

const number = fc.float({ min: -10, max: 10, noNaN: true });

describe('nearest', () => {
  const matrix = (rows: number, size: number) =>
    fc
      .array(fc.constantFrom(-1, 0, 1, 2), { minLength: rows * size, maxLength: rows * size })
      .map((values): NdArray => ndarray('float32', [rows, size], Float32Array.from(values)));

  test('is a full sort by cosine similarity, ties by index', () => {
    const cases = fc.record({ rows: fc.integer({ min: 1, max: 12 }), size: fc.integer({ min: 1, max: 4 }) });
    fc.assert(
      fc.property(
        cases.chain(({ rows, size }) =>
          fc.tuple(matrix(rows, size), matrix(2, size), fc.integer({ min: 1, max: 15 })),
        ),
        ([features, queries, k]) => {
          const [count, size] = features.shape;
          const row = ({ data }: NdArray, i: number) =>
            Array.from(data, Number).slice(i * size, (i + 1) * size);
          const dot = (a: number[], b: number[]) => a.reduce((total, x, i) => total + x * b[i], 0);
          const found = nearest(features, queries, k);
          expect(found).toHaveLength(2);
          for (const [q, { indices, similarities }] of found.entries()) {
            const query = row(queries, q);
            const all = Array.from({ length: count }, (_, i) => {
              const norms = Math.sqrt(dot(row(features, i), row(features, i))) * Math.sqrt(dot(query, query));
              const cosine = norms === 0 ? 0 : dot(row(features, i), query) / norms;
              return { i, cosine: Math.max(-1, Math.min(1, cosine)) };
            });
            all.sort((a, b) => b.cosine - a.cosine || a.i - b.i);
            expect(indices).toEqual(all.slice(0, k).map(({ i }) => i));
            expect(similarities).toEqual(all.slice(0, k).map(({ cosine }) => cosine));
          }
        },
      ),
    );
  });

  test('a vector is nearest to itself and its multiples, farthest from its negative', () => {
    const features = fromNested([
      [-1, -2],
      [3, 6],
      [2, -1],
      [1, 2],
    ]);
    const [{ indices, similarities }] = nearest(features, fromNested([[1, 2]]), 4);
    expect(indices).toEqual([1, 3, 2, 0]);
    for (const [i, expected] of [1, 1, 0, -1].entries()) expect(similarities[i]).toBeCloseTo(expected, 12);
  });

  test('refuses what does not fit', async () => {
    const features = fromNested([[1, 2]]);
    await expectError(
      () => nearest(features, fromNested([[1, 2, 3]]), 1),
      'SHAPE_MISMATCH',
      '[1, 2] and [1, 3]',
    );
    await expectError(() => nearest(features, fromNested([1, 2]), 1), 'SHAPE_MISMATCH');
    await expectError(() => nearest(features, features, 0), 'INVALID_ARGUMENT', 'nearest, k', 'got 0');
    await expectError(() => nearest(features, features, 1.5), 'INVALID_ARGUMENT');
    const broken = fromNested([
      [1, 2],
      [Number.NaN, 1],
    ]);
    await expectError(() => nearest(broken, features, 1), 'NOT_FINITE', 'features, row 1');
    await expectError(() => nearest(features, broken, 1), 'NOT_FINITE', 'query, row 1');
  });
});

describe('histogram', () => {
  test("is numpy's", () => {
    // numpy.histogram([1, 2, 1, 4, 2.5], 3) and with range=(1, 3).
    expect(histogram([1, 2, 1, 4, 2.5], 3)).toEqual({
      counts: [2, 2, 1],
      edges: [1, 2, 3, 4],
      below: 0,
      above: 0,
      nan: 0,
    });
    expect(histogram(fromNested([1, 2, 1, 4, 2.5]), 2, [1, 3])).toMatchObject({ counts: [2, 2], above: 1 });
    expect(histogram([], 2)).toMatchObject({ counts: [0, 0], edges: [0, 0.5, 1] });
    expect(histogram([7, 7], 2)).toMatchObject({ counts: [0, 2], edges: [6.5, 7, 7.5] });
    expect(histogram([1e20], 1)).toMatchObject({ counts: [1] });
  });

  test('counts every value once, in the bin whose edges are around it', () => {
    const value = fc.oneof(number, fc.constantFrom(Number.NaN, Infinity, -Infinity, 0.1, 0.2, 0.3, 1));
    fc.assert(
      fc.property(
        fc.array(value, { maxLength: 40 }),
        fc.integer({ min: 1, max: 20 }),
        fc.option(fc.constantFrom<[number, number]>([0, 1], [-3, 0.3], [0.1, 0.7]), { nil: undefined }),
        (values, bins, range) => {
          const { counts, edges, below, above, nan } = histogram(values, bins, range);
          expect(edges).toHaveLength(bins + 1);
          const inBin = (x: number, i: number) =>
            x >= edges[i] && (x < edges[i + 1] || (i === bins - 1 && x === edges[bins]));
          expect(counts).toEqual(counts.map((_, i) => values.filter((x) => inBin(x, i)).length));
          expect(below).toBe(values.filter((x) => x < edges[0]).length);
          expect(above).toBe(values.filter((x) => x > edges[bins]).length);
          expect(nan).toBe(values.filter(Number.isNaN).length);
          expect(counts.reduce((a, b) => a + b) + below + above + nan).toBe(values.length);
        },
      ),
    );
  });

  test('refuses bins and ranges that are none', async () => {
    await expectError(() => histogram([1], 0), 'INVALID_ARGUMENT', 'histogram, bins', 'got 0');
    await expectError(() => histogram([1], 2, [1, 1]), 'INVALID_ARGUMENT', 'histogram, range', '1 and 1');
    await expectError(() => histogram([1], 2, [0, Infinity]), 'INVALID_ARGUMENT');
  });
});
