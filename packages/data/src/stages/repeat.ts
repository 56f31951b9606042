import { checkCount, indexedSource, integerState, objectState, type Source, type View } from '../source.js';

/** Several passes; pass p of epoch e is epoch `times`·e + p of what is repeated, e + p where it has no end. */
export function repeatStage<T>(upstream: Source<T>, times = Number.POSITIVE_INFINITY): Source<T> {
  const endless = times === Number.POSITIVE_INFINITY;
  if (!endless) checkCount(times, 0, 'repeat');
  const description = `${upstream.description} > repeat${endless ? '' : `(${times})`}`;
  const firstEpoch = (epoch: number): number => (endless ? epoch : epoch * times);
  const { view, length: once } = upstream;
  // Nothing repeated without end is nothing, not an endless search.
  const length = once === null ? null : once === 0 || times === 0 ? 0 : once * times;

  if (view && once !== null && length !== null) {
    return indexedSource({
      description,
      length,
      stable: false,
      view(epoch) {
        const pass = passes(view, firstEpoch(epoch));
        const at = (index: number): [View<T>, number] =>
          once === Number.POSITIVE_INFINITY
            ? [pass(0), index]
            : [pass(Math.floor(index / once)), index % once];
        return {
          length,
          load(index) {
            const [elements, i] = at(index);
            return elements.load(i);
          },
          record(index) {
            const [elements, i] = at(index);
            return elements.record(i);
          },
        };
      },
    });
  }
  return {
    description,
    length,
    stable: false,
    view: null,
    open(epoch) {
      const first = firstEpoch(epoch);
      let pass = 0;
      let cursor = upstream.open(first);
      // Whether this pass has given anything: a pass that gives nothing ends an endless repetition.
      let some = false;
      const begin = async (next: number): Promise<void> => {
        await cursor.close();
        pass = next;
        some = false;
        cursor = upstream.open(first + next);
      };
      return {
        async advance() {
          while (pass < times) {
            const item = await cursor.advance();
            if (item) {
              some = true;
              return item;
            }
            if (pass + 1 >= times || (endless && !some)) return undefined;
            await begin(pass + 1);
          }
          return undefined;
        },
        state: () => ({ pass, some, upstream: cursor.state() }),
        async restore(state) {
          const saved = objectState(state);
          await begin(integerState(saved.pass, Number.isFinite(times) ? times : undefined));
          await cursor.restore(saved.upstream);
          some = saved.some === true;
        },
        close: () => cursor.close(),
      };
    },
  };
}

/** The views of the passes; the latest two are kept, since a batch may reach over a boundary. */
function passes<T>(view: (epoch: number) => View<T>, first: number): (pass: number) => View<T> {
  const kept = new Map<number, View<T>>();
  return (pass) => {
    let found = kept.get(pass);
    if (!found) {
      found = view(first + pass);
      kept.set(pass, found);
      if (kept.size > 2) kept.delete(kept.keys().next().value as number);
    }
    return found;
  };
}
