import type { Json, Key, NdArray } from '@tenon-ml/core';

/**
 * What training reads: an input, what should come out for it, and how much it counts (1 where absent). Inputs and
 * targets are NdArrays or trees of them; a batch has the same type, with a first axis for the batch everywhere.
 */
export interface Example<In = NdArray, Target = NdArray> {
  readonly input: In;
  readonly target: Target;
  readonly weight?: NdArray;
}

/** What a function given to `map` or `filter` is told besides the element. */
export interface ElementContext {
  /** The position of the element in this stage's input in this epoch: 0 for the first. */
  readonly index: number;
  readonly epoch: number;
}

/** What a function given to `map` with a key is told. */
export interface RandomElementContext extends ElementContext {
  /** Derived from the map's key, the epoch and the index: each element, in each epoch, has draws of its own. */
  readonly key: Key;
}

/**
 * Iterates over one epoch of a dataset, and can say where it is.
 *
 * Its position is the consumer's: the number of elements that `next` has handed out, however many were read ahead.
 * An element that can't be read makes `next` throw, then and at every later call, until `restore`: nothing is skipped
 * in silence. Calls of `next` that overlap are answered in order.
 */
export interface DataIterator<T> extends AsyncIterableIterator<T> {
  next(): Promise<IteratorResult<T, undefined>>;
  /**
   * The position as JSON of some hundred bytes: the epoch, where each stage is, and a description of the pipeline.
   * It has no elements in it.
   */
  state(): Json;
  /**
   * Continues where `state` was taken, in this or an equal pipeline of any process: exactly the elements that were
   * left come next. The epoch is that of the state.
   *
   * Takes constant time where all stages have random access. After `filter` only the position of its input counts;
   * `fromGenerator` runs its generator again and drops what was read.
   *
   * Throws `CHECKPOINT_INVALID` where the state is none, or one of another pipeline.
   */
  restore(state: Json): Promise<void>;
  /** Stops reading ahead and closes the source. Called by `break` in a `for await`. */
  return(): Promise<IteratorResult<T, undefined>>;
  [Symbol.asyncIterator](): DataIterator<T>;
}

export interface IteratorOptions {
  /** Which pass over the data this is, 0 by default: shuffles and random maps differ from epoch to epoch. */
  readonly epoch?: number;
}

export interface ShuffleOptions {
  /** The order of epoch k is that of `key.foldIn('epoch').foldIn(k)`. */
  readonly key: Key;
  /** Shuffle only within windows of this many consecutive elements: for what has no random access. */
  readonly buffer?: number;
}

export interface BatchOptions {
  /** Leave out a last batch that is shorter than the others. False by default: it is kept. */
  readonly dropRemainder?: boolean;
}

/** The parts of a split by name: fractions with a sum of 1, or numbers of records whose sum is the length. */
export type SplitSizes = { readonly [name: string]: number };

export type SplitOptions<T> =
  | {
      /** Draws which records go to which part. */
      readonly key: Key;
      /**
       * The class of an element, as a number or string: each part gets its share of every class. An NdArray with one
       * element will do. All elements are loaded once for this.
       */
      readonly stratify?: (element: T) => NdArray | number | string;
    }
  | {
      /** No draw: the first records are the first part's, and so on. For series whose order means something. */
      readonly contiguous: true;
    };

/**
 * A pipeline of host values: a description that can be iterated any number of times, always with the same result for
 * the same epoch. Stages don't change it; each returns a new dataset.
 *
 * ```ts
 * const batches = fromArrays({ input, target }).shuffle({ key }).batch(32).prefetch(2);
 * for await (const { input, target } of batches) { … }           // epoch 0
 * for await (const batch of batches.iterator({ epoch: 7 })) { … } // epoch 7, without the ones before
 * ```
 *
 * Elements have random access (any one is read by its number) until `filter`, `prefetch` or a generator takes it away.
 *
 * An error in a function of yours arrives as a `TenonError` with the code `DATA_INVALID` (its own where it was a
 * TenonError), the number of the source's record that it happened at, and the error as its `cause`.
 */
export interface Dataset<T> extends AsyncIterable<T> {
  /** The number of elements: Infinity for an endless repetition, null where only reading would tell. */
  readonly length: number | null;
  /** The stages in words: 'arrays(1797) > shuffle(key 4f1c…) > batch(32)'. */
  readonly description: string;

  /** f of every element; it may be async. `f` must be a function of its arguments: it is run again after a restore. */
  map<U>(f: (element: T, context: ElementContext) => U | Promise<U>): Dataset<U>;
  /**
   * The same, with a random key for each element: `key.foldIn('epoch').foldIn(epoch).foldIn(index)`. For
   * augmentation: what an element becomes depends on nothing but the key, the epoch and its position.
   */
  map<U>(
    f: (element: T, context: RandomElementContext) => U | Promise<U>,
    options: { readonly key: Key },
  ): Dataset<U>;

  /** The elements for which `predicate` holds. The length is unknown, and random access ends here. */
  filter(predicate: (element: T, context: ElementContext) => boolean | Promise<boolean>): Dataset<T>;

  /**
   * The elements in a random order, another one in every epoch.
   *
   * Without `buffer`, all orders are equally likely; nothing but numbers is shuffled, so it needs random access and
   * a finite length. With `buffer`, each window of that many consecutive elements is shuffled by itself (Grain's
   * WindowShuffle), so that the position stays small and exact; an element never leaves its window. tf.data's
   * reservoir lets some wander further, but can't be resumed without saving its contents. Give a buffer that is
   * large against runs of one class, or shuffle the files before.
   *
   * After `batch` it is the batches that are shuffled: the examples in each of them stay together in every epoch.
   * Shuffle before you batch.
   */
  shuffle(options: ShuffleOptions): Dataset<T>;

  /**
   * Stacks `size` elements at a time along a new first axis: [8, 8, 1] becomes [size, 8, 8, 1], a scalar [] becomes
   * [size]. The last batch is shorter where the length isn't a multiple, or is left out with `dropRemainder`.
   *
   * Throws `SHAPE_MISMATCH`, `DTYPE_MISMATCH` or `STRUCTURE_MISMATCH` with the record and the path where elements of
   * one batch don't agree.
   */
  batch(size: number, options?: BatchOptions): Dataset<T>;

  /** The first `count` elements of every epoch; after a shuffle these are others in every epoch. */
  take(count: number): Dataset<T>;
  /** All but the first `count` elements; they are not loaded. */
  skip(count: number): Dataset<T>;

  /**
   * The dataset `times` times over, endlessly by default. Each pass is an epoch of its own to the stages before: epoch
   * e of `repeat(n)` has their epochs n·e to n·e + n − 1; epoch e of an endless one begins with their epoch e.
   */
  repeat(times?: number): Dataset<T>;

  /**
   * Reads `count` elements ahead of the consumer: as soon as one is handed out, the next is started. With random
   * access, and through `map`, they load at the same time. Errors arrive where the element would have.
   */
  prefetch(count: number): Dataset<T>;

  /**
   * Divides the records: every one is in exactly one part, the same in every epoch, and each part keeps their order.
   * Sizes that aren't whole are rounded by largest remainder.
   *
   * ```ts
   * const { train, test } = await data.split({ train: 0.8, test: 0.2 }, { key, stratify: ({ target }) => target });
   * ```
   *
   * With `stratify` each part gets of every class its share, rounded up or down, and the totals of the parts are those of
   * a split without it.
   *
   * Throws `INVALID_ARGUMENT` without random access, and after `shuffle` and `repeat`, where records would be in
   * several parts over time: split first.
   */
  split<P extends SplitSizes>(
    sizes: P,
    options: SplitOptions<T>,
  ): Promise<{ readonly [K in keyof P]: Dataset<T> }>;

  /** One pass over the data, at its beginning. */
  iterator(options?: IteratorOptions): DataIterator<T>;
  /** All elements of an epoch (0 by default), in memory. */
  toArray(options?: IteratorOptions): Promise<T[]>;
  /** Epoch 0, at its beginning. */
  [Symbol.asyncIterator](): DataIterator<T>;
}

/** Where a data set comes from and on what terms: for model cards. */
export interface DatasetInfo {
  readonly name: string;
  readonly description: string;
  /** An SPDX identifier. */
  readonly licence: string;
  /** Who has to be named, and where it was published. */
  readonly citation: string;
  readonly url: string;
  /** The classes, by label. */
  readonly classNames: readonly string[];
}
