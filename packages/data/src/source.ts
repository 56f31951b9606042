import { type Json, TenonError } from '@tenon-ml/core';

/**
 * What a stage is to the next one. Finding the next element and loading it are apart, so that skipping and resuming
 * load nothing, and several elements can load at the same time.
 */
export interface Source<T> {
  readonly length: number | null;
  readonly description: string;
  /** Whether an index is the same record in every epoch, and no record has two. */
  readonly stable: boolean;
  /** Access to the elements of an epoch by index; null where they only come one after another. */
  readonly view: ((epoch: number) => View<T>) | null;
  /** The elements of an epoch, one after another. */
  open(epoch: number): Cursor<T>;
}

/** The elements of an epoch, by index. */
export interface View<T> {
  readonly length: number;
  readonly load: (index: number) => T | Promise<T>;
  /** Which record of the source this is, in words. */
  readonly record: (index: number) => string;
  /** Several elements as a batch, where that takes less than loading them one by one. */
  readonly gather?: (indices: readonly number[]) => T | Promise<T>;
}

/** The elements of an epoch, one after another. Nobody calls a method before the one before has settled. */
export interface Cursor<T> {
  /** The next element, or undefined at the end. */
  advance(): Promise<Item<T> | undefined>;
  /** The position after the elements that `advance` gave, as JSON. */
  state(): Json;
  /** Moves to a position; called once at most, before the first `advance`. */
  restore(state: Json): Promise<void>;
  close(): Promise<void>;
}

/** An element that has been found, and may not have been loaded. */
export interface Item<T> {
  readonly load: () => T | Promise<T>;
  /** Which record of the source it is, in words. */
  readonly record: () => string;
}

/** Loads several at the same time; the error is the first one's in their order, not in time. */
export async function loadAll<T>(loads: readonly (() => T | Promise<T>)[]): Promise<T[]> {
  const results = await Promise.allSettled(loads.map(async (load) => load()));
  return results.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
}

/** The source of a stage that has random access: its elements in order. */
export function indexedSource<T>(
  parts: Pick<Source<T>, 'description' | 'stable'> & {
    readonly length: number;
    readonly view: (epoch: number) => View<T>;
  },
): Source<T> {
  return { ...parts, open: (epoch) => viewCursor(parts.view(epoch)) };
}

/** The elements of a view in order; the state is the index of the next. */
export function viewCursor<T>(view: View<T>): Cursor<T> {
  let position = 0;
  return {
    async advance() {
      if (position >= view.length) return undefined;
      const index = position++;
      return { load: () => view.load(index), record: () => view.record(index) };
    },
    state: () => position,
    async restore(state) {
      position = integerState(state, view.length);
    },
    async close() {
      position = view.length;
    },
  };
}

/** A part of a saved position that has to be an integer from 0 to `limit`. */
export function integerState(state: Json | undefined, limit = Number.MAX_SAFE_INTEGER): number {
  if (Number.isSafeInteger(state) && (state as number) >= 0 && (state as number) <= limit)
    return state as number;
  throw invalidState(`an integer from 0 to ${limit}`, state);
}

/** A part of a saved position that has to be an object. */
export function objectState(state: Json | undefined): { readonly [name: string]: Json } {
  if (typeof state === 'object' && state !== null && !Array.isArray(state)) {
    return state as { readonly [name: string]: Json };
  }
  throw invalidState('an object', state);
}

export function invalidState(expected: string, got: unknown): TenonError {
  return new TenonError({
    code: 'CHECKPOINT_INVALID',
    where: 'position in the data',
    expected,
    got: (JSON.stringify(got) ?? 'nothing').slice(0, 200),
    hint: 'A position is restored into the pipeline that it was taken from.',
  });
}

/** An argument that has to be an integer of at least `least`. */
export function checkCount(value: number, least: number, where: string): number {
  if (Number.isSafeInteger(value) && value >= least) return value;
  throw new TenonError({
    code: 'INVALID_ARGUMENT',
    where,
    expected: `an integer of at least ${least}`,
    got: String(value),
  });
}
