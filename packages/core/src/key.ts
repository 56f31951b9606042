import { TenonError } from './errors.js';
import { checkShape, type NdArray } from './ndarray.js';
import { hash32, philox4x32, philoxWords, unitFloat } from './philox.js';

/**
 * A random key: a value, not a generator. The same key gives the same draws, however often and in whatever order;
 * to draw something else, derive another key. Philox4x32-10 underneath (see `philox.ts`), as JAX's keys are over
 * Threefry.
 *
 * ```ts
 * const key = createKey(42);
 * const [weights, order] = key.split(2);
 * weights.normal([3, 3]);            // the same nine numbers, every time
 * order.foldIn('epoch').foldIn(7);   // the key of the order of epoch 7
 * ```
 */
export interface Key {
  /** The 64 bits of the key, as two unsigned 32-bit words. */
  readonly words: readonly [number, number];
  /** `count` keys, independent of each other and of this one. */
  split(count: number): Key[];
  /** A key derived from this one and a name or a non-negative integer. */
  foldIn(data: number | string): Key;
  /** `count` uniformly random 32-bit words. */
  bits(count: number): Uint32Array;
  /**
   * Uniform in [low, high), 0 to 1 by default, the bounds as float32; 24 random bits each. Where low equals high, every
   * number is that one. (NumPy and PyTorch may round up to `high`.)
   */
  uniform(shape: readonly number[], low?: number, high?: number): NdArray<'float32'>;
  /**
   * Normal with the given mean and standard deviation (0 and 1): Box–Muller in float64, rounded to float32. Of 32 random
   * bits each, so that nothing lies beyond 6.8 standard deviations.
   */
  normal(shape: readonly number[], mean?: number, standardDeviation?: number): NdArray<'float32'>;
  /** A uniformly random order of 0 … count − 1 (Fisher–Yates, without modulo bias). */
  permutation(count: number): Uint32Array;
  /** The key as an argument of a compiled step: int32 of shape [2], the bits of `words`. */
  toNdArray(): NdArray<'int32'>;
}

// What a key is used for; each draws from counters of its own.
const SPLIT = 1;
const FOLD_NUMBER = 2;
const FOLD_STRING = 3;
const BITS = 4;
/** The domain of what is drawn inside a step, on a device. */
export const STEP_DOMAIN = 5;

/** The key of a seed: an integer of at least 0, up to 2⁵³ − 1. */
export function createKey(seed: number): Key {
  const [low, high] = integerWords(seed, 'createKey');
  return derive([low, high], 0, 0, FOLD_NUMBER);
}

/** The key with these words, signed or unsigned: the inverse of `key.words` and of `key.toNdArray()`. */
export function keyFromWords(words: readonly [number, number]): Key {
  for (const word of words) {
    if (!Number.isInteger(word) || word < -(2 ** 31) || word >= 2 ** 32) {
      throw new TenonError({
        code: 'INVALID_ARGUMENT',
        where: 'keyFromWords',
        expected: 'two integers of 32 bits',
        got: String(word),
      });
    }
  }
  return new PhiloxKey([words[0] >>> 0, words[1] >>> 0]);
}

/**
 * A key that draws nothing: whatever is asked of it is zeros, at once. For those who want of what `init` makes the shapes
 * alone, as `summary` does: random draws are most of its time.
 */
export const blankKey: Key = /* @__PURE__ */ Object.freeze<Key>({
  words: Object.freeze([0, 0] as const),
  split: (count) => Array.from({ length: count }, () => blankKey),
  foldIn: () => blankKey,
  bits: (count) => new Uint32Array(count),
  uniform: (shape) => zerosOf(shape, 'uniform'),
  normal: (shape) => zerosOf(shape, 'normal'),
  permutation: (count) => Uint32Array.from({ length: count }, (_, i) => i),
  toNdArray: () => ({ dtype: 'int32', shape: [2], data: new Int32Array(2) }),
});

function zerosOf(shape: readonly number[], where: string): NdArray<'float32'> {
  return { dtype: 'float32', shape: [...shape], data: new Float32Array(checkShape(shape, where)) };
}

class PhiloxKey implements Key {
  readonly words: readonly [number, number];

  constructor(words: readonly [number, number]) {
    this.words = words;
    Object.freeze(this);
  }

  split(count: number): Key[] {
    checkCount(count, 'split');
    return Array.from({ length: count }, (_, i) => derive(this.words, i, 0, SPLIT));
  }

  foldIn(data: number | string): Key {
    if (typeof data === 'string') {
      return derive(this.words, hash32(data), hash32(data, 0x9747b28c), FOLD_STRING);
    }
    return derive(this.words, ...integerWords(data, 'foldIn'), FOLD_NUMBER);
  }

  bits(count: number): Uint32Array {
    checkCount(count, 'bits');
    return philoxWords(this.words, 0, BITS, count);
  }

  uniform(shape: readonly number[], low = 0, high = 1): NdArray<'float32'> {
    const size = checkShape(shape, 'uniform');
    const [bottom, top] = [Math.fround(low), Math.fround(high)];
    if (!(Number.isFinite(bottom) && Number.isFinite(top) && bottom <= top)) {
      throw new TenonError({
        code: 'INVALID_ARGUMENT',
        where: 'uniform',
        expected: 'finite bounds, the lower one first',
        got: `${low} and ${high}`,
      });
    }
    const last = bottom < top ? floatBelow(top) : top;
    const data = Float32Array.from(this.bits(size), (word) =>
      Math.min(Math.fround(bottom + (top - bottom) * unitFloat(word)), last),
    );
    return { dtype: 'float32', shape: [...shape], data };
  }

  normal(shape: readonly number[], mean = 0, standardDeviation = 1): NdArray<'float32'> {
    const data = new Float32Array(checkShape(shape, 'normal'));
    const words = this.bits(data.length + (data.length % 2));
    for (let i = 0; i < data.length; i += 2) {
      // (word + 1/2)·2⁻³² lies strictly between 0 and 1, so the logarithm is finite.
      const radius = Math.sqrt(-2 * Math.log((words[i] + 0.5) * 2 ** -32));
      const angle = 2 * Math.PI * (words[i + 1] * 2 ** -32);
      data[i] = mean + standardDeviation * radius * Math.cos(angle);
      if (i + 1 < data.length) data[i + 1] = mean + standardDeviation * radius * Math.sin(angle);
    }
    return { dtype: 'float32', shape: [...shape], data };
  }

  permutation(count: number): Uint32Array {
    checkCount(count, 'permutation');
    const order = Uint32Array.from({ length: count }, (_, i) => i);
    const words = this.bits(2 * count);
    for (let i = count - 1; i > 0; i--) {
      // 53 random bits scaled to 0 … i: the bias is below 2⁻²⁰ for four thousand million elements.
      const unit = ((words[2 * i] >>> 5) * 0x4000000 + (words[2 * i + 1] >>> 6)) * 2 ** -53;
      const j = Math.floor(unit * (i + 1));
      const swapped = order[i];
      order[i] = order[j];
      order[j] = swapped;
    }
    return order;
  }

  toNdArray(): NdArray<'int32'> {
    return { dtype: 'int32', shape: [2], data: Int32Array.from(this.words, (word) => word | 0) };
  }
}

/** The largest float32 below a finite one. */
function floatBelow(value: number): number {
  if (value === 0) return -(2 ** -149);
  const bits = new Int32Array(Float32Array.of(value).buffer);
  bits[0] += value > 0 ? -1 : 1;
  return new Float32Array(bits.buffer)[0];
}

function derive(words: readonly [number, number], c0: number, c1: number, domain: number): Key {
  const out = new Uint32Array(4);
  philox4x32(c0, c1, 0, domain, words[0], words[1], out, 0);
  return new PhiloxKey([out[0], out[1]]);
}

function integerWords(value: number, where: string): [number, number] {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new TenonError({
      code: 'INVALID_ARGUMENT',
      where,
      expected: 'an integer from 0 to 2^53 - 1',
      got: String(value),
    });
  }
  return [value >>> 0, Math.floor(value / 0x100000000)];
}

function checkCount(count: number, where: string): void {
  if (!Number.isInteger(count) || count < 0) {
    throw new TenonError({
      code: 'INVALID_ARGUMENT',
      where,
      expected: 'a count of at least 0',
      got: String(count),
    });
  }
}
