import { add, sum, type Tensor, zerosLike } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  type Backend,
  choose,
  compile,
  dtypes,
  fromNested,
  type NdArray,
  read,
  sameBits,
  scalar,
  tensorCount,
  toNested,
  valueAndGrad,
  zeros,
} from '../src/index.js';
import { anyNdArray } from './arbitraries.js';
import { cpu, expectError } from './support.js';

let backend: Backend;
beforeAll(async () => {
  backend = await cpu();
});

describe('choose', () => {
  const pick = (condition: Tensor, yes: Tensor, no: Tensor): Tensor => choose(condition, yes, no);
  const onDevice = anyNdArray().filter(({ dtype }) => ['float32', 'int32', 'bool'].includes(dtype));

  /** NaN where there is one, 1 elsewhere. */
  const filled = ({ dtype, data }: NdArray): NdArray['data'] =>
    dtype === 'float32'
      ? new Float32Array(data.length).fill(Number.NaN)
      : dtypes[dtype as 'int32' | 'bool'].create(data.length).fill(1);

  it('gives one of two tensors, to the bit, whatever the other holds', async () => {
    const f = compile(pick, { backend });
    const before = tensorCount();
    await fc.assert(
      fc.asyncProperty(onDevice, fc.boolean(), async (array, condition) => {
        const other = { ...array, data: filled(array) } as NdArray;
        const [yes, no] = condition ? [array, other] : [other, array];
        const got = await read(f(scalar(condition ? 1 : 0, 'bool'), yes, no));
        expect(sameBits(got, array)).toBe(true);
      }),
      { numRuns: 50 },
    );
    expect(tensorCount()).toBe(before);
  });

  it('is differentiated through its reference', async () => {
    const f = compile(
      (c: Tensor, a: Tensor, b: Tensor) =>
        valueAndGrad((p: { a: Tensor; b: Tensor }) => sum(add(choose(c, p.a, p.b), zerosLike(p.a))))({
          a,
          b,
        }),
      { backend },
    );
    const { grads } = await read(f(scalar(1, 'bool'), fromNested([1, 2]), fromNested([3, 4])));
    expect([toNested(grads.a), toNested(grads.b)]).toEqual([
      [1, 1],
      [0, 0],
    ]);
  });

  it.each([
    ['two shapes', scalar(1, 'bool'), zeros([2]), zeros([1, 2])],
    ['two dtypes', scalar(1, 'bool'), zeros([2]), zeros([2], 'int32')],
    ['a condition for each element', fromNested([true, false]), zeros([2]), zeros([2])],
    ['a condition that is a number', scalar(1), zeros([2]), zeros([2])],
  ])('refuses %s', async (_, condition, yes, no) => {
    await expectError(
      () => compile(pick, { backend })(condition, yes, no),
      'SHAPE_MISMATCH',
      'choose',
      'scalar',
    );
  });
});
