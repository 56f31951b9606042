import { type Json, type NdArray, scalar } from '@tenon-ml/core';
import { type Dataset, type Example, fromExamples, fromGenerator } from '../src/index.js';

/** An example whose input is [n, −n] and whose target is n. */
export function numbered(n: number): Example<NdArray<'float32'>, NdArray<'int32'>> {
  return {
    input: { dtype: 'float32', shape: [2], data: Float32Array.of(n, -n) },
    target: scalar(n, 'int32'),
  };
}

/** The examples 0 … count − 1: with random access, or one after another. */
export function numberedDataset(
  count: number,
  access: 'random' | 'sequential',
): Dataset<ReturnType<typeof numbered>> {
  if (access === 'random') return fromExamples(Array.from({ length: count }, (_, n) => numbered(n)));
  return fromGenerator(async function* () {
    for (let n = 0; n < count; n++) yield numbered(n);
  });
}

/** The targets of examples or batches: a number each, or an array of them. */
export function targets(elements: readonly Example[]): (number | number[])[] {
  return elements.map(({ target }) =>
    target.shape.length === 0 ? Number(target.data[0]) : Array.from(target.data as Int32Array),
  );
}

/** What a checkpoint makes of a position. */
export function throughJson(state: Json): Json {
  return JSON.parse(JSON.stringify(state)) as Json;
}

/** What `promise` rejects with. */
export async function rejection(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error('expected a rejection');
}
