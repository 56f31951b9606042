import { keep, mul, neg, reshape, type Tensor, variable } from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  type Backend,
  compile,
  fromNested,
  read,
  scalar,
  tensorCount,
  toNested,
  upload,
} from '../src/index.js';
import { cpu, expectError } from './support.js';

let backend: Backend;
let before: number;

beforeAll(async () => {
  backend = await cpu();
});

describe('outputs that alias', () => {
  it('clones an output that is an argument', async () => {
    before = tensorCount();
    const same = compile((x: Tensor) => x, { backend });
    const x = upload(fromNested([1, 2]), backend);
    const y = same(x);
    expect(y).not.toBe(x);
    expect(toNested(await read(x))).toEqual([1, 2]);
    expect(toNested(await read(y))).toEqual([1, 2]);
    expect(tensorCount()).toBe(before);
  });

  it('clones an output that is an uploaded argument', async () => {
    before = tensorCount();
    const same = compile((x: Tensor) => ({ x }), { backend });
    expect(toNested((await read(same(fromNested([3])))).x)).toEqual([3]);
    expect(tensorCount()).toBe(before);
  });

  it('clones an output that is a donated argument, and its memory outlives the donation', async () => {
    before = tensorCount();
    const same = compile((x: Tensor) => [x, reshape(x, [2, 1])], { backend, donate: [0] });
    const x = upload(fromNested([4, 5]), backend);
    const outputs = same(x);
    expect(x.isDisposed).toBe(true);
    expect(tensorCount()).toBe(before + 2);
    expect((await read(outputs)).map(toNested)).toEqual([
      [4, 5],
      [[4], [5]],
    ]);
    expect(tensorCount()).toBe(before);
  });

  it('clones an output that is given twice', async () => {
    before = tensorCount();
    const twice = compile(
      (x: Tensor) => {
        const y = neg(x);
        return { a: y, b: [y] };
      },
      { backend },
    );
    const { a, b } = twice(fromNested([1]));
    expect(a).not.toBe(b[0]);
    expect(toNested(await read(a))).toEqual([-1]);
    expect(toNested(await read(b[0]))).toEqual([-1]);
    expect(tensorCount()).toBe(before);
  });

  it('clones an output that aliases an argument given at two places', async () => {
    before = tensorCount();
    const swap = compile((p: { a: Tensor; b: Tensor }) => ({ a: p.b, b: p.a }), { backend, donate: [0] });
    const x = upload(fromNested([7]), backend);
    const { a, b } = swap({ a: x, b: x });
    expect(a).not.toBe(b);
    expect(toNested((await read({ a, b })).a)).toEqual([7]);
    expect(tensorCount()).toBe(before);
  });
});

describe('tf.keep and tf.variable inside', () => {
  it('frees what was kept inside', () => {
    before = tensorCount();
    const f = compile((x: Tensor) => neg(keep(mul(x, x))), { backend });
    f(scalar(2)).dispose();
    expect(tensorCount()).toBe(before);
  });

  it('leaves an argument alone that was kept inside', async () => {
    before = tensorCount();
    const f = compile((x: Tensor) => neg(keep(x)), { backend });
    const x = upload(scalar(2), backend);
    f(x).dispose();
    expect(x.isDisposed).toBe(false);
    expect(toNested(await read(x))).toBe(2);
    expect(tensorCount()).toBe(before);
  });

  it('frees variables made inside, when it throws too', async () => {
    before = tensorCount();
    const make = compile((x: Tensor) => neg(variable(x, true, 'made inside')), { backend });
    for (let i = 0; i < 3; i++) make(scalar(1)).dispose();
    expect(tensorCount()).toBe(before);
    const fail = compile(
      (x: Tensor): Tensor => {
        variable(x);
        throw new Error('after the variable');
      },
      { backend },
    );
    expect(() => fail(scalar(1))).toThrow('after the variable');
    expect(tensorCount()).toBe(before);
  });

  it('gives out a variable as a plain tensor', async () => {
    before = tensorCount();
    const make = compile((x: Tensor) => variable(x, true, 'given out'), { backend });
    const first = make(scalar(1));
    const second = make(scalar(2));
    expect('assign' in first).toBe(false);
    expect(toNested(await read(first))).toBe(1);
    expect(toNested(await read(second))).toBe(2);
    expect(tensorCount()).toBe(before);
  });

  it('refuses an output that was disposed inside', async () => {
    before = tensorCount();
    const f = compile(
      (x: Tensor) => {
        const y = neg(x);
        y.dispose();
        return { y };
      },
      { backend, name: 'disposing' },
    );
    await expectError(() => f(scalar(1)), 'TENSOR_CONSUMED', 'disposing', 'output y');
    expect(tensorCount()).toBe(before);
  });
});
