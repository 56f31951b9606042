import { add, cast, mul, neg, sum, type Tensor, tidy } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  type Backend,
  cast as castArray,
  compile,
  dtypes,
  fromNested,
  type NdArray,
  read,
  release,
  sameBits,
  scalar,
  tensorCount,
  toNested,
  upload,
  valueAndGrad,
  zeros,
} from '../src/index.js';
import { anyNdArray } from './arbitraries.js';
import { cpu, expectError } from './support.js';

let backend: Backend;
let before: number;
beforeAll(async () => {
  backend = await cpu();
});
beforeEach(() => {
  before = tensorCount();
});

describe('arguments', () => {
  it('are trees of tensors and host values, mixed', async () => {
    const f = compile(
      (p: { a: Tensor; list: readonly Tensor[] }, x: Tensor) => [add(p.a, x), sum(p.list[1])] as const,
      { backend },
    );
    const a = upload(fromNested([1, 2]), backend);
    const [y, z] = await read(f({ a, list: [scalar(0), fromNested([3, 4])] }, scalar(10)));
    expect([toNested(y), toNested(z)]).toEqual([[11, 12], 7]);
    release(a);
    expect(tensorCount()).toBe(before);
  });

  it('that are host values are freed by the call', async () => {
    const f = compile((x: Tensor, y: Tensor) => add(x, y), { backend });
    const output = f(scalar(1), scalar(2));
    expect(tensorCount()).toBe(before + 1);
    release(output);
    expect(tensorCount()).toBe(before);
  });

  it('are copied: what happens to the array later changes no tensor', async () => {
    for (const dtype of ['float32', 'int32', 'bool'] as const) {
      const array = fromNested([1, 0], dtype);
      const x = upload(array, backend);
      const y = compile((t: Tensor) => t, { backend })(array);
      array.data.fill(1);
      expect((await read([x, y])).map((value) => [...value.data])).toEqual([
        [1, 0],
        [1, 0],
      ]);
    }
    expect(tensorCount()).toBe(before);
  });

  it('keep their values through upload and read, where the device holds the dtype', async () => {
    await fc.assert(
      fc.asyncProperty(anyNdArray(), async (array) => {
        const { device } = dtypes[array.dtype];
        if (device === null) {
          await expectError(() => upload({ deep: [array] }, backend), 'DTYPE_MISMATCH', 'deep.0');
          return;
        }
        const result = await read(upload(array, backend));
        expect(sameBits(result, castArray(array, device))).toBe(true);
      }),
    );
    expect(tensorCount()).toBe(before);
  });

  it('that lie are refused, by upload too', async () => {
    const bad: NdArray = { dtype: 'float32', shape: [3], data: new Float32Array(2) };
    await expectError(() => upload([zeros([1]), bad], backend), 'SHAPE_MISMATCH', '1: ', '3 elements');
    expect(tensorCount()).toBe(before);
  });
});

describe('donation', () => {
  it('consumes the donated arguments and no others', async () => {
    const f = compile((a: Tensor, b: Tensor) => add(a, b), { backend, donate: [0], name: 'step' });
    const [a, b] = upload([scalar(1), scalar(2)], backend);
    const c = f(a, b);
    expect([a.isDisposed, b.isDisposed]).toEqual([true, false]);
    expect(tensorCount()).toBe(before + 2);
    await expectError(
      () => f(a, b),
      'TENSOR_CONSUMED',
      'step, argument 1',
      "donated to 'step'",
      'returned in its place',
    );
    await expectError(() => read({ a }), 'TENSOR_CONSUMED', 'read, a', "donated to 'step'");
    expect(toNested(await read(c))).toBe(3);
    release(b);
    await expectError(() => f(b, b), 'TENSOR_CONSUMED', 'read or released');
    expect(tensorCount()).toBe(before);
  });

  it('takes every leaf of the tree, host values among them', async () => {
    const f = compile((p: { a: Tensor; b: readonly [Tensor, Tensor] }) => neg(p.a), { backend, donate: [0] });
    const a = upload(scalar(1), backend);
    release(f({ a, b: [upload(scalar(2), backend), scalar(3)] }));
    expect(tensorCount()).toBe(before);
  });

  it('of one tensor at a donated and another place consumes it', async () => {
    const f = compile((a: Tensor, b: Tensor) => add(a, b), { backend, donate: [1] });
    const a = upload(scalar(1), backend);
    expect(toNested(await read(f(a, a)))).toBe(2);
    expect(a.isDisposed).toBe(true);
    expect(tensorCount()).toBe(before);
  });
});

describe('read', () => {
  it('copies, frees, and gives back the tree', async () => {
    const tree = upload({ a: fromNested([1]), b: [fromNested([2], 'int32')] }, backend);
    const values = await read(tree);
    expect(values).toEqual({ a: fromNested([1]), b: [fromNested([2], 'int32')] });
    expect(tensorCount()).toBe(before);
  });

  it('keeps with { keep: true }, and what was read is a copy', async () => {
    const x = upload(fromNested([1, 2]), backend);
    const first = await read(x, { keep: true });
    (first.data as Float32Array).fill(9);
    expect(toNested(await read(x))).toEqual([1, 2]);
    await expectError(() => read(x), 'TENSOR_CONSUMED', 'read with { keep: true }');
  });

  it('frees nothing where it fails', async () => {
    const [a, b] = upload([scalar(1), scalar(2)], backend);
    release(b);
    await expectError(() => read([a, b]), 'TENSOR_CONSUMED', 'read, 1');
    expect(a.isDisposed).toBe(false);
    await expectError(() => read([a, 3 as unknown as Tensor]), 'INVALID_ARGUMENT', 'read, 1');
    expect(a.isDisposed).toBe(false);
    release([a, a]);
    expect(tensorCount()).toBe(before);
  });

  it('takes one tensor at two places', async () => {
    const a = upload(scalar(4), backend);
    expect((await read([a, a])).map(toNested)).toEqual([4, 4]);
    expect(tensorCount()).toBe(before);
  });
});

describe('a compiled function', () => {
  const square = (x: Tensor): Tensor => mul(x, x);

  it('counts its calls and says how they run', () => {
    const f = compile(square, { backend });
    for (let i = 0; i < 3; i++) release(f(scalar(2)));
    expect(f.explain()).toMatchObject({ mode: 'eager', calls: 3 });
    expect(f.explain().reason).toContain("'cpu'");
  });

  it('is named in messages: by itself, or as one likes', async () => {
    await expectError(
      () => compile(square, { backend })(3 as never),
      'INVALID_ARGUMENT',
      'square, argument 1',
    );
    await expectError(
      () => compile(square, { backend, name: 'mine' })(3 as never),
      'INVALID_ARGUMENT',
      'mine, argument 1',
    );
  });

  it('gives out what a tidy around it does not dispose', async () => {
    const f = compile(square, { backend });
    const made: Tensor[] = [];
    tidy(() => {
      made.push(f(scalar(3)));
    });
    const [y] = made;
    expect(toNested(await read(y))).toBe(9);
    expect(tensorCount()).toBe(before);
  });

  it('is just the function inside another, whose arguments it does not consume', async () => {
    const inner = compile(square, { backend, donate: [0] });
    const outer = compile((x: Tensor) => add(inner(x), inner(x)), { backend });
    const x = upload(scalar(3), backend);
    expect(toNested(await read(outer(x)))).toBe(18);
    expect(toNested(await read(x))).toBe(3);
    expect(inner.explain().calls).toBe(0);
    expect(tensorCount()).toBe(before);
  });

  it('takes host values inside another', async () => {
    const inner = compile((x: Tensor, y: Tensor) => add(x, y), { backend });
    const outer = compile((x: Tensor) => inner(x, scalar(5)), { backend });
    expect(toNested(await read(outer(scalar(1))))).toBe(6);
    expect(tensorCount()).toBe(before);
  });

  it('is differentiated under valueAndGrad, inside compile and out', async () => {
    const inner = compile(square, { backend, donate: [0] });
    const x = upload(scalar(3), backend);
    const eager = valueAndGrad((p: Tensor) => inner(p))(x);
    expect((await read([eager.value, eager.grads])).map(toNested)).toEqual([9, 6]);
    const outer = compile((p: Tensor) => valueAndGrad((q: Tensor) => inner(q))(p), { backend });
    const { value, grads } = await read(outer(x));
    expect([toNested(value), toNested(grads)]).toEqual([9, 6]);
    release(x);
    expect(tensorCount()).toBe(before);
  });

  it('may give out nothing, and integers and booleans', async () => {
    expect(compile(() => ({}), { backend })()).toEqual({});
    const f = compile((x: Tensor) => [cast(x, 'int32'), cast(x, 'bool')] as const, { backend });
    const [i, b] = await read(f(fromNested([0, 2])));
    expect([i, b]).toEqual([fromNested([0, 2], 'int32'), fromNested([false, true])]);
    expect(tensorCount()).toBe(before);
  });
});
