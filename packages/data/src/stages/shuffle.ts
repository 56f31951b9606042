import { type Key, TenonError } from '@tenon-ml/core';
import type { ShuffleOptions } from '../dataset.js';
import {
  type Cursor,
  checkCount,
  type Item,
  indexedSource,
  integerState,
  objectState,
  type Source,
  type View,
} from '../source.js';
import { describeKey } from './map.js';

/** The elements in a random order: of all of them, or within windows. */
export function shuffleStage<T>(upstream: Source<T>, options: ShuffleOptions): Source<T> {
  const { key, buffer } = options;
  if (buffer !== undefined) return windowShuffle(upstream, key, checkCount(buffer, 1, 'shuffle: buffer'));
  const { view, length } = upstream;
  if (!view || length === null || length === Number.POSITIVE_INFINITY) {
    throw new TenonError({
      code: 'INVALID_ARGUMENT',
      where: 'shuffle',
      expected: 'elements that can be read in any order, or a `buffer` to shuffle within',
      got: `${upstream.description}, which gives them ${view ? 'without end' : 'one after another'}`,
      hint: 'Shuffle earlier (before filter, prefetch and repeat), or pass { buffer: 10000 }.',
    });
  }
  return indexedSource({
    description: `${upstream.description} > shuffle(${describeKey(key)})`,
    length,
    stable: false,
    view(epoch) {
      const elements = view(epoch);
      let order: Uint32Array | undefined;
      const at = (index: number): number => {
        order ??= epochKey(key, epoch).permutation(length);
        return order[index];
      };
      return reordered(elements, at);
    },
  });
}

function windowShuffle<T>(upstream: Source<T>, key: Key, buffer: number): Source<T> {
  const description = `${upstream.description} > shuffle(${describeKey(key)}, buffer ${buffer})`;
  const { view, length } = upstream;
  if (view && length !== null) {
    return indexedSource({
      description,
      length,
      stable: false,
      view(epoch) {
        let current = -1;
        let order: Uint32Array = new Uint32Array(0);
        const at = (index: number): number => {
          const window = Math.floor(index / buffer);
          const begin = window * buffer;
          if (window !== current) {
            order = windowOrder(key, epoch, window, Math.min(buffer, length - begin));
            current = window;
          }
          return begin + order[index - begin];
        };
        return reordered(view(epoch), at);
      },
    });
  }
  return {
    description,
    length,
    stable: false,
    view: null,
    open: (epoch) => windowCursor(upstream.open(epoch), key, epoch, buffer),
  };
}

/**
 * Reads a window of items, then hands them out in the window's order. The state is where the upstream stood before the
 * window, and how many of it have been handed out: the window is found again on restore.
 */
function windowCursor<T>(cursor: Cursor<T>, key: Key, epoch: number, buffer: number): Cursor<T> {
  let window = 0;
  let begin = cursor.state();
  let items: Item<T>[] = [];
  let order: Uint32Array = new Uint32Array(0);
  let given = 0;

  const fill = async (): Promise<void> => {
    begin = cursor.state();
    const found: Item<T>[] = [];
    while (found.length < buffer) {
      const item = await cursor.advance();
      if (!item) break;
      found.push(item);
    }
    items = found;
    order = windowOrder(key, epoch, window, items.length);
    given = 0;
  };
  return {
    async advance() {
      if (given === items.length) {
        if (items.length > 0) window++;
        await fill();
        if (items.length === 0) return undefined;
      }
      return items[order[given++]];
    },
    state: () => ({ window, given, begin }),
    async restore(state) {
      const saved = objectState(state);
      const target = integerState(saved.given, buffer);
      window = integerState(saved.window);
      await cursor.restore(saved.begin);
      begin = saved.begin;
      if (target === 0) return;
      await fill();
      given = integerState(target, items.length);
    },
    close: () => cursor.close(),
  };
}

function windowOrder(key: Key, epoch: number, window: number, size: number): Uint32Array {
  return epochKey(key, epoch).foldIn('window').foldIn(window).permutation(size);
}

function epochKey(key: Key, epoch: number): Key {
  return key.foldIn('epoch').foldIn(epoch);
}

/** The view whose element i is element `at(i)` of another. */
export function reordered<T>(
  elements: View<T>,
  at: (index: number) => number,
  length = elements.length,
): View<T> {
  const { gather } = elements;
  return {
    length,
    load: (index) => elements.load(at(index)),
    record: (index) => elements.record(at(index)),
    ...(gather && { gather: (indices: readonly number[]) => gather(indices.map(at)) }),
  };
}
