import {
  createRegistry,
  defineTransform,
  formatShape,
  type Json,
  type NdArray,
  type Registry,
  sizeOf,
  TenonError,
  type Transform,
  type TransformationSpec,
} from '@tenon-ml/core';
import type { Dataset, Example } from './dataset.js';
import { charactersDefinition } from './text.js';

/** A transform that has to be fitted before it is applied. */
export type FittableTransform = Transform & Required<Pick<Transform, 'fit'>>;

export interface NormalizeOptions {
  /**
   * What shares a mean and a standard deviation: each index of the last axis (a feature of a table, a channel of an
   * image; the default), or all values ('all').
   */
  readonly per?: 'feature' | 'all';
}

/**
 * Standardisation, (x − mean) / standard deviation, with the statistics of the training data: `fit` gives a transform
 * whose spec holds them, so that they travel with the model. In float64; what comes out is float32. Takes every dtype.
 *
 * ```ts
 * const scaler = await fitTransform(normalize(), train);
 * const batches = train.batch(32).map(transformInput(scaler));
 * ```
 *
 * The standard deviation is the population's (a divisor of n, as in scikit-learn's StandardScaler and Keras'
 * Normalization); one that is 0 but for rounding counts as 1, so that a constant feature becomes 0. Means and squared
 * deviations are merged example by example (Chan, Golub and LeVeque 1979), which doesn't cancel.
 *
 * `apply` throws `INVALID_ARGUMENT` before it was fitted, `SHAPE_MISMATCH` for another number of features. `fit` throws
 * `DATA_INVALID` for no examples and for values that aren't finite.
 */
export function normalize(options: NormalizeOptions = {}): FittableTransform {
  const per = checkPer(options.per ?? 'feature', 'INVALID_ARGUMENT');
  return Object.freeze({
    spec: { transform: 'normalize', version: 1, per },
    async fit(examples: AsyncIterable<NdArray> | Iterable<NdArray>): Promise<Transform> {
      const { mean, standardDeviation } = await moments(examples, per);
      return fittedNormalize(per, mean, standardDeviation);
    },
    apply(): NdArray {
      throw new TenonError({
        code: 'INVALID_ARGUMENT',
        where: 'normalize',
        message: 'this transform has not been fitted, so it has no mean and standard deviation',
        hint: 'Use what fitting returns: const scaler = await fitTransform(normalize(), train).',
      });
    },
  });
}

export interface RescaleOptions {
  readonly scale: number;
  /** 0 by default. */
  readonly offset?: number;
}

/**
 * x · scale + offset, in float64; what comes out is float32. `rescale({ scale: 1 / 255 })` brings bytes to 0 … 1,
 * `rescale({ scale: 1 / 127.5, offset: -1 })` to −1 … 1. The same as Keras' Rescaling.
 */
export function rescale({ scale, offset = 0 }: RescaleOptions): Transform {
  checkFinite([scale, offset], 'rescale', 'INVALID_ARGUMENT');
  // Images come as bytes, at every step: the same numbers from a table, five times as fast.
  const table = Float32Array.from({ length: 256 }, (_, value) => value * scale + offset);
  return Object.freeze({
    spec: { transform: 'rescale', version: 1, scale, offset },
    apply: (input: NdArray) =>
      input.dtype === 'uint8'
        ? lookUp(input as NdArray<'uint8'>, table)
        : mapValues(input, (value) => value * scale + offset),
  });
}

/**
 * The transform fitted to the inputs of a dataset, of single examples or of batches: of training data only, since what
 * a test should tell mustn't leak into it. A transform that needs no fitting, or has been fitted, is returned as it is.
 */
export async function fitTransform(
  transform: Transform,
  dataset: Dataset<Example<NdArray, unknown>>,
): Promise<Transform> {
  if (!transform.fit) return transform;
  return transform.fit(dataset.map(({ input }) => input));
}

/** For `map`: the example, or batch of them, with the transform applied to its input. */
export function transformInput(
  transform: Transform,
): <E extends Example<NdArray, unknown>>(example: E) => Omit<E, 'input'> & { readonly input: NdArray } {
  return (example) => ({ ...example, input: transform.apply(example.input) });
}

/** How `normalize` is rebuilt from the spec of a saved model. */
export const normalizeDefinition = defineTransform({
  name: 'normalize',
  version: 1,
  build(spec: TransformationSpec): Transform {
    const per = checkPer(spec.per, 'ARTIFACT_INVALID');
    if (spec.mean === undefined && spec.standardDeviation === undefined) return normalize({ per });
    const mean = numbersOf(spec, 'mean');
    const standardDeviation = numbersOf(spec, 'standardDeviation');
    const lengths = mean.length > 0 && mean.length === standardDeviation.length;
    if (!lengths || (per === 'all' && mean.length !== 1) || !standardDeviation.every((value) => value > 0)) {
      throw new TenonError({
        code: 'ARTIFACT_INVALID',
        where: 'normalize',
        expected: "as many means as standard deviations above 0 (one of each for 'all')",
        got: `${mean.length} means, and the standard deviations ${standardDeviation.slice(0, 8).join(', ')}`,
      });
    }
    return fittedNormalize(per, mean, standardDeviation);
  },
});

/** How `rescale` is rebuilt. */
export const rescaleDefinition = defineTransform({
  name: 'rescale',
  version: 1,
  build(spec: TransformationSpec): Transform {
    const { scale, offset } = spec;
    checkFinite([scale, offset], 'rescale', 'ARTIFACT_INVALID');
    return rescale({ scale: scale as number, offset: offset as number });
  },
});

/** All transforms of this package, for `loadModel`: `createRegistry(layers, transforms)`. */
export const transforms: Registry = createRegistry(
  normalizeDefinition,
  rescaleDefinition,
  charactersDefinition,
);

function fittedNormalize(
  per: 'feature' | 'all',
  mean: readonly number[],
  standardDeviation: readonly number[],
): Transform {
  return Object.freeze({
    spec: { transform: 'normalize', version: 1, per, mean, standardDeviation },
    apply(input: NdArray): NdArray {
      const features = featureCount(input, per, 'normalize');
      if (features !== mean.length) {
        throw new TenonError({
          code: 'SHAPE_MISMATCH',
          where: 'normalize',
          expected: `${mean.length} features along the last axis, as it was fitted to`,
          got: formatShape(input.shape),
        });
      }
      return mapValues(input, (value, i) => (value - mean[i % features]) / standardDeviation[i % features]);
    },
  });
}

async function moments(
  examples: AsyncIterable<NdArray> | Iterable<NdArray>,
  per: 'feature' | 'all',
): Promise<{ mean: number[]; standardDeviation: number[] }> {
  let count = 0;
  let mean = new Float64Array(0);
  let squares = new Float64Array(0);
  let example = -1;
  for await (const array of examples) {
    const where = `normalize, example ${++example}`;
    const features = featureCount(array, per, where);
    if (example === 0) {
      mean = new Float64Array(features);
      squares = new Float64Array(features);
    }
    if (features !== mean.length) {
      throw new TenonError({
        code: 'SHAPE_MISMATCH',
        where,
        expected: `${mean.length} features along the last axis, as in example 0`,
        got: formatShape(array.shape),
      });
    }
    const rows = sizeOf(array.shape) / Math.max(1, features);
    if (rows === 0 || features === 0) continue;
    const local = arrayMoments(array, features, rows, where);
    const total = count + rows;
    for (let f = 0; f < features; f++) {
      const delta = local.mean[f] - mean[f];
      mean[f] += (delta * rows) / total;
      squares[f] += local.squares[f] + (delta * delta * count * rows) / total;
    }
    count = total;
  }
  if (count === 0) {
    throw new TenonError({
      code: 'DATA_INVALID',
      where: 'normalize',
      expected: 'at least one example',
      got: 'none',
    });
  }
  const standardDeviation = Array.from(squares, (square, f) => deviation(square / count, mean[f], count));
  return { mean: [...mean], standardDeviation };
}

/** Mean and sum of squared deviations of one array, in two passes. */
function arrayMoments(
  array: NdArray,
  features: number,
  rows: number,
  where: string,
): { mean: Float64Array; squares: Float64Array } {
  const { data } = array;
  const mean = new Float64Array(features);
  const squares = new Float64Array(features);
  for (let i = 0; i < data.length; i++) {
    const value = Number(data[i]);
    if (!Number.isFinite(value)) {
      throw new TenonError({
        code: 'DATA_INVALID',
        where,
        expected: 'finite values',
        got: `${value} at index ${i}`,
      });
    }
    mean[i % features] += value;
  }
  for (let f = 0; f < features; f++) mean[f] /= rows;
  for (let i = 0; i < data.length; i++) {
    const difference = Number(data[i]) - mean[i % features];
    squares[i % features] += difference * difference;
  }
  return { mean, squares };
}

/** √variance; 1 where the variance is no more than what rounding makes of a constant (scikit-learn's bound). */
function deviation(variance: number, mean: number, count: number): number {
  const rounding = count * Number.EPSILON * variance + (count * mean * Number.EPSILON) ** 2;
  return variance <= rounding ? 1 : Math.sqrt(variance);
}

function featureCount(array: NdArray, per: 'feature' | 'all', where: string): number {
  if (per === 'all') return 1;
  const features = array.shape[array.shape.length - 1];
  if (features !== undefined) return features;
  throw new TenonError({
    code: 'SHAPE_MISMATCH',
    where,
    expected: 'an array with a last axis, for the features',
    got: formatShape(array.shape),
    hint: "Use normalize({ per: 'all' }) for scalars.",
  });
}

function mapValues(array: NdArray, f: (value: number, index: number) => number): NdArray<'float32'> {
  const { data: source } = array;
  const data = new Float32Array(source.length);
  for (let i = 0; i < data.length; i++) data[i] = f(Number(source[i]), i);
  return { dtype: 'float32', shape: [...array.shape], data };
}

function lookUp({ data: source, shape }: NdArray<'uint8'>, table: Float32Array): NdArray<'float32'> {
  const data = new Float32Array(source.length);
  for (let i = 0; i < data.length; i++) data[i] = table[source[i]];
  return { dtype: 'float32', shape: [...shape], data };
}

function checkPer(per: Json | undefined, code: 'INVALID_ARGUMENT' | 'ARTIFACT_INVALID'): 'feature' | 'all' {
  if (per === 'feature' || per === 'all') return per;
  throw new TenonError({
    code,
    where: 'normalize',
    expected: "per: 'feature' or 'all'",
    got: JSON.stringify(per) ?? 'none',
  });
}

function numbersOf(spec: TransformationSpec, name: string): number[] {
  const values = spec[name];
  checkFinite(Array.isArray(values) ? values : [values], `normalize: ${name}`, 'ARTIFACT_INVALID');
  return Array.isArray(values) ? (values as number[]) : [values as number];
}

function checkFinite(
  values: readonly unknown[],
  where: string,
  code: 'INVALID_ARGUMENT' | 'ARTIFACT_INVALID',
): void {
  const wrong = values.findIndex((value) => typeof value !== 'number' || !Number.isFinite(value));
  if (wrong < 0) return;
  throw new TenonError({ code, where, expected: 'finite numbers', got: String(values[wrong]) });
}
