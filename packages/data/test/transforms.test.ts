import {
  buildTransform,
  createRegistry,
  fromNested,
  type NdArray,
  type TransformationSpec,
  toNested,
} from '@tenon-ml/core';
import { tolerances } from '@tenon-ml/testkit';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fitTransform, fromArrays, normalize, rescale, transformInput, transforms } from '../src/index.js';
import { rejection, throughJson } from './support.js';

const { normalization, elementwise } = tolerances.float64;
const near = (a: number, b: number, { rtol, atol } = normalization) =>
  expect(Math.abs(a - b)).toBeLessThanOrEqual(atol + rtol * Math.abs(b));
const fitted = (spec: unknown) => spec as { mean: number[]; standardDeviation: number[] };

/** The textbook's two passes, over numbers whose sums float64 holds exactly. */
function reference(values: readonly number[]): { mean: number; standardDeviation: number } {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return { mean, standardDeviation: Math.sqrt(variance) };
}

describe('normalize', () => {
  test('fits the mean and the population’s deviation of every feature, however the data is cut into batches', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.integer({ min: -99, max: 99 }), fc.integer({ min: -999, max: 999 })), {
          minLength: 2,
          maxLength: 30,
        }),
        fc.integer({ min: 1, max: 7 }),
        async (rows, size) => {
          const data = fromArrays({
            input: fromNested(rows, 'float64'),
            target: fromNested(rows.map(() => 0)),
          });
          for (const cut of [data, data.batch(size)]) {
            const { mean, standardDeviation } = fitted((await fitTransform(normalize(), cut)).spec);
            for (const f of [0, 1]) {
              const expected = reference(rows.map((row) => row[f]));
              near(mean[f], expected.mean, { rtol: normalization.rtol, atol: 1e-12 });
              near(standardDeviation[f], expected.standardDeviation || 1);
            }
          }
        },
      ),
    );
  });

  test('does not cancel: a large offset leaves the deviation', async () => {
    const values = [4, 7, 13, 16].map((value) => value + 1e9);
    const scaler = await normalize().fit(values.map((value) => fromNested([value], 'float64')));
    const { mean, standardDeviation } = fitted(scaler.spec);
    expect(mean).toEqual([1e9 + 10]);
    near(standardDeviation[0], Math.sqrt(22.5), elementwise);
  });

  test('a constant counts as having a deviation of 1, also where rounding makes it nearly constant', async () => {
    const scaler = await normalize().fit(Array.from({ length: 7 }, () => fromNested([0.1, 3], 'float64')));
    expect(fitted(scaler.spec).standardDeviation).toEqual([1, 1]);
    // Ten times 0.1 is not 1 in float64, so that the mean of a batch is not 0.1.
    const batched = await normalize().fit([
      fromNested(Array<number[]>(10).fill([0.1]), 'float64'),
      fromNested([[0.1], [0.1]], 'float64'),
    ]);
    expect(fitted(batched.spec).standardDeviation).toEqual([1]);
  });

  test('gives float32 of any dtype, for one example and for a batch of them', async () => {
    const images: NdArray = fromNested([[[0, 10]], [[16, 30]]], 'uint8');
    const scaler = await normalize().fit([images]);
    expect(scaler.spec).toEqual({
      transform: 'normalize',
      version: 1,
      per: 'feature',
      mean: [8, 20],
      standardDeviation: [8, 10],
    });
    expect(scaler.apply(images)).toEqual(fromNested([[[-1, -1]], [[1, 1]]]));
    expect(scaler.apply(fromNested([[16, 30]], 'int64'))).toEqual(fromNested([[1, 1]]));
    expect(scaler.fit).toBeUndefined();
  });

  test("per 'all' has one mean for everything, scalars included", async () => {
    const scaler = await normalize({ per: 'all' }).fit([fromNested([1, 3]), fromNested(5)]);
    expect(fitted(scaler.spec).mean).toEqual([3]);
    expect(toNested(scaler.apply(fromNested([[3, 3, 3]])))).toEqual([[0, 0, 0]]);
  });

  test('comes back from the JSON of a model with the same bits', async () => {
    const rows = Array.from({ length: 50 }, (_, i) => [Math.sin(i), i / 3, 1e-3 * i * i]);
    const data = fromNested(rows, 'float64');
    const scaler = await normalize().fit([data]);
    const spec = throughJson(scaler.spec) as unknown as TransformationSpec;
    for (const registry of [transforms, createRegistry(transforms)]) {
      const again = buildTransform(spec, registry);
      expect(again.spec).toEqual(scaler.spec);
      expect(again.apply(data)).toEqual(scaler.apply(data));
    }
    expect(buildTransform({ ...normalize().spec }, transforms).fit).toBeDefined();
  });

  test('says what is wrong', async () => {
    expect(() => normalize().apply(fromNested([1]))).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
    const scaler = await normalize().fit([fromNested([[1, 2]])]);
    expect(() => scaler.apply(fromNested([1, 2, 3]))).toThrow(
      'normalize: expected 2 features along the last axis, as it was fitted to, got [3].',
    );
    expect(await rejection(normalize().fit([]))).toMatchObject({ code: 'DATA_INVALID' });
    expect(await rejection(normalize().fit([fromNested([1]), fromNested([Number.NaN])]))).toMatchObject({
      code: 'DATA_INVALID',
      where: 'normalize, example 1',
    });
    expect(await rejection(normalize().fit([fromNested([1]), fromNested([1, 2])]))).toMatchObject({
      code: 'SHAPE_MISMATCH',
    });
    expect(await rejection(normalize().fit([fromNested(1)]))).toMatchObject({ code: 'SHAPE_MISMATCH' });
    for (const broken of [
      { mean: [1], standardDeviation: [0] },
      { mean: [1, 2], standardDeviation: [1] },
      { mean: ['1'], standardDeviation: [1] },
      { mean: [1] },
      { per: 'row' },
      { per: 'all', mean: [1, 2], standardDeviation: [1, 1] },
    ]) {
      const spec = { transform: 'normalize', version: 1, per: 'feature', ...broken } as TransformationSpec;
      expect(() => buildTransform(spec, transforms)).toThrow(
        expect.objectContaining({ code: 'ARTIFACT_INVALID' }),
      );
    }
    const newer = { ...scaler.spec, version: 2 };
    expect(() => buildTransform(newer, transforms)).toThrow(
      expect.objectContaining({ code: 'FORMAT_TOO_NEW' }),
    );
  });
});

describe('rescale', () => {
  test('is x · scale + offset, and needs no fitting', async () => {
    const bytes = rescale({ scale: 1 / 255 });
    expect(bytes.apply(fromNested([0, 51, 255], 'uint8'))).toEqual(fromNested([0, 0.2, 1]));
    const signed = rescale({ scale: 1 / 127.5, offset: -1 });
    expect(toNested(signed.apply(fromNested([[0], [255]], 'uint8')))).toEqual([[-1], [1]]);
    const data = fromArrays({ input: fromNested([[1], [2]]), target: fromNested([0, 1]) });
    expect(await fitTransform(bytes, data)).toBe(bytes);
    expect(
      buildTransform(throughJson(signed.spec) as unknown as TransformationSpec, transforms).spec,
    ).toEqual(signed.spec);
    expect(() => rescale({ scale: Number.NaN })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
    expect(() => buildTransform({ transform: 'rescale', version: 1, scale: 2 }, transforms)).toThrow(
      expect.objectContaining({ code: 'ARTIFACT_INVALID' }),
    );
  });
});

test('transformInput maps the input alone', async () => {
  const data = fromArrays({ input: fromNested([[2], [4]], 'uint8'), target: fromNested([7, 8], 'int32') });
  const scaled = data.map(transformInput(rescale({ scale: 0.5 })));
  expect(await scaled.toArray()).toEqual([
    { input: fromNested([1]), target: fromNested(7, 'int32') },
    { input: fromNested([2]), target: fromNested(8, 'int32') },
  ]);
  expect(await scaled.batch(2).toArray()).toEqual(
    await data
      .batch(2)
      .map(transformInput(rescale({ scale: 0.5 })))
      .toArray(),
  );
});
