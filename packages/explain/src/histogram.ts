import { isNdArray, type NdArray, TenonError } from '@tenon-ml/core';

/** How many values lie in each of some bins of equal width. */
export interface Histogram {
  /** Of each bin. */
  readonly counts: readonly number[];
  /** The bins' limits, one more than there are bins. */
  readonly edges: readonly number[];
  /** Values below the first edge, −∞ among them. */
  readonly below: number;
  /** Values above the last edge, ∞ among them. */
  readonly above: number;
  /** Values that are NaN. */
  readonly nan: number;
}

/**
 * Counts of values in `bins` bins of equal width: bin i holds edges[i] ≤ x < edges[i + 1], and the last one its upper edge
 * too. Without `range` the edges go from the least to the greatest finite value (half a unit to either side of where all
 * are one; from 0 to 1 of none). These are numpy's rules; what numpy leaves out is counted here as `below`, `above` and
 * `nan`, so that all counts add up to the number of values.
 *
 * Throws `INVALID_ARGUMENT` unless `bins` is an integer of at least 1 and the range two finite numbers, the lower first.
 */
export function histogram(
  values: NdArray | ArrayLike<number>,
  bins: number,
  range?: readonly [low: number, high: number],
): Histogram {
  if (!(Number.isInteger(bins) && bins >= 1)) throw wrong('bins', 'an integer of at least 1', bins);
  const numbers = (isNdArray(values) ? values.data : values) as ArrayLike<number | bigint>;
  const [low, high] = range ?? extent(numbers);
  if (!(low < high && Number.isFinite(high - low))) {
    throw wrong('range', 'two finite numbers, the lower first', `${low} and ${high}`);
  }
  const width = (high - low) / bins;
  const edges = Array.from({ length: bins + 1 }, (_, i) => (i === bins ? high : low + i * width));
  const counts = new Array<number>(bins).fill(0);
  let [below, above, nan] = [0, 0, 0];
  for (let i = 0; i < numbers.length; i++) {
    const value = Number(numbers[i]);
    if (Number.isNaN(value)) nan++;
    else if (value < low) below++;
    else if (value > high) above++;
    else counts[binOf(value, edges)]++;
  }
  return { counts, edges, below, above, nan };
}

/** The bin by division, and by one more or less where rounding put it beside the edges. */
function binOf(value: number, edges: readonly number[]): number {
  const last = edges.length - 2;
  const part = (value - edges[0]) / (edges[last + 1] - edges[0]);
  const bin = Math.min(last, Math.floor(part * (last + 1)));
  if (value < edges[bin]) return bin - 1;
  return bin < last && value >= edges[bin + 1] ? bin + 1 : bin;
}

function extent(numbers: ArrayLike<number | bigint>): readonly [number, number] {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < numbers.length; i++) {
    const value = Number(numbers[i]);
    if (!Number.isFinite(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low > high) return [0, 1];
  // Half a unit is lost beside a huge number.
  const half = Math.max(0.5, Math.abs(low) * 2 ** -20);
  return low === high ? [low - half, high + half] : [low, high];
}

function wrong(what: string, expected: string, got: number | string): TenonError {
  return new TenonError({
    code: 'INVALID_ARGUMENT',
    where: `histogram, ${what}`,
    expected,
    got: String(got),
  });
}
