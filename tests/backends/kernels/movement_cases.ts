import fc from 'fast-check';
import { arrayOf, type MovableType } from './inputs.js';
import type { Call } from './reference.js';

/** Calls of kernels that only move values, for any shape, and how many of them a test should make. */
export interface Movement {
  readonly name: string;
  readonly calls: fc.Arbitrary<readonly Call[]>;
  readonly runs: number;
}

const dtypes = fc.constantFrom<MovableType>('float32', 'int32', 'bool');
const lengths = fc.oneof(fc.integer({ min: 0, max: 9 }), fc.constantFrom(1, 16, 19));
const shapes = fc.array(lengths, { minLength: 1, maxLength: 4 });

const transpose = shapes
  .chain((shape) =>
    fc.record({
      shape: fc.constant(shape),
      perm: fc.shuffledSubarray(
        shape.map((_, i) => i),
        { minLength: shape.length },
      ),
      dtype: dtypes,
      seed: fc.nat(),
    }),
  )
  .map(({ shape, perm, dtype, seed }) => [
    { kernel: 'Transpose', inputs: { x: arrayOf(seed, shape, dtype) }, attrs: { perm } },
  ]);

const slice = shapes
  .chain((shape) =>
    fc.record({
      shape: fc.constant(shape),
      dtype: dtypes,
      seed: fc.nat(),
      box: fc.tuple(
        ...shape.map((length) =>
          fc
            .nat({ max: length })
            .chain((begin) => fc.tuple(fc.constant(begin), fc.integer({ min: -1, max: length - begin }))),
        ),
      ),
    }),
  )
  .map(({ shape, dtype, seed, box }) => {
    const attrs = { begin: box.map(([begin]) => begin), size: box.map(([, size]) => size) };
    return [{ kernel: 'Slice', inputs: { x: arrayOf(seed, shape, dtype) }, attrs }];
  });

const split = shapes
  .chain((shape) =>
    fc.record({
      shape: fc.constant(shape),
      axis: fc.integer({ min: -shape.length, max: shape.length - 1 }),
      dtype: dtypes,
      seed: fc.nat(),
    }),
  )
  .map(({ shape, axis, dtype, seed }) => {
    const length = shape[axis < 0 ? axis + shape.length : axis];
    const first = length === 0 ? 0 : seed % (length + 1);
    const value = arrayOf(seed, shape, dtype);
    const sizes = [first, length - first];
    const calls: Call[] = [
      { kernel: 'SplitV', inputs: { x: value }, attrs: { numOrSizeSplits: sizes, axis } },
    ];
    if (length > 0) calls.push({ kernel: 'Unpack', inputs: { value }, attrs: { axis } });
    return calls;
  });

const join = shapes
  .chain((shape) =>
    fc.record({
      shape: fc.constant(shape),
      axis: fc.nat({ max: shape.length - 1 }),
      counts: fc.array(fc.nat({ max: 5 }), { minLength: 1, maxLength: 4 }),
      dtype: dtypes,
      seed: fc.nat(),
    }),
  )
  .map(({ shape, axis, counts, dtype, seed }) => {
    const pieces = counts.map((count, i) =>
      arrayOf(
        seed + i,
        shape.map((length, k) => (k === axis ? count : length)),
        dtype,
      ),
    );
    const same = counts.map((_, i) => arrayOf(seed + i, shape, dtype));
    return [
      { kernel: 'Concat', inputs: pieces as never, attrs: { axis } },
      { kernel: 'Pack', inputs: same as never, attrs: { axis: seed % (shape.length + 1) } },
    ];
  });

const tile = fc
  .record({
    axes: fc.array(fc.tuple(fc.integer({ min: 1, max: 7 }), fc.integer({ min: 0, max: 4 })), {
      minLength: 1,
      maxLength: 4,
    }),
    dtype: dtypes,
    seed: fc.nat(),
  })
  .map(({ axes, dtype, seed }) => {
    const x = arrayOf(
      seed,
      axes.map(([length]) => length),
      dtype,
    );
    return [{ kernel: 'Tile', inputs: { x }, attrs: { reps: axes.map(([, count]) => count) } }];
  });

const pair = fc.tuple(fc.nat({ max: 5 }), fc.nat({ max: 5 }));
const none = fc.constant<[number, number]>([0, 0]);

const pad = shapes
  .chain((shape) =>
    fc.record({
      shape: fc.constant(shape),
      paddings: fc.tuple(...shape.map(() => fc.oneof(pair, none))),
      constantValue: fc.constantFrom(0, -0, 1, -1.5, Number.NaN, Number.POSITIVE_INFINITY, 300, 2 ** 31 + 5),
      dtype: dtypes,
      seed: fc.nat(),
    }),
  )
  .map(({ shape, paddings, constantValue, dtype, seed }) => {
    // The reference takes −0 for "nothing to fill".
    const value = Object.is(constantValue, -0) && dtype === 'float32' ? 0 : constantValue;
    const attrs = { paddings, constantValue: value };
    return [{ kernel: 'PadV2', inputs: { x: arrayOf(seed, shape, dtype) }, attrs }];
  });

export const movements: readonly Movement[] = [
  { name: 'Transpose, for every permutation and dtype', calls: transpose, runs: 300 },
  { name: 'Slice', calls: slice, runs: 300 },
  { name: 'SplitV and Unpack', calls: split, runs: 100 },
  { name: 'Concat and Pack', calls: join, runs: 100 },
  { name: 'Tile', calls: tile, runs: 100 },
  { name: 'PadV2', calls: pad, runs: 300 },
];

export const largeTransposes = [
  { shape: [517, 301], perm: [1, 0] },
  { shape: [5, 70, 3, 260], perm: [3, 1, 0, 2] },
  { shape: [8, 90, 6, 32], perm: [0, 2, 1, 3] },
  { shape: [40, 3, 41, 43], perm: [0, 2, 3, 1] },
];

/** Runs of many thousand values. */
export const longRuns = (() => {
  const x = arrayOf(1, [3, 70_001]);
  const y = arrayOf(2, [1, 70_001]);
  const paddings = [
    [1, 2],
    [0, 0],
  ];
  return {
    x,
    y,
    concat: { kernel: 'Concat', inputs: [x, y] as never, attrs: { axis: 0 } },
    slice: { kernel: 'Slice', inputs: { x }, attrs: { begin: [1, 0], size: [2, -1] } },
    pad: { kernel: 'PadV2', inputs: { x }, attrs: { paddings, constantValue: 7 } },
  };
})();
