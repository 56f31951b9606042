import fc from 'fast-check';
import { testedDevice } from '../../hosts/tested_backend.js';
import { arrayOf, type MovableType } from './inputs.js';
import { type Call, manyRuns } from './reference.js';

/** Calls of kernels that only move values, of any shape. */
export interface Movement {
  readonly name: string;
  /** Makes random calls, and has each of them checked. */
  check(checkCall: (call: Call) => Promise<void>): Promise<void>;
}

/** `callsOf` is apart from the cases, which fast-check prints where a check fails, so that no values are in them. */
function movement<C>(
  name: string,
  cases: fc.Arbitrary<C>,
  callsOf: (chosen: C) => readonly Call[],
  runs?: number,
): Movement {
  const check: Movement['check'] = (checkCall) =>
    fc.assert(
      fc.asyncProperty(cases, async (chosen) => {
        for (const call of callsOf(chosen)) await checkCall(call);
      }),
      runs === undefined ? {} : manyRuns(runs),
    );
  return { name, check };
}

const dtypes = fc.constantFrom<MovableType>('float32', 'int32', 'bool');
const lengths = fc.oneof(fc.integer({ min: 0, max: 9 }), fc.constantFrom(1, 16, 19));
const shapes = fc.array(lengths, { minLength: 1, maxLength: 4 });

const transpose = movement(
  'Transpose, for every permutation and dtype',
  shapes.chain((shape) =>
    fc.record({
      shape: fc.constant(shape),
      perm: fc.shuffledSubarray(
        shape.map((_, i) => i),
        { minLength: shape.length },
      ),
      dtype: dtypes,
      seed: fc.nat(),
    }),
  ),
  ({ shape, perm, dtype, seed }) => [
    { kernel: 'Transpose', inputs: { x: arrayOf(seed, shape, dtype) }, attrs: { perm } },
  ],
  300,
);

const slice = movement(
  'Slice',
  shapes.chain((shape) =>
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
  ),
  ({ shape, dtype, seed, box }) => {
    const attrs = { begin: box.map(([begin]) => begin), size: box.map(([, size]) => size) };
    return [{ kernel: 'Slice', inputs: { x: arrayOf(seed, shape, dtype) }, attrs }];
  },
  300,
);

const split = movement(
  'SplitV and Unpack',
  shapes.chain((shape) =>
    fc.record({
      shape: fc.constant(shape),
      axis: fc.integer({ min: -shape.length, max: shape.length - 1 }),
      dtype: dtypes,
      seed: fc.nat(),
    }),
  ),
  ({ shape, axis, dtype, seed }) => {
    const length = shape[axis < 0 ? axis + shape.length : axis];
    const first = length === 0 ? 0 : seed % (length + 1);
    const value = arrayOf(seed, shape, dtype);
    const sizes = [first, length - first];
    const calls: Call[] = [
      { kernel: 'SplitV', inputs: { x: value }, attrs: { numOrSizeSplits: sizes, axis } },
    ];
    if (length > 0) calls.push({ kernel: 'Unpack', inputs: { value }, attrs: { axis } });
    return calls;
  },
);

const join = movement(
  'Concat and Pack',
  shapes.chain((shape) =>
    fc.record({
      shape: fc.constant(shape),
      axis: fc.nat({ max: shape.length - 1 }),
      counts: fc.array(fc.nat({ max: 5 }), { minLength: 1, maxLength: 4 }),
      dtype: dtypes,
      seed: fc.nat(),
    }),
  ),
  ({ shape, axis, counts, dtype, seed }) => {
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
  },
);

const tile = movement(
  'Tile',
  fc.record({
    axes: fc.array(fc.tuple(fc.integer({ min: 1, max: 7 }), fc.integer({ min: 0, max: 4 })), {
      minLength: 1,
      maxLength: 4,
    }),
    dtype: dtypes,
    seed: fc.nat(),
  }),
  ({ axes, dtype, seed }) => {
    const x = arrayOf(
      seed,
      axes.map(([length]) => length),
      dtype,
    );
    return [{ kernel: 'Tile', inputs: { x }, attrs: { reps: axes.map(([, count]) => count) } }];
  },
);

const pair = fc.tuple(fc.nat({ max: 5 }), fc.nat({ max: 5 }));
const none = fc.constant<[number, number]>([0, 0]);

/** What a constant is where it is not to be taken as it comes. */
function paddingOf(constant: number, dtype: MovableType): number {
  // The reference takes −0 for "nothing to fill".
  if (dtype === 'float32') return constant + 0;
  // What becomes of a number that the dtype doesn't hold is a GPU's matter.
  return testedDevice === 'cpu' || constant === 0 ? constant : 1;
}

const pad = movement(
  'PadV2',
  shapes.chain((shape) =>
    fc.record({
      shape: fc.constant(shape),
      paddings: fc.tuple(...shape.map(() => fc.oneof(pair, none))),
      constantValue: fc.constantFrom(0, -0, 1, -1.5, Number.NaN, Number.POSITIVE_INFINITY, 300, 2 ** 31 + 5),
      dtype: dtypes,
      seed: fc.nat(),
    }),
  ),
  ({ shape, paddings, constantValue, dtype, seed }) => {
    const attrs = { paddings, constantValue: paddingOf(constantValue, dtype) };
    return [{ kernel: 'PadV2', inputs: { x: arrayOf(seed, shape, dtype) }, attrs }];
  },
  300,
);

export const movements: readonly Movement[] = [transpose, slice, split, join, tile, pad];

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
