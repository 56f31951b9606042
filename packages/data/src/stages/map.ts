import type { Key } from '@tenon-ml/core';
import type { ElementContext, RandomElementContext } from '../dataset.js';
import { recordError } from '../record_error.js';
import { indexedSource, integerState, objectState, type Source } from '../source.js';

/** f of every element; with a key, each has a key of its own. */
export function mapStage<T, U>(
  upstream: Source<T>,
  f: (element: T, context: RandomElementContext) => U | Promise<U>,
  key: Key | undefined,
): Source<U> {
  const description = `${upstream.description} > map${key ? `(${describeKey(key)})` : ''}`;

  const apply = (epoch: number): ((element: T, index: number, record: () => string) => Promise<U>) => {
    const epochKey = key?.foldIn('epoch').foldIn(epoch);
    return async (element, index, record) => {
      const context: ElementContext = { index, epoch, ...(epochKey && { key: epochKey.foldIn(index) }) };
      try {
        return await f(element, context as RandomElementContext);
      } catch (error) {
        throw recordError(error, 'map', record());
      }
    };
  };

  const { view, length } = upstream;
  if (view && length !== null) {
    return indexedSource({
      description,
      length,
      stable: upstream.stable,
      view(epoch) {
        const elements = view(epoch);
        const run = apply(epoch);
        return {
          length,
          load: async (index) => run(await elements.load(index), index, () => elements.record(index)),
          record: elements.record,
        };
      },
    });
  }
  return {
    description,
    length,
    stable: upstream.stable,
    view: null,
    open(epoch) {
      const cursor = upstream.open(epoch);
      const run = apply(epoch);
      let index = 0;
      return {
        async advance() {
          const item = await cursor.advance();
          if (!item) return undefined;
          const position = index++;
          return { load: async () => run(await item.load(), position, item.record), record: item.record };
        },
        state: () => ({ index, upstream: cursor.state() }),
        async restore(state) {
          const saved = objectState(state);
          index = integerState(saved.index);
          await cursor.restore(saved.upstream);
        },
        close: () => cursor.close(),
      };
    },
  };
}

/** The beginning of a key's 64 bits, to tell pipelines of different seeds apart. */
export function describeKey(key: Key): string {
  return `key ${key.words.map((word) => word.toString(16).padStart(8, '0')).join('')}`;
}
