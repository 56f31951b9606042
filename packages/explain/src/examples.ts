import {
  dtypes,
  type NdArray,
  rows,
  sizeOf,
  TenonError,
  type Tree,
  treeLeaves,
  treeMap,
} from '@tenon-ml/core';

/** How many examples are computed at once: gradients keep what every layer gives. */
const CHUNK = 64;

/** The number of examples in a batch. Throws `INVALID_ARGUMENT` where there are none. */
export function countOf(batch: Tree<NdArray>): number {
  const [first] = treeLeaves<NdArray>(batch);
  const count = first?.shape[0] ?? 0;
  if (count > 0) return count;
  throw new TenonError({
    code: 'INVALID_ARGUMENT',
    where: 'input',
    expected: 'at least one example',
    got: 'none',
  });
}

/** What `run` gives for a batch, some examples at a time; each result is joined along its first axis, the examples. */
export async function inParts<B extends Tree<NdArray>>(
  batch: B,
  run: (part: B) => Promise<readonly NdArray[]>,
): Promise<readonly NdArray[]> {
  const count = countOf(batch);
  const parts: (readonly NdArray[])[] = [];
  for (let begin = 0; begin < count; begin += CHUNK) {
    const end = Math.min(count, begin + CHUNK);
    parts.push(await run(treeMap<NdArray, NdArray>(batch, (array) => rows(array, begin, end)) as B));
  }
  const [first] = parts;
  return parts.length === 1 ? first : first.map((_, i) => joined(parts.map((part) => part[i])));
}

function joined(pieces: readonly NdArray[]): NdArray {
  const [{ dtype, shape: one }] = pieces;
  const shape = [pieces.reduce((total, piece) => total + piece.shape[0], 0), ...one.slice(1)];
  const data = dtypes[dtype].create(sizeOf(shape)) as Float32Array;
  let offset = 0;
  for (const piece of pieces) {
    data.set(piece.data as Float32Array, offset);
    offset += piece.data.length;
  }
  return { dtype, shape, data } as NdArray;
}
