import type { ElementContext } from '../dataset.js';
import { recordError } from '../record_error.js';
import { integerState, objectState, type Source } from '../source.js';

/** The elements for which a predicate holds. The state is the position in what is filtered. */
export function filterStage<T>(
  upstream: Source<T>,
  predicate: (element: T, context: ElementContext) => boolean | Promise<boolean>,
): Source<T> {
  return {
    description: `${upstream.description} > filter`,
    length: null,
    stable: upstream.stable,
    view: null,
    open(epoch) {
      const cursor = upstream.open(epoch);
      let index = 0;
      return {
        async advance() {
          for (;;) {
            const item = await cursor.advance();
            if (!item) return undefined;
            const element = await item.load();
            const context = { index: index++, epoch };
            let kept: boolean;
            try {
              kept = await predicate(element, context);
            } catch (error) {
              throw recordError(error, 'filter', item.record());
            }
            if (kept) return { load: () => element, record: item.record };
          }
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
