import type { NdArray } from '@tenon-ml/core';
import {
  Add,
  AddN,
  Equal,
  Greater,
  GreaterEqual,
  Less,
  LessEqual,
  LogicalAnd,
  LogicalNot,
  LogicalOr,
  Multiply,
  NotEqual,
  Select,
  Sub,
} from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { testedDevice } from '../../hosts/tested_backend.js';
import { backendPair, expectSame, randomArray, runKernelForAll } from './reference.js';

const { ours, reference } = backendPair();

const sides = fc.constantFrom('both', 'a', 'b');
const pairs = fc.record({
  axes: fc.array(fc.record({ length: fc.nat({ max: 7 }), kind: sides }), { maxLength: 4 }),
  seed: fc.nat(),
  special: fc.boolean(),
});

/** Whole numbers, so that some are equal. */
function whole(array: NdArray<'float32'>): NdArray<'float32'> {
  return { ...array, data: array.data.map(Math.round) };
}

function integers({ shape, data }: NdArray<'float32'>): NdArray<'int32'> {
  return { dtype: 'int32', shape, data: Int32Array.from(data, (value) => value * 1e9) };
}

function bools({ shape, data }: NdArray<'float32'>): NdArray<'bool'> {
  return { dtype: 'bool', shape, data: Uint8Array.from(data, (value) => (value > 0 ? 1 : 0)) };
}

test.each([Greater, GreaterEqual, Less, LessEqual, Equal, NotEqual])(
  '%s is the reference',
  async (kernel) => {
    await fc.assert(
      fc.asyncProperty(pairs, async ({ axes, seed, special }) => {
        const shape = (own: string) =>
          axes.map(({ length, kind }) => (kind === 'both' || kind === own ? length : 1));
        const a = whole(randomArray(seed, shape('a'), special));
        const b = whole(randomArray(seed + 1, shape('b'), special));
        const call = { kernel, inputs: { a, b } };
        const result = await runKernelForAll(ours, call);
        expect(result[0].dtype).toBe('bool');
        expect(result).toEqual(await runKernelForAll(reference, call));
      }),
    );
  },
);

test.each([Add, Sub, Multiply])('%s of int32 wraps around, broadcast', async (kernel) => {
  await fc.assert(
    fc.asyncProperty(pairs, async ({ axes, seed }) => {
      const shape = (own: string) =>
        axes.map(({ length, kind }) => (kind === 'both' || kind === own ? length : 1));
      const a = integers(randomArray(seed, shape('a')));
      const b = integers(randomArray(seed + 1, shape('b')));
      // tfjs-backend-cpu multiplies in float64, which rounds large products: small numbers there.
      if (kernel === Multiply)
        a.data.forEach((value, i) => {
          a.data[i] = value % 1000;
        });
      const call = { kernel, inputs: { a, b } };
      expect(await runKernelForAll(ours, call)).toEqual(await runKernelForAll(reference, call));
    }),
  );
});

const shapes = fc.array(fc.nat({ max: 6 }), { maxLength: 3 });

test.each([LogicalAnd, LogicalOr])('%s is the reference', async (kernel) => {
  await fc.assert(
    fc.asyncProperty(shapes, fc.nat(), async (shape, seed) => {
      const call = {
        kernel,
        inputs: { a: bools(randomArray(seed, shape)), b: bools(randomArray(seed + 1, shape)) },
      };
      expect(await runKernelForAll(ours, call)).toEqual(await runKernelForAll(reference, call));
    }),
  );
});

test('LogicalNot is the reference', async () => {
  await fc.assert(
    fc.asyncProperty(shapes, fc.nat(), async (shape, seed) => {
      const call = { kernel: LogicalNot, inputs: { x: bools(randomArray(seed, shape)) } };
      expect(await runKernelForAll(ours, call)).toEqual(await runKernelForAll(reference, call));
    }),
  );
});

test('Select is the reference, of float32, int32 and bool', async () => {
  await fc.assert(
    fc.asyncProperty(shapes, fc.nat(), fc.boolean(), async (shape, seed, special) => {
      const condition = bools(randomArray(seed, shape));
      const [t, e] = [randomArray(seed + 1, shape, special), randomArray(seed + 2, shape, special)];
      for (const convert of [(x: NdArray<'float32'>): NdArray => x, integers, bools]) {
        const call = { kernel: Select, inputs: { condition, t: convert(t), e: convert(e) } };
        const expected = await runKernelForAll(reference, call);
        expectSame(await runKernelForAll(ours, call), expected, { op: 'exact' });
      }
    }),
  );
});

test('Select takes rows by a condition of rank 1', async () => {
  const [t, e] = [randomArray(2, [3, 2]), randomArray(3, [3, 2])];
  const condition = bools(randomArray(1, [3]));
  const call = { kernel: Select, inputs: { condition, t, e } };
  // tfjs-backend-cpu's, and the kernel of tfjs that wasm leaves it to, take every element from the wrong place; no op
  // asks for it.
  const rows = { ...t, data: t.data.map((value, i) => (condition.data[i >> 1] ? value : e.data[i])) };
  const expected = testedDevice === 'gpu' ? rows : await runKernelForAll(reference, call);
  expectSame(await runKernelForAll(ours, call), expected, { op: 'exact' });
});

test('AddN is the sum of all, in their order', async () => {
  for (const count of [1, 2, 5, 7, 8, 14, 20]) {
    const inputs = Array.from({ length: count }, (_, i) => randomArray(i, [3, 7]));
    const call = { kernel: AddN, inputs: inputs as unknown as { [name: string]: NdArray } };
    const options = { op: 'sum', reduction: count } as const;
    expectSame(await runKernelForAll(ours, call), await runKernelForAll(reference, call), options);
  }
});

test('the same op tells int32 from float32, whichever comes first', async () => {
  const [a, b] = [randomArray(1, [5]), randomArray(2, [5])];
  for (const convert of [integers, (x: NdArray<'float32'>): NdArray => x, integers]) {
    const call = { kernel: Add, inputs: { a: convert(a), b: convert(b) } };
    const expected = await runKernelForAll(reference, call);
    expectSame(await runKernelForAll(ours, call), expected, { op: 'elementwise' });
  }
});
