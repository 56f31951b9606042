import { expectClose, numericalGradient } from '@tenon-ml/testkit';
import {
  add,
  argMax,
  cast,
  clone,
  concat,
  customGrad,
  gather,
  keep,
  matMul,
  memory,
  mul,
  neg,
  square,
  sub,
  sum,
  type Tensor,
  type Tensor2D,
  tensor,
  scalar as tfScalar,
  tidy,
  where,
} from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  type Backend,
  compile,
  createKey,
  type Feed,
  fromNested,
  type NdArray,
  read,
  release,
  scalar,
  type Tree,
  tensorCount,
  toNested,
  treeMap,
  upload,
  valueAndGrad,
  zeros,
} from '../src/index.js';
import { cpu, expectError } from './support.js';

let backend: Backend;
beforeAll(async () => {
  backend = await cpu();
});

/** Compiles and runs once, with nested arrays for values; nothing is left behind. */
async function run<P extends Tree<Tensor>, Out extends Tree<Tensor>>(
  f: (params: P) => Out,
  params: Tree<NdArray>,
): Promise<unknown> {
  const before = tensorCount();
  const compiled = compile(f as unknown as (params: Tree<Tensor>) => Tree<Tensor>, { backend });
  const result = await read(compiled(params as Feed<Tree<Tensor>>));
  expect(tensorCount()).toBe(before);
  return treeMap<NdArray, unknown>(result as Tree<NdArray>, (leaf) => toNested(leaf));
}

describe('valueAndGrad', () => {
  it('gives the value, and a gradient for each leaf of the tree', async () => {
    type P = { a: Tensor; list: readonly [Tensor, { b: Tensor }] };
    const f = valueAndGrad((p: P) => sum(mul(p.a, add(p.list[0], square(p.list[1].b)))));
    const result = await run(f, { a: fromNested([1, 2]), list: [scalar(3), { b: fromNested([4, 5]) }] });
    expect(result).toEqual({
      value: 1 * 19 + 2 * 28,
      grads: { a: [19, 28], list: [3, { b: [8, 20] }] },
    });
  });

  it('gives zeros for what the function does not use', async () => {
    type P = { used: Tensor; unused: Tensor };
    const f = valueAndGrad((p: P) => sum(p.used));
    expect(await run(f, { used: fromNested([1, 2]), unused: zeros([2, 1]) })).toEqual({
      value: 3,
      grads: { used: [1, 1], unused: [[0], [0]] },
    });
    // Nor where the way to the value leads through integers only.
    const indices = valueAndGrad((p: P) => cast(sum(argMax(p.used)), 'float32'));
    expect(await run(indices, { used: fromNested([1, 2]), unused: scalar(1) })).toEqual({
      value: 1,
      grads: { used: [0, 0], unused: 0 },
    });
    expect(
      await run(
        valueAndGrad(() => tfScalar(7)),
        scalar(1),
      ),
    ).toEqual({ value: 7, grads: 0 });
  });

  it('has nothing to differentiate in an empty tree, and still runs', async () => {
    const f = (p: Record<string, Tensor>) =>
      valueAndGrad(() => [tfScalar(7), { extra: tfScalar(8) }] as const, { aux: true })(p);
    expect(await run(f, {})).toEqual({ value: 7, grads: {}, aux: { extra: 8 } });
  });

  it('takes the other arguments as constants, integers and booleans among them', async () => {
    const loss = (p: Tensor, labels: Tensor, mask: Tensor): Tensor =>
      sum(where(mask, gather(p, labels), mul(gather(p, labels), 10)));
    const f = compile((p: Tensor, labels: Tensor, mask: Tensor) => valueAndGrad(loss)(p, labels, mask), {
      backend,
    });
    const { value, grads } = await read(
      f(fromNested([1, 2, 3]), fromNested([2, 0, 2], 'int32'), fromNested([true, false, false])),
    );
    expect([toNested(value), toNested(grads)]).toEqual([3 + 10 + 30, [10, 0, 11]]);
  });

  it('refuses leaves and values that cannot be differentiated', async () => {
    const call = (f: (p: Tensor) => Tensor, p: NdArray) => run(valueAndGrad(f), p);
    await expectError(() => call(sum, fromNested([1], 'int32')), 'DTYPE_MISMATCH', 'int32', 'later argument');
    await expectError(
      () => call(square, fromNested([1, 2])),
      'SHAPE_MISMATCH',
      'scalar',
      'got [2]',
      'weightedMean',
    );
    await expectError(() => call(square, fromNested([1])), 'SHAPE_MISMATCH', 'got [1]');
    await expectError(
      () => call((p) => argMax(p), fromNested([1, 2])),
      'DTYPE_MISMATCH',
      'float32 value',
      'int32',
    );
    await expectError(() => call(() => 3 as unknown as Tensor, scalar(1)), 'SHAPE_MISMATCH', 'number');
    await expectError(
      () => call(() => undefined as unknown as Tensor, scalar(1)),
      'SHAPE_MISMATCH',
      'undefined',
    );
    const nested = valueAndGrad((p: { a: { b: Tensor } }) => sum(p.a.b));
    await expectError(() => run(nested, { a: { b: fromNested([true]) } }), 'DTYPE_MISMATCH', 'a.b: ', 'bool');
    await expectError(
      () => valueAndGrad((p: Tensor) => sum(p))(scalar(1) as unknown as Tensor),
      'INVALID_ARGUMENT',
      'NdArray',
      'upload()',
    );
  });

  it('may give out a parameter as the value', async () => {
    const step = compile((p: Tensor) => ({ p, ...valueAndGrad((q: Tensor) => q)(p) }), { backend });
    const p = upload(scalar(5), backend);
    const before = tensorCount();
    for (let i = 0; i < 2; i++) {
      const result = await read(step(p));
      expect([result.p, result.value, result.grads].map(toNested)).toEqual([5, 5, 1]);
      expect(tensorCount()).toBe(before);
    }
    const eager = valueAndGrad((q: Tensor) => q)(p);
    expect(eager.value).not.toBe(p);
    release([eager.value, eager.grads]);
    expect(p.isDisposed).toBe(false);
    release(p);
  });

  it('gives a tensor that stands at two leaves a gradient at each', async () => {
    type P = { a: Tensor; b: Tensor };
    const f = compile(
      (t: Tensor, u: Tensor) => valueAndGrad((p: P) => sum(mul(p.a, mul(p.b, u))))({ a: t, b: t }),
      { backend },
    );
    const { grads } = await read(f(fromNested([2, 3]), fromNested([10, 100])));
    // Not 2·t·u, which is the derivative along both.
    expect([toNested(grads.a), toNested(grads.b)]).toEqual([
      [20, 300],
      [20, 300],
    ]);
  });
});

describe('aux', () => {
  it('hands trees through, of any dtype, inputs and the value among them', async () => {
    const f = (p: { w: Tensor; x: Tensor }) =>
      valueAndGrad(
        (q: { w: Tensor; x: Tensor }) => {
          const logits = mul(q.w, q.x);
          const value = sum(logits);
          return [
            value,
            { logits, twice: [logits, value], input: q.x, hits: argMax(logits), mask: cast(logits, 'bool') },
          ] as const;
        },
        { aux: true },
      )(p);
    expect(await run(f, { w: fromNested([2, 0]), x: fromNested([3, 4]) })).toEqual({
      value: 6,
      grads: { w: [3, 4], x: [2, 0] },
      aux: { logits: [6, 0], twice: [[6, 0], 6], input: [3, 4], hits: 0, mask: [true, false] },
    });
  });

  it('may be a single tensor, and the value itself', async () => {
    const f = (p: Tensor) =>
      valueAndGrad(
        (q: Tensor) => {
          const value = square(q);
          return [value, value] as const;
        },
        { aux: true },
      )(p);
    expect(await run(f, scalar(3))).toEqual({ value: 9, grads: 6, aux: 9 });
  });

  it('is no output without the option', async () => {
    const result = await run((p: Tensor) => valueAndGrad((q: Tensor) => square(q))(p), scalar(3));
    expect(Object.keys(result as object)).toEqual(['value', 'grads']);
  });

  it('refuses what is no tensor', async () => {
    const f = (p: Tensor) =>
      valueAndGrad((q: Tensor) => [square(q), { n: 3 as unknown as Tensor }] as const, { aux: true })(p);
    await expectError(() => run(f, scalar(1)), 'INVALID_ARGUMENT', 'aux n', 'number');
  });
});

describe('second order', () => {
  const x0 = [0.3, -0.7, 1.1];

  it('differentiates a gradient: matMul, where', async () => {
    const weights = createKey(1).normal([3, 3]);
    const inner = (x: Tensor, w: Tensor): Tensor => {
      const y = matMul(w as Tensor2D, x as Tensor2D);
      return sum(mul(square(y), y));
    };
    const f = compile(
      (x: Tensor, w: Tensor, v: Tensor) =>
        valueAndGrad((p: Tensor) => sum(mul(valueAndGrad(inner)(p, w).grads, v)))(x),
      { backend },
    );
    const v = [1, -2, 0.5];
    const column = (values: number[]): NdArray => fromNested(values.map((value) => [value]));
    const before = tensorCount();
    const { value, grads } = await read(f(column(x0), weights, column(v)));
    expect(tensorCount()).toBe(before);
    const w = Array.from(weights.data, Number);
    // ∇ Σ (Wx)³ = 3 Wᵀ(Wx)², along v, in float64.
    const along = (x: ArrayLike<number>): number => {
      const y = [0, 1, 2].map((i) => w[3 * i] * x[0] + w[3 * i + 1] * x[1] + w[3 * i + 2] * x[2]);
      return [0, 1, 2].reduce(
        (acc, j) => acc + v[j] * 3 * [0, 1, 2].reduce((s, i) => s + w[3 * i + j] * y[i] ** 2, 0),
        0,
      );
    };
    expectClose(value, fromNested(along(x0)), { op: 'network' });
    expectClose(Array.from(grads.data, Number), numericalGradient(along, x0), {
      op: 'centralDifference',
      dtype: 'float32',
    });
  });

  it('hands the aux of the inner function to the outer one', async () => {
    const f = (p: Tensor) =>
      valueAndGrad((q: Tensor) => {
        const { value, aux } = valueAndGrad(
          (r: Tensor) => [square(r), { cube: mul(square(r), r) }] as const,
          { aux: true },
        )(q);
        return add(value, aux.cube);
      })(p);
    expect(await run(f, scalar(2))).toEqual({ value: 4 + 8, grads: 4 + 12 });
  });
});

describe('custom gradients of tfjs', () => {
  const sumOfBoth = (gradFunc: (dy: Tensor, saved: Tensor[]) => Tensor[]) =>
    customGrad((a, b, save) => {
      (save as unknown as (tensors: Tensor[]) => void)([a as Tensor, b as Tensor]);
      return { value: add(a as Tensor, b as Tensor), gradFunc: (dy, saved) => gradFunc(dy as Tensor, saved) };
    });
  type P = { a: Tensor; b: Tensor };

  it('may return dy for each of their inputs', async () => {
    const both = sumOfBoth((dy) => [dy, dy]);
    // a and b have other gradients as well, which tfjs adds up, freeing what it added.
    const f = valueAndGrad((p: P) => sum(add(add(both(p.a, p.b), mul(p.a, 2)), mul(p.b, 3))));
    expect(await run(f, { a: fromNested([1]), b: fromNested([2]) })).toEqual({
      value: 11,
      grads: { a: [3], b: [4] },
    });
  });

  it('may return what they saved', async () => {
    const f = valueAndGrad((p: P) => sum(sumOfBoth((_, [a, b]) => [b, a])(p.a, p.b)));
    expect(await run(f, { a: fromNested([1]), b: fromNested([2]) })).toEqual({
      value: 3,
      grads: { a: [2], b: [1] },
    });
  });

  it('are not taken for a kernel of the name of a compiled function', async () => {
    const both = sumOfBoth((dy) => [mul(dy, 5), mul(dy, 7)]);
    const f = compile((p: P) => valueAndGrad((q: P) => sum(both(q.a, q.b)))(p), { backend, name: 'Relu' });
    const { grads } = await read(f({ a: fromNested([1]), b: fromNested([2]) }));
    expect([toNested(grads.a), toNested(grads.b)]).toEqual([[5], [7]]);
  });
});

describe('outside of compile', () => {
  const f = valueAndGrad(
    (p: { w: Tensor; unused: Tensor }) => {
      const y = mul(keep(square(p.w)), 2);
      return [sum(y), { y }] as const;
    },
    { aux: true },
  );

  it('leaks nothing: the caller frees what it got', async () => {
    const before = tensorCount();
    const p = upload({ w: fromNested([1, 2]), unused: zeros([3]) }, backend);
    const result = f(p);
    expect(tensorCount()).toBe(before + 2 + 4);
    const { value, grads, aux } = await read(result);
    expect([value, grads.w, grads.unused, aux.y].map(toNested)).toEqual([10, [4, 8], [0, 0, 0], [2, 8]]);
    release(p);
    expect(tensorCount()).toBe(before);
  });

  it('belongs to the tidy around it', () => {
    const before = memory().numTensors;
    const p = upload({ w: fromNested([1, 2]), unused: zeros([3]) }, backend);
    const value = tidy(() => {
      const result = f(p);
      expect(tensorCount()).toBe(before + 2 + 4);
      return result.value;
    });
    expect(tensorCount()).toBe(before + 2 + 1);
    expect(value.dataSync()[0]).toBe(10);
    release([value, p.w, p.unused]);
    expect(tensorCount()).toBe(before);
  });

  it('takes plain tensors of tfjs', () => {
    const before = tensorCount();
    const w = tensor([1, 2]);
    const { value, grads } = valueAndGrad((p: Tensor) => sum(concat([p, neg(sub(p, clone(w)))])))(w);
    expect([value.dataSync()[0], ...grads.dataSync()]).toEqual([3, 1, 1]);
    release([value, grads, w]);
    expect(tensorCount()).toBe(before);
  });
});
