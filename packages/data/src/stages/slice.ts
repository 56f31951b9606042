import { checkCount, indexedSource, integerState, objectState, type Source } from '../source.js';
import { reordered } from './shuffle.js';

/** The first `count` elements. */
export function takeStage<T>(upstream: Source<T>, count: number): Source<T> {
  checkCount(count, 0, 'take');
  const description = `${upstream.description} > take(${count})`;
  const { view, stable } = upstream;
  const length = upstream.length === null ? null : Math.min(count, upstream.length);
  if (view && length !== null) {
    return indexedSource({
      description,
      length,
      stable,
      view: (epoch) => reordered(view(epoch), (index) => index, length),
    });
  }
  return {
    description,
    length,
    stable,
    view: null,
    open(epoch) {
      const cursor = upstream.open(epoch);
      let taken = 0;
      return {
        async advance() {
          if (taken >= count) return undefined;
          const item = await cursor.advance();
          if (item) taken++;
          return item;
        },
        state: () => ({ taken, upstream: cursor.state() }),
        async restore(state) {
          const saved = objectState(state);
          taken = integerState(saved.taken, count);
          await cursor.restore(saved.upstream);
        },
        close: () => cursor.close(),
      };
    },
  };
}

/** All but the first `count` elements. */
export function skipStage<T>(upstream: Source<T>, count: number): Source<T> {
  checkCount(count, 0, 'skip');
  const description = `${upstream.description} > skip(${count})`;
  const { view, stable } = upstream;
  const length = upstream.length === null ? null : Math.max(0, upstream.length - count);
  if (view && length !== null) {
    return indexedSource({
      description,
      length,
      stable,
      view: (epoch) => reordered(view(epoch), (index) => index + count, length),
    });
  }
  return {
    description,
    length,
    stable,
    view: null,
    open(epoch) {
      const cursor = upstream.open(epoch);
      let skipped = 0;
      return {
        async advance() {
          for (; skipped < count; skipped++) if (!(await cursor.advance())) return undefined;
          return cursor.advance();
        },
        state: () => ({ skipped, upstream: cursor.state() }),
        async restore(state) {
          const saved = objectState(state);
          skipped = integerState(saved.skipped, count);
          await cursor.restore(saved.upstream);
        },
        close: () => cursor.close(),
      };
    },
  };
}
