import type { Json } from '@tenon-ml/core';
import type { DataIterator, Dataset, IteratorOptions, RandomElementContext } from './dataset.js';
import { checkCount, integerState, invalidState, objectState, type Source } from './source.js';
import { splitSource } from './split.js';
import { batchStage } from './stages/batch.js';
import { filterStage } from './stages/filter.js';
import { mapStage } from './stages/map.js';
import { prefetchStage } from './stages/prefetch.js';
import { repeatStage } from './stages/repeat.js';
import { shuffleStage } from './stages/shuffle.js';
import { skipStage, takeStage } from './stages/slice.js';

/** The dataset over a source. */
export function createDataset<T>(source: Source<T>): Dataset<T> {
  return Object.freeze({
    length: source.length,
    description: source.description,
    map: <U>(
      f: (element: T, context: RandomElementContext) => U | Promise<U>,
      options?: { readonly key: RandomElementContext['key'] },
    ) => createDataset(mapStage(source, f, options?.key)),
    filter: (predicate) => createDataset(filterStage(source, predicate)),
    shuffle: (options) => createDataset(shuffleStage(source, options)),
    batch: (size, options) => createDataset(batchStage(source, size, options)),
    take: (count) => createDataset(takeStage(source, count)),
    skip: (count) => createDataset(skipStage(source, count)),
    repeat: (times) => createDataset(repeatStage(source, times)),
    prefetch: (count) => createDataset(prefetchStage(source, count)),
    split: (sizes, options) => splitSource(source, sizes, options, createDataset),
    iterator: (options) => createIterator(source, options),
    async toArray(options) {
      const elements: T[] = [];
      for await (const element of createIterator(source, options)) elements.push(element);
      return elements;
    },
    [Symbol.asyncIterator]: () => createIterator(source),
  } satisfies Dataset<T>);
}

function createIterator<T>(source: Source<T>, options: IteratorOptions = {}): DataIterator<T> {
  let epoch = checkCount(options.epoch ?? 0, 0, 'iterator: epoch');
  let cursor = source.open(epoch);
  let position = cursor.state();
  let done = false;
  let failure: { readonly error: unknown } | undefined;
  let last: Promise<unknown> = Promise.resolve();

  /** Runs after whatever was called before, so that calls that overlap don't mix. */
  const inTurn = <R>(f: () => Promise<R>): Promise<R> => {
    const result = last.then(f);
    last = result.catch(() => {});
    return result;
  };
  const end = { done: true, value: undefined } as const;

  return {
    next: () =>
      inTurn(async () => {
        if (failure) throw failure.error;
        if (done) return end;
        try {
          const item = await cursor.advance();
          const value = item ? await item.load() : undefined;
          position = cursor.state();
          if (item) return { done: false, value: value as T };
        } catch (error) {
          failure = { error };
          throw error;
        }
        done = true;
        await cursor.close();
        return end;
      }),
    state: () => ({ pipeline: source.description, epoch, position }),
    restore: (state: Json) =>
      inTurn(async () => {
        const saved = objectState(state);
        if (saved.pipeline !== source.description) throw invalidState(source.description, saved.pipeline);
        const savedEpoch = integerState(saved.epoch);
        const restored = source.open(savedEpoch);
        await restored.restore(saved.position);
        await cursor.close();
        epoch = savedEpoch;
        cursor = restored;
        position = saved.position;
        done = false;
        failure = undefined;
      }),
    return: () =>
      inTurn(async () => {
        done = true;
        await cursor.close();
        return end;
      }),
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
