import { createKey, type NdArray, sizeOf } from '@tenon-ml/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { inPieces, mostParts } from './parts.js';
import { backendPair, type Call, expectBits, randomArray, runKernelForAll } from './reference.js';

const { ours, reference } = backendPair();

type MovableType = 'float32' | 'int32' | 'bool';

/** Values of any dtype; of float32 with NaN, infinities, −0 and denormals. */
function arrayOf(seed: number, shape: readonly number[], dtype: MovableType = 'float32'): NdArray {
  if (dtype === 'float32') return randomArray(seed, shape, true);
  const bits = createKey(seed).bits(sizeOf(shape));
  if (dtype === 'int32') return { dtype, shape, data: Int32Array.from(bits, (word) => word | 0) };
  return { dtype, shape, data: Uint8Array.from(bits, (word) => word & 1) };
}

const dtypes = fc.constantFrom<MovableType>('float32', 'int32', 'bool');
const lengths = fc.oneof(fc.integer({ min: 0, max: 9 }), fc.constantFrom(1, 16, 19));
const shapes = fc.array(lengths, { minLength: 1, maxLength: 4 });

/** The same values as the reference, bit for bit, in whole and with parts one by one. */
function expectSame(call: Call): void {
  const expected = runKernelForAll(reference, call);
  expectBits(runKernelForAll(ours, call), expected);
  expectBits(
    inPieces(ours, 1, () => runKernelForAll(ours, call)),
    expected,
  );
}

/** The same for a call that is cut, without the reference: it is slow. */
function expectCut(call: Call): NdArray[] {
  const run = () => runKernelForAll(ours, call);
  expect(mostParts(ours, run)).toBeGreaterThan(3);
  const whole = run();
  for (const length of [1, 3]) expectBits(inPieces(ours, length, run), whole);
  return whole;
}

test('Transpose, for every permutation and dtype', () => {
  const cases = shapes.chain((shape) =>
    fc.record({
      shape: fc.constant(shape),
      perm: fc.shuffledSubarray(
        shape.map((_, i) => i),
        { minLength: shape.length },
      ),
      dtype: dtypes,
      seed: fc.nat(),
    }),
  );
  fc.assert(
    fc.property(cases, ({ shape, perm, dtype, seed }) => {
      expectSame({ kernel: 'Transpose', inputs: { x: arrayOf(seed, shape, dtype) }, attrs: { perm } });
    }),
    { numRuns: 300 },
  );
});

test.each([
  { shape: [517, 301], perm: [1, 0] },
  { shape: [5, 70, 3, 260], perm: [3, 1, 0, 2] },
  { shape: [8, 90, 6, 32], perm: [0, 2, 1, 3] },
  { shape: [40, 3, 41, 43], perm: [0, 2, 3, 1] },
])('Transpose of $shape by $perm, cut', ({ shape, perm }) => {
  const x = arrayOf(1, shape);
  const [{ data }] = expectCut({ kernel: 'Transpose', inputs: { x }, attrs: { perm } });
  const inverse = perm.map((_, i) => perm.indexOf(i));
  const back = perm.map((axis) => shape[axis]);
  const y = { dtype: 'float32', shape: back, data } as NdArray;
  expectBits(runKernelForAll(ours, { kernel: 'Transpose', inputs: { x: y }, attrs: { perm: inverse } }), [x]);
  // That it isn't the identity.
  const stride = sizeOf(shape.slice(perm[perm.length - 1] + 1));
  expect(data[1]).toEqual(x.data[stride]);
});

const boxes = shapes.chain((shape) =>
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
);

test('Slice', () => {
  fc.assert(
    fc.property(boxes, ({ shape, dtype, seed, box }) => {
      const attrs = { begin: box.map(([begin]) => begin), size: box.map(([, size]) => size) };
      expectSame({ kernel: 'Slice', inputs: { x: arrayOf(seed, shape, dtype) }, attrs });
    }),
    { numRuns: 300 },
  );
});

test('Slice refuses what is outside, as the reference', () => {
  const call = { kernel: 'Slice', inputs: { x: arrayOf(1, [3, 4]) }, attrs: { begin: [1, 2], size: [2, 3] } };
  expect(() => runKernelForAll(ours, call)).toThrow('begin[1] + size[1] (5) would overflow');
});

test('SplitV and Unpack', () => {
  const cases = shapes.chain((shape) =>
    fc.tuple(fc.constant(shape), fc.integer({ min: -shape.length, max: shape.length - 1 })),
  );
  fc.assert(
    fc.property(cases, dtypes, fc.nat(), ([shape, axis], dtype, seed) => {
      const length = shape[axis < 0 ? axis + shape.length : axis];
      const first = length === 0 ? 0 : seed % (length + 1);
      const value = arrayOf(seed, shape, dtype);
      expectSame({
        kernel: 'SplitV',
        inputs: { x: value },
        attrs: { numOrSizeSplits: [first, length - first], axis },
      });
      if (length > 0) expectSame({ kernel: 'Unpack', inputs: { value }, attrs: { axis } });
    }),
  );
});

test('Concat and Pack', () => {
  const cases = shapes.chain((shape) =>
    fc.record({
      shape: fc.constant(shape),
      axis: fc.nat({ max: shape.length - 1 }),
      counts: fc.array(fc.nat({ max: 5 }), { minLength: 1, maxLength: 4 }),
      dtype: dtypes,
      seed: fc.nat(),
    }),
  );
  fc.assert(
    fc.property(cases, ({ shape, axis, counts, dtype, seed }) => {
      const pieces = counts.map((count, i) =>
        arrayOf(
          seed + i,
          shape.map((length, k) => (k === axis ? count : length)),
          dtype,
        ),
      );
      expectSame({ kernel: 'Concat', inputs: pieces as never, attrs: { axis } });
      const same = counts.map((_, i) => arrayOf(seed + i, shape, dtype));
      expectSame({ kernel: 'Pack', inputs: same as never, attrs: { axis: seed % (shape.length + 1) } });
    }),
  );
});

test('Concat of unlike shapes or dtypes is refused as by the reference', () => {
  const other = [arrayOf(1, [2, 3]), arrayOf(2, [3, 3])];
  const call = { kernel: 'Concat', inputs: other as never, attrs: { axis: 1 } };
  expect(() => runKernelForAll(ours, call)).toThrow('does not match the shape of the rest');
});

test('Tile', () => {
  const cases = fc
    .array(fc.tuple(fc.integer({ min: 0, max: 7 }), fc.integer({ min: 0, max: 4 })), {
      minLength: 1,
      maxLength: 4,
    })
    .filter((axes) => axes.every(([length]) => length > 0));
  fc.assert(
    fc.property(cases, dtypes, fc.nat(), (axes, dtype, seed) => {
      const x = arrayOf(
        seed,
        axes.map(([length]) => length),
        dtype,
      );
      expectSame({ kernel: 'Tile', inputs: { x }, attrs: { reps: axes.map(([, count]) => count) } });
    }),
  );
});

test('PadV2', () => {
  const pair = fc.tuple(fc.nat({ max: 5 }), fc.nat({ max: 5 }));
  const none = fc.constant<[number, number]>([0, 0]);
  const constants = fc.constantFrom(0, -0, 1, -1.5, Number.NaN, Number.POSITIVE_INFINITY, 300, 2 ** 31 + 5);
  const cases = shapes.chain((shape) =>
    fc.record({
      shape: fc.constant(shape),
      paddings: fc.tuple(...shape.map(() => fc.oneof(pair, none))),
      constantValue: constants,
      dtype: dtypes,
      seed: fc.nat(),
    }),
  );
  fc.assert(
    fc.property(cases, ({ shape, paddings, constantValue, dtype, seed }) => {
      // The reference takes −0 for "nothing to fill".
      const value = Object.is(constantValue, -0) && dtype === 'float32' ? 0 : constantValue;
      expectSame({
        kernel: 'PadV2',
        inputs: { x: arrayOf(seed, shape, dtype) },
        attrs: { paddings, constantValue: value },
      });
    }),
    { numRuns: 300 },
  );
});

function array(shape: readonly number[], data: Float32Array): NdArray {
  return { dtype: 'float32', shape, data };
}

test('long runs are cut: copies, joins and padding', () => {
  const x = arrayOf(1, [3, 70_001]);
  const y = arrayOf(2, [1, 70_001]);
  const all = new Float32Array(4 * 70_001);
  all.set(x.data as Float32Array);
  all.set(y.data as Float32Array, 3 * 70_001);
  const [joined] = expectCut({ kernel: 'Concat', inputs: [x, y] as never, attrs: { axis: 0 } });
  expectBits([joined], [array([4, 70_001], all)]);
  const [piece] = expectCut({ kernel: 'Slice', inputs: { x }, attrs: { begin: [1, 0], size: [2, -1] } });
  expectBits([piece], [array([2, 70_001], (x.data as Float32Array).slice(70_001))]);
  const paddings = [
    [1, 2],
    [0, 0],
  ];
  const [padded] = expectCut({ kernel: 'PadV2', inputs: { x }, attrs: { paddings, constantValue: 7 } });
  const framed = new Float32Array(6 * 70_001).fill(7);
  framed.set(x.data as Float32Array, 70_001);
  expectBits([padded], [array([6, 70_001], framed)]);
});
