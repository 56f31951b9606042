import { collate } from '../collate.js';
import type { BatchOptions } from '../dataset.js';
import { type Cursor, checkCount, type Item, indexedSource, loadAll, type Source } from '../source.js';

/** `size` elements at a time, stacked. */
export function batchStage<T>(upstream: Source<T>, size: number, options: BatchOptions = {}): Source<T> {
  checkCount(size, 1, 'batch');
  const dropRemainder = options.dropRemainder ?? false;
  const description = `${upstream.description} > batch(${size}${dropRemainder ? ', dropRemainder' : ''})`;
  const { view } = upstream;
  const count = upstream.length;
  const length = count === null ? null : dropRemainder ? Math.floor(count / size) : Math.ceil(count / size);

  if (view && count !== null && length !== null) {
    return indexedSource({
      description,
      length,
      stable: upstream.stable,
      view(epoch) {
        const elements = view(epoch);
        const members = (batch: number): number[] => {
          const begin = batch * size;
          return Array.from({ length: Math.min(size, count - begin) }, (_, i) => begin + i);
        };
        return {
          length,
          async load(batch) {
            const indices = members(batch);
            if (elements.gather) return elements.gather(indices);
            const loaded = await loadAll(indices.map((index) => () => elements.load(index)));
            return collate(loaded, (i) => elements.record(indices[i]));
          },
          record: (batch) => batchRecord(batch, members(batch), elements.record),
        };
      },
    });
  }
  return {
    description,
    length,
    stable: upstream.stable,
    view: null,
    open: (epoch) => batchCursor(upstream.open(epoch), size, dropRemainder),
  };
}

function batchCursor<T>(cursor: Cursor<T>, size: number, dropRemainder: boolean): Cursor<T> {
  return {
    async advance() {
      const items: Item<T>[] = [];
      while (items.length < size) {
        const item = await cursor.advance();
        if (!item) break;
        items.push(item);
      }
      if (items.length === 0 || (dropRemainder && items.length < size)) return undefined;
      return {
        async load() {
          const loaded = await loadAll(items.map((item) => item.load));
          return collate(loaded, (i) => items[i].record());
        },
        record: () => batchRecord(undefined, items, (item) => item.record()),
      };
    },
    state: () => cursor.state(),
    restore: (state) => cursor.restore(state),
    close: () => cursor.close(),
  };
}

/** `batch 3 (record 96, record 4, record 77, …)` */
function batchRecord<M>(
  batch: number | undefined,
  members: readonly M[],
  record: (member: M) => string,
): string {
  const shown = members.slice(0, 3).map(record).join(', ');
  return `${batch === undefined ? 'the batch' : `batch ${batch}`} of ${shown}${members.length > 3 ? ', …' : ''}`;
}
