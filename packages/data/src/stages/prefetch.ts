import type { Json } from '@tenon-ml/core';
import { type Cursor, checkCount, type Item, type Source } from '../source.js';

/** Finds and starts to load the next `count` elements while the consumer is busy with one. */
export function prefetchStage<T>(upstream: Source<T>, count: number): Source<T> {
  checkCount(count, 0, 'prefetch');
  // Not part of the description: how far one reads ahead doesn't change what is read.
  const { description, length, stable } = upstream;
  return {
    description,
    length,
    stable,
    view: null,
    open: (epoch) => prefetchCursor(upstream.open(epoch), count),
  };
}

/** What was found ahead: an item and the upstream's position after it, the end, or an error. */
type Found<T> =
  | { readonly kind: 'item'; readonly item: Item<T>; readonly after: Json }
  | { readonly kind: 'end' }
  | { readonly kind: 'error'; readonly error: unknown };

function prefetchCursor<T>(cursor: Cursor<T>, count: number): Cursor<T> {
  let ahead: Found<T>[] = [];
  let position = cursor.state();
  let exhausted = false;
  let closed = false;
  /** The search for one more element, while there is one: a cursor is asked for one at a time. */
  let search: Promise<void> | undefined;

  const find = async (): Promise<void> => {
    let found: Found<T>;
    try {
      const item = await cursor.advance();
      found = item ? { kind: 'item', item: started(item), after: cursor.state() } : { kind: 'end' };
    } catch (error) {
      found = { kind: 'error', error };
    }
    exhausted = found.kind !== 'item';
    ahead.push(found);
  };
  const searchUntil = (wanted: number): void => {
    if (search || exhausted || closed || ahead.length >= wanted) return;
    search = find().then(() => {
      search = undefined;
      searchUntil(count);
    });
  };
  return {
    async advance() {
      searchUntil(Math.max(1, count));
      while (ahead.length === 0 && search) await search;
      const [found] = ahead;
      if (!found || found.kind === 'end') return undefined;
      if (found.kind === 'error') throw found.error;
      ahead.shift();
      position = found.after;
      searchUntil(count);
      return found.item;
    },
    state: () => position,
    async restore(state) {
      await cursor.restore(state);
      position = state;
    },
    async close() {
      closed = true;
      // Nobody else uses the cursor while it searches.
      while (search) await search;
      ahead = [];
      await cursor.close();
    },
  };
}

/** The item, loading from now on. */
function started<T>(item: Item<T>): Item<T> {
  const loaded = (async () => item.load())();
  // Whoever gets to the element sees the error; until then it isn't unhandled.
  loaded.catch(() => {});
  return { load: () => loaded, record: item.record };
}
