import { formatShape, type NdArray, sizeOf, TenonError } from '@tenon-ml/core';
import { gatherRows, mapArrays } from './collate.js';
import type { Dataset, Example } from './dataset.js';
import { createDataset } from './pipeline.js';
import { recordError } from './record_error.js';
import { indexedSource, integerState } from './source.js';

/**
 * A dataset of the rows of arrays: element i has the i-th slice of each along its first axis, as a view of the same
 * memory. `fromArrays({ input, target })` where `input` is [1797, 8, 8, 1] and `target` [1797] has elements with an
 * input of [8, 8, 1] and a target of [].
 *
 * Each of the three may be a tree of arrays. Batches are copied from the arrays row by row, without making the
 * elements. Throws `SHAPE_MISMATCH` where the first axes differ, or there is none.
 */
export function fromArrays<In, Target>(arrays: Example<In, Target>): Dataset<Example<In, Target>>;
/** The same for a tree of any form. */
export function fromArrays<T>(arrays: T): Dataset<T>;
export function fromArrays<T>(arrays: T): Dataset<T> {
  let length: number | undefined;
  let firstPath = '';
  const flat = mapArrays(arrays, (array, path) => {
    const [count] = array.shape;
    if (count === undefined || (length !== undefined && count !== length)) {
      throw new TenonError({
        code: 'SHAPE_MISMATCH',
        where: `fromArrays, ${path || 'array'}`,
        expected:
          length === undefined
            ? 'an array with a first axis, for the examples'
            : `${length} examples, as in ${firstPath}`,
        got: formatShape(array.shape),
      });
    }
    if (length === undefined) firstPath = path;
    length = count;
    return array;
  });
  if (length === undefined) {
    throw new TenonError({
      code: 'INVALID_ARGUMENT',
      where: 'fromArrays',
      expected: 'NdArrays, such as { input, target }',
      got: 'none',
    });
  }
  const view = {
    length,
    load: (index: number) => mapArrays(flat, (array) => element(array, index)),
    record: (index: number) => `record ${index}`,
    gather: (indices: readonly number[]) => mapArrays(flat, (array) => gatherRows(array, indices)),
  };
  return createDataset(
    indexedSource({ description: `arrays(${length})`, length, stable: true, view: () => view }),
  );
}

/** Slice `index` along the first axis, of the same memory. */
function element(array: NdArray, index: number): NdArray {
  const shape = array.shape.slice(1);
  const width = sizeOf(shape);
  const data = array.data.subarray(index * width, (index + 1) * width);
  return { dtype: array.dtype, shape, data } as NdArray;
}

/** A dataset of given elements, which it keeps in memory: an array, or anything that can be iterated. */
export function fromExamples<T>(examples: Iterable<T>): Dataset<T> {
  const elements = Array.isArray(examples) ? (examples as readonly T[]) : [...examples];
  const { length } = elements;
  const view = {
    length,
    load: (index: number) => elements[index],
    record: (index: number) => `record ${index}`,
  };
  return createDataset(
    indexedSource({ description: `examples(${length})`, length, stable: true, view: () => view }),
  );
}

export interface GeneratorOptions {
  /** The number of elements, if it is known; `DATA_INVALID` at the end where it turns out to be another. */
  readonly length?: number;
  /** For messages and the pipeline's description. */
  readonly name?: string;
}

/**
 * A dataset of what a generator yields, which is started anew for every pass: the same elements for the same epoch,
 * or restoring a position gives others. To restore, it is run again from its beginning.
 *
 * ```ts
 * fromGenerator(async function* ({ epoch }) { for await (const line of lines(file)) yield parse(line); })
 * ```
 */
export function fromGenerator<T>(
  generate: (context: { readonly epoch: number }) => AsyncIterable<T> | Iterable<T>,
  options: GeneratorOptions = {},
): Dataset<T> {
  const { length = null, name = 'generator' } = options;
  return createDataset({
    description: length === null ? name : `${name}(${length})`,
    length,
    stable: true,
    view: null,
    open(epoch) {
      let iterator: AsyncIterator<T> | Iterator<T> | undefined;
      let count = 0;
      let ended = false;
      const failed = (cause: unknown): TenonError => recordError(cause, name, `record ${count}`);
      const read = async (): Promise<IteratorResult<T>> => {
        try {
          iterator ??= iterate(generate({ epoch }));
          return await iterator.next();
        } catch (error) {
          throw failed(error);
        }
      };
      const close = async (): Promise<void> => {
        const open = iterator;
        iterator = undefined;
        if (!ended) await open?.return?.();
        ended = true;
      };
      return {
        async advance() {
          if (ended) return undefined;
          const { done, value } = await read();
          if (length !== null && (done ? count < length : count >= length)) {
            throw new TenonError({
              code: 'DATA_INVALID',
              where: name,
              expected: `${length} elements, as its length says`,
              got: done ? String(count) : 'more',
            });
          }
          if (done) {
            ended = true;
            return undefined;
          }
          const record = `record ${count++}`;
          return { load: () => value, record: () => record };
        },
        state: () => count,
        async restore(state) {
          const target = integerState(state, length ?? undefined);
          for (; count < target; count++) {
            if ((await read()).done)
              throw failed(new Error(`it ended before its element ${target - 1}, which was read before`));
          }
        },
        close,
      };
    },
  });
}

function iterate<T>(values: AsyncIterable<T> | Iterable<T>): AsyncIterator<T> | Iterator<T> {
  return Symbol.asyncIterator in values ? values[Symbol.asyncIterator]() : values[Symbol.iterator]();
}
