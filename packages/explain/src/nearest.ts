import { formatShape, type NdArray, TenonError } from '@tenon-ml/core';

/** The rows that are most like one query, the most similar first. */
export interface Neighbours {
  /** Which rows of the features they are. */
  readonly indices: readonly number[];
  /** cos of the angle between each of them and the query, from −1 to 1. */
  readonly similarities: readonly number[];
}

/**
 * For each query, the `k` rows of `features` that are nearest to it by cosine similarity, a·b / (‖a‖·‖b‖): what
 * `explainer.features` gives for training examples, and for the input in question.
 *
 * features [examples, size], query [queries, size]; one entry a query, of min(k, examples) neighbours. All rows are
 * compared, in float64: the result is exact. Of equal similarities the lower index comes first. A row of zeros has the
 * similarity 0 to everything.
 *
 * Throws `SHAPE_MISMATCH`, `INVALID_ARGUMENT` unless k is an integer of at least 1, and `NOT_FINITE`.
 */
export function nearest(features: NdArray, query: NdArray, k: number): Neighbours[] {
  const fits =
    features.shape.length === 2 && query.shape.length === 2 && features.shape[1] === query.shape[1];
  if (!fits) {
    throw new TenonError({
      code: 'SHAPE_MISMATCH',
      where: 'nearest',
      expected: 'features [examples, size] and queries [queries, size] of one size',
      got: `${formatShape(features.shape)} and ${formatShape(query.shape)}`,
    });
  }
  if (!(Number.isInteger(k) && k >= 1)) {
    throw new TenonError({
      code: 'INVALID_ARGUMENT',
      where: 'nearest, k',
      expected: 'an integer of at least 1',
      got: String(k),
    });
  }
  const lengths = lengthsOf(features, 'features');
  const queryLengths = lengthsOf(query, 'query');
  return Array.from(queryLengths, (length, row) => nearestTo(features, lengths, query, row, length, k));
}

function nearestTo(
  { data, shape: [count, size] }: NdArray,
  lengths: Float64Array,
  query: NdArray,
  row: number,
  length: number,
  k: number,
): Neighbours {
  const indices: number[] = [];
  const similarities: number[] = [];
  for (let i = 0; i < count; i++) {
    let product = 0;
    for (let j = 0; j < size; j++) product += Number(data[i * size + j]) * Number(query.data[row * size + j]);
    const both = lengths[i] * length;
    // Rounding may take a vector's similarity to itself just above 1.
    const similarity = both === 0 ? 0 : Math.max(-1, Math.min(1, product / both));
    if (indices.length === k && similarity <= similarities[k - 1]) continue;
    let at = indices.length;
    while (at > 0 && similarities[at - 1] < similarity) at--;
    indices.splice(at, 0, i);
    similarities.splice(at, 0, similarity);
    if (indices.length > k) {
      indices.pop();
      similarities.pop();
    }
  }
  return { indices, similarities };
}

/** ‖a‖ of each row. */
function lengthsOf({ data, shape: [count, size] }: NdArray, what: string): Float64Array {
  return Float64Array.from({ length: count }, (_, i) => {
    let squares = 0;
    for (let j = 0; j < size; j++) squares += Number(data[i * size + j]) ** 2;
    if (Number.isFinite(squares)) return Math.sqrt(squares);
    throw new TenonError({
      code: 'NOT_FINITE',
      where: `nearest, ${what}, row ${i}`,
      message: 'a value is not finite, or too large to be squared',
    });
  });
}
