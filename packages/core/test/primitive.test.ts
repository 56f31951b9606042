import { expectClose } from '@tenon-ml/testkit';
import {
  add,
  engine,
  exp,
  mul,
  neg,
  registerKernel,
  sigmoid,
  softmax,
  square,
  sub,
  sum,
  type Tensor,
  type TensorInfo,
  tanh,
  unregisterKernel,
} from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  type Backend,
  compile,
  defineOp,
  definePrimitive,
  fromNested,
  type PrimitiveDefinition,
  read,
  tensorCount,
  toNested,
  valueAndGrad,
} from '../src/index.js';
import { cpu } from './support.js';

let backend: Backend;
beforeAll(async () => {
  backend = await cpu();
});

type Pair = { readonly a: Tensor; readonly b: Tensor };
const definition: PrimitiveDefinition<Pair, { readonly scale: number }> = {
  name: 'TestSumAndProduct',
  reference: ({ a, b }, { scale }) => [mul(add(a, b), scale), mul(mul(a, b), scale)],
};
const primitive = definePrimitive(definition);

let kernelCalls = 0;
/** A kernel whose outputs, one or several, are constants, to tell it from the reference. */
function installKernel(...values: number[]): void {
  registerKernel({
    kernelName: definition.name,
    backendName: 'cpu',
    kernelFunc: ({ inputs }) => {
      kernelCalls++;
      const { shape, dtype } = inputs.a as TensorInfo;
      const size = shape.reduce((n, m) => n * m, 1);
      const outputs = values.map((value) =>
        engine().makeTensor(new Float32Array(size).fill(value), shape, dtype),
      );
      return outputs.length === 1 ? outputs[0] : outputs;
    },
  });
}

afterEach(() => {
  if (kernelCalls > 0) unregisterKernel(definition.name, 'cpu');
  kernelCalls = 0;
});

const given = { a: fromNested([1, 2]), b: fromNested([3, 4]) };

describe('definePrimitive', () => {
  const run = async (): Promise<unknown> => {
    const f = compile((p: Pair) => primitive(p, { scale: 2 }), { backend });
    const before = tensorCount();
    const outputs = await read(f(given));
    expect(tensorCount()).toBe(before);
    return outputs.map(toNested);
  };

  it('runs the reference, and frees what that made in between', async () => {
    expect(await run()).toEqual([
      [8, 12],
      [6, 16],
    ]);
    const f = compile(
      (p: Pair) => {
        const before = tensorCount();
        const outputs = primitive(p, { scale: 2 });
        expect(tensorCount()).toBe(before + 2);
        return outputs;
      },
      { backend },
    );
    await read(f(given));
  });

  it("runs a backend's kernel, of one output too", async () => {
    installKernel(5, 6);
    expect(await run()).toEqual([
      [5, 5],
      [6, 6],
    ]);
    unregisterKernel(definition.name, 'cpu');
    installKernel(7);
    expect(await run()).toEqual([[7, 7]]);
    expect(kernelCalls).toBe(2);
  });

  it('runs the reference under a gradient tape, kernel or not', async () => {
    installKernel(5, 6);
    const f = compile(
      (p: Pair) =>
        valueAndGrad((q: Pair) => {
          const [total, product] = primitive(q, { scale: 2 });
          return sum(add(total, product));
        })(p),
      { backend },
    );
    const { value, grads } = await read(f(given));
    expect([toNested(value), toNested(grads.a), toNested(grads.b)]).toEqual([42, [8, 10], [4, 6]]);
    expect(kernelCalls).toBe(0);
    await run();
    expect(kernelCalls).toBe(1);
  });

  it("runs the kernel in an op's gradient, and its reference in the gradient of that", async () => {
    const op = defineOp<Pair, { readonly scale: number }>({
      name: 'TestOp',
      reference: ({ a, b }) => mul(a, mul(a, b)),
      gradient: (dy, { inputs: { a, b } }) => ({ a: mul(dy, primitive({ a, b }, { scale: 2 })[1]) }),
    });
    installKernel(5, 6);
    const first = (p: Tensor, b: Tensor) =>
      valueAndGrad((a: Tensor) => sum(op({ a, b }, { scale: 2 })))(p).grads;
    const once = compile(first, { backend });
    expect(toNested(await read(once(given.a, given.b)))).toEqual([6, 6]);
    expect(kernelCalls).toBe(1);
    const twice = compile((p: Tensor, b: Tensor) => valueAndGrad((a: Tensor) => sum(first(a, b)))(p).grads, {
      backend,
    });
    expect(toNested(await read(twice(given.a, given.b)))).toEqual([6, 8]);
    expect(kernelCalls).toBe(1);
  });

  it('gives outputs that are freed one by one: none is an input, or another', async () => {
    const passing = definePrimitive<Pair, Record<string, never>>({
      name: 'TestPassing',
      reference: ({ a }) => {
        const negative = neg(a);
        return [a, negative, negative, a];
      },
    });
    const f = compile(
      (p: Pair) => {
        const outputs = passing(p, {});
        expect(new Set([...outputs, p.a]).size).toBe(5);
        outputs[0].dispose();
        outputs[1].dispose();
        return [outputs[2], outputs[3], p.a];
      },
      { backend },
    );
    expect((await read(f(given))).map(toNested)).toEqual([
      [-1, -2],
      [1, 2],
      [1, 2],
    ]);
  });
});

describe('gradients of gradients', () => {
  const ownTanh = defineOp<{ readonly x: Tensor }, Record<string, never>>({
    name: 'TestTanh',
    reference: ({ x }) => tanh(x),
    gradient: (dy, { output }) => ({ x: mul(dy, sub(1, square(output))) }),
  });
  const points = [-1.5, 0.25, 2];
  const tanhBend = (x: number): number => -2 * Math.tanh(x) * (1 - Math.tanh(x) ** 2);
  const logistic = (x: number): number => 1 / (1 + Math.exp(-x));
  const logisticBend = (x: number): number => logistic(x) * (1 - logistic(x)) * (1 - 2 * logistic(x));

  it.each<[string, (x: Tensor) => Tensor, (x: number) => number]>([
    ['of tanh', tanh, tanhBend],
    ['of sigmoid', sigmoid, logisticBend],
    ['of exp', exp, Math.exp],
    ['of an op of ours', (x) => ownTanh({ x }, {}), tanhBend],
    [
      'of a chain',
      (x) => exp(mul(exp(x), 0.5)),
      (x) => {
        const inner = Math.exp(x) / 2;
        return Math.exp(inner) * inner * (1 + inner);
      },
    ],
  ])('follow what an operation saved of its output: %s', async (_, f, bend) => {
    const second = compile(
      (x: Tensor) =>
        valueAndGrad((p: Tensor) => sum(valueAndGrad((q: Tensor) => sum(f(q)))(p).grads))(x).grads,
      { backend },
    );
    const before = tensorCount();
    expectClose(await read(second(fromNested(points))), points.map(bend), { op: 'transcendental' });
    expect(tensorCount()).toBe(before);
  });

  it('of softmax, whose output is all that it saves', async () => {
    const weights = fromNested([[1, -2, 0.5]]);
    const second = compile(
      (x: Tensor, w: Tensor) =>
        valueAndGrad((p: Tensor) =>
          sum(mul(valueAndGrad((q: Tensor) => sum(mul(softmax(q), w)))(p).grads, w)),
        )(x).grads,
      { backend },
    );
    const x = [0.3, -1, 0.7];
    const w = [1, -2, 0.5];
    const gradientAlongW = (at: readonly number[]): number => {
      const e = at.map(Math.exp);
      const total = e.reduce((a, b) => a + b, 0);
      const p = e.map((value) => value / total);
      const level = p.reduce((acc, value, i) => acc + value * w[i], 0);
      return p.reduce((acc, value, i) => acc + value * (w[i] - level) * w[i], 0);
    };
    const h = 1e-5;
    const expected = x.map((_, i) => {
      const moved = (by: number): number =>
        gradientAlongW(x.map((value, j) => (j === i ? value + by : value)));
      return (moved(h) - moved(-h)) / (2 * h);
    });
    expectClose(await read(second(fromNested([x]), weights)), fromNested([expected]), {
      op: 'transcendental',
    });
  });
});
