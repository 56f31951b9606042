import type { NdArray } from '@tenon-ml/core';

/** What the values of a column, a feature or a channel are like. */
export interface Statistics {
  readonly count: number;
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  /** The standard deviation of the population, √(Σ(x − mean)² / count). */
  readonly deviation: number;
}

/** Takes in arrays [examples, …, features] of one kind, and says what each feature of the last axis is like. */
export interface StatisticsCounter {
  add(array: NdArray): void;
  compute(): Statistics[];
}

/**
 * A counter for so many features, in float64. Bytes are counted by value, so that all their figures are exact; others in
 * one pass, by deviations from the first value of the feature, which doesn't cancel where the mean is large.
 */
export function statisticsCounter(features: number): StatisticsCounter {
  const bytes = Array.from({ length: features }, () => new Float64Array(256));
  const others = Array.from({ length: features }, () => ({
    count: 0,
    min: Number.POSITIVE_INFINITY,
    max: Number.NEGATIVE_INFINITY,
    origin: 0,
    sum: 0,
    squares: 0,
  }));
  return {
    add({ dtype, data }) {
      if (dtype === 'uint8') {
        for (const [f, counts] of histograms(data as Uint8Array, features).entries()) {
          for (let value = 0; value < 256; value++) bytes[f][value] += counts[value];
        }
        return;
      }
      for (let f = 0; f < features; f++) {
        const all = others[f];
        let { count, min, max, origin, sum, squares } = all;
        for (let i = f; i < data.length; i += features) {
          const value = Number(data[i]);
          if (count === 0) origin = value;
          const difference = value - origin;
          count++;
          sum += difference;
          squares += difference * difference;
          if (value < min) min = value;
          if (value > max) max = value;
        }
        Object.assign(all, { count, min, max, origin, sum, squares });
      }
    },
    compute: () => bytes.map((counts, f) => (others[f].count > 0 ? ofOthers(others[f]) : ofBytes(counts))),
  };
}

/** How often each byte occurs in each channel: one pass over all channels, which are few. */
function histograms(data: Uint8Array, features: number): Uint32Array[] {
  const counts = Array.from({ length: features }, () => new Uint32Array(256));
  if (features === 3) {
    const [red, green, blue] = counts;
    for (let i = 0; i + 2 < data.length; i += 3) {
      red[data[i]]++;
      green[data[i + 1]]++;
      blue[data[i + 2]]++;
    }
    return counts;
  }
  for (let f = 0; f < features; f++) {
    const own = counts[f];
    for (let i = f; i < data.length; i += features) own[data[i]]++;
  }
  return counts;
}

const nothing: Statistics = {
  count: 0,
  min: Number.NaN,
  max: Number.NaN,
  mean: Number.NaN,
  deviation: Number.NaN,
};

function ofBytes(counts: Float64Array): Statistics {
  let count = 0;
  let sum = 0;
  for (let value = 0; value < 256; value++) {
    count += counts[value];
    sum += value * counts[value];
  }
  if (count === 0) return nothing;
  const mean = sum / count;
  let squares = 0;
  for (let value = 0; value < 256; value++) squares += counts[value] * (value - mean) ** 2;
  return {
    count,
    min: counts.findIndex((times) => times > 0),
    max: counts.findLastIndex((times) => times > 0),
    mean,
    deviation: Math.sqrt(squares / count),
  };
}

function ofOthers(all: {
  count: number;
  min: number;
  max: number;
  origin: number;
  sum: number;
  squares: number;
}): Statistics {
  const { count, min, max, origin, sum, squares } = all;
  const shift = sum / count;
  return {
    count,
    min,
    max,
    mean: origin + shift,
    deviation: Math.sqrt(Math.max(0, squares / count - shift ** 2)),
  };
}
