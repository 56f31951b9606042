import { type Key, type NdArray, ndarray, sizeOf, unknownName } from '@tenon-ml/core';
import {
  fromCall,
  type OptionReader,
  type OptionSource,
  optionError,
  type RawOptions,
  readOptions,
} from './options.js';

/** Initializers without options; `initialize` has their formulas. */
export type InitializerName =
  | 'glorotUniform'
  | 'glorotNormal'
  | 'heUniform'
  | 'heNormal'
  | 'lecunUniform'
  | 'lecunNormal'
  | 'zeros'
  | 'ones'
  | 'uniform'
  | 'normal'
  | 'truncatedNormal';

/** How the initial value of a parameter is drawn: JSON, so that it is part of a layer's spec. */
export type Initializer =
  | InitializerName
  | { readonly initializer: 'constant'; readonly value: number }
  | { readonly initializer: 'uniform'; readonly low?: number; readonly high?: number }
  | {
      readonly initializer: 'normal' | 'truncatedNormal';
      readonly mean?: number;
      readonly standardDeviation?: number;
    }
  | {
      readonly initializer: 'varianceScaling';
      readonly scale?: number;
      readonly mode?: 'fanIn' | 'fanOut' | 'fanAverage';
      readonly distribution?: 'uniform' | 'normal' | 'truncatedNormal';
    };

/** How many inputs reach one output of a parameter, and how many outputs one input reaches. */
export interface Fans {
  readonly fanIn: number;
  readonly fanOut: number;
}

type Draw = (key: Key, shape: readonly number[]) => NdArray<'float32'>;
type Family = (options: OptionReader) => Draw;

/** The standard deviation of a standard normal that is cut off at ±2. */
const TRUNCATED_DEVIATION = 0.87962566103423978;

const nonNegative = (value: number): boolean => value >= 0;
const positive = (value: number): boolean => value > 0;

const families: { readonly [name: string]: Family } = {
  zeros: () => constant(0),
  ones: () => constant(1),
  constant: (options) => constant(options.number('value', undefined)),
  uniform: (options) => {
    const low = options.number('low', -0.05);
    const high = options.number('high', 0.05, `of at least low (${low})`, (value) => value >= low);
    return (key, shape) => key.uniform(shape, low, high);
  },
  normal: (options) => {
    const { mean, deviation } = normalOptions(options);
    return (key, shape) => key.normal(shape, mean, deviation);
  },
  truncatedNormal: (options) => {
    const { mean, deviation } = normalOptions(options);
    return (key, shape) => truncatedNormal(key, shape, mean, deviation);
  },
  varianceScaling: (options) =>
    varianceScaling(
      options.number('scale', 1, 'above 0', positive),
      options.choice('mode', ['fanIn', 'fanOut', 'fanAverage'], 'fanIn'),
      options.choice('distribution', ['uniform', 'normal', 'truncatedNormal'], 'truncatedNormal'),
    ),
  glorotUniform: () => varianceScaling(1, 'fanAverage', 'uniform'),
  glorotNormal: () => varianceScaling(1, 'fanAverage', 'truncatedNormal'),
  heUniform: () => varianceScaling(2, 'fanIn', 'uniform'),
  heNormal: () => varianceScaling(2, 'fanIn', 'truncatedNormal'),
  lecunUniform: () => varianceScaling(1, 'fanIn', 'uniform'),
  lecunNormal: () => varianceScaling(1, 'fanIn', 'truncatedNormal'),
};

/**
 * Draws an initial value, float32 of `shape`, on the host from `key`: the same bits on every machine.
 *
 * | initializer | distribution |
 * |---|---|
 * | zeros, ones, constant { value } | the constant |
 * | uniform { low: −0.05, high: 0.05 } | U(low, high) |
 * | normal { mean: 0, standardDeviation: 0.05 } | N(mean, standardDeviation²) |
 * | truncatedNormal { mean: 0, standardDeviation: 0.05 } | the same, redrawn beyond mean ± 2 standardDeviation |
 * | glorotUniform | U(±√(6 / (fanIn + fanOut))) |
 * | glorotNormal | truncated, variance 2 / (fanIn + fanOut) |
 * | heUniform | U(±√(6 / fanIn)) |
 * | heNormal | truncated, variance 2 / fanIn |
 * | lecunUniform | U(±√(3 / fanIn)) |
 * | lecunNormal | truncated, variance 1 / fanIn |
 * | varianceScaling { scale: 1, mode: 'fanIn', distribution: 'truncatedNormal' } | variance scale / fan |
 *
 * The fans are those of `fansOf`. Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward
 * neural networks"; He et al. 2015, "Delving deep into rectifiers"; LeCun et al. 1998, "Efficient backprop".
 *
 * As in Keras the named normals are truncated at two standard deviations and rescaled to the variance that they name;
 * PyTorch's `xavier_normal_` and `kaiming_normal_` are not truncated ({ initializer: 'varianceScaling', scale: 2,
 * distribution: 'normal' } is the latter). PyTorch's default for its linear and convolution layers, U(±1/√fanIn), is
 * { initializer: 'varianceScaling', scale: 1/3, distribution: 'uniform' }.
 *
 * Throws `INVALID_ARGUMENT` for options out of range and `UNKNOWN_NAME` for an initializer that doesn't exist.
 */
export function initialize(
  initializer: Initializer,
  key: Key,
  shape: readonly number[],
  where = 'initialize',
): NdArray<'float32'> {
  return parse(initializer, 'initializer', fromCall(where))(key, shape);
}

/**
 * The fans of a parameter's shape, as in Keras. With `r` the product of all sizes but the last two ([height, width, in,
 * out] of a convolution): fanIn = r · in, fanOut = r · out. For a vector both are its length, for a scalar 1.
 */
export function fansOf(shape: readonly number[]): Fans {
  if (shape.length < 2) return { fanIn: sizeOf(shape), fanOut: sizeOf(shape) };
  const receptive = sizeOf(shape.slice(0, -2));
  return { fanIn: receptive * shape[shape.length - 2], fanOut: receptive * shape[shape.length - 1] };
}

/** The option `name` as a checked initializer. */
export function readInitializer(options: OptionReader, name: string, fallback: Initializer): Initializer {
  const value = options.raw(name, fallback);
  parse(value, name, options.source);
  return typeof value === 'object' ? (Object.freeze({ ...value }) as Initializer) : (value as Initializer);
}

function parse(value: unknown, name: string, source: OptionSource): Draw {
  const { initializer, ...options } = (
    typeof value === 'object' && value !== null ? value : { initializer: value }
  ) as RawOptions;
  if (typeof initializer !== 'string') {
    throw optionError(
      source,
      name,
      "an initializer, such as 'heNormal' or { initializer: 'constant', value: 0.1 }",
      value,
    );
  }
  if (!Object.hasOwn(families, initializer)) {
    throw unknownName('initializer', initializer, Object.keys(families), `${source.where}, ${name}`);
  }
  const reader = readOptions(options, source, `${name}.`);
  const draw = families[initializer](reader);
  reader.end();
  return draw;
}

function normalOptions(options: OptionReader): { mean: number; deviation: number } {
  return {
    mean: options.number('mean', 0),
    deviation: options.number('standardDeviation', 0.05, 'of at least 0', nonNegative),
  };
}

function constant(value: number): Draw {
  return (_key, shape) => ndarray('float32', shape, new Float32Array(sizeOf(shape)).fill(value));
}

function varianceScaling(
  scale: number,
  mode: 'fanIn' | 'fanOut' | 'fanAverage',
  distribution: 'uniform' | 'normal' | 'truncatedNormal',
): Draw {
  return (key, shape) => {
    const { fanIn, fanOut } = fansOf(shape);
    const fan = mode === 'fanIn' ? fanIn : mode === 'fanOut' ? fanOut : (fanIn + fanOut) / 2;
    const variance = scale / Math.max(1, fan);
    if (distribution === 'uniform') {
      const limit = Math.sqrt(3 * variance);
      return key.uniform(shape, -limit, limit);
    }
    if (distribution === 'normal') return key.normal(shape, 0, Math.sqrt(variance));
    return truncatedNormal(key, shape, 0, Math.sqrt(variance) / TRUNCATED_DEVIATION);
  };
}

/** Normal draws; those beyond two standard deviations are drawn again, from a key of each round's own. */
function truncatedNormal(
  key: Key,
  shape: readonly number[],
  mean: number,
  deviation: number,
): NdArray<'float32'> {
  const size = sizeOf(shape);
  const data = new Float32Array(size);
  // The first round draws all: most of what is large is done with it, without a list of indices.
  const first = key.foldIn(0).normal([size]).data;
  let missing: number[] = [];
  for (let i = 0; i < size; i++) {
    data[i] = mean + deviation * first[i];
    if (Math.abs(first[i]) > 2) missing.push(i);
  }
  for (let round = 1; missing.length > 0; round++) {
    const draws = key.foldIn(round).normal([missing.length]).data;
    missing = missing.filter((index, i) => {
      data[index] = mean + deviation * draws[i];
      return Math.abs(draws[i]) > 2;
    });
  }
  return ndarray('float32', shape, data);
}
