import {
  add,
  engine,
  mul,
  registerKernel,
  sum,
  type Tensor,
  type TensorInfo,
  grads as tfGrads,
  scalar as tfScalar,
  unregisterKernel,
} from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  type Backend,
  compile,
  defineOp,
  fromNested,
  type OpDefinition,
  read,
  reference,
  scalar,
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

/** A product, whose gradient is deliberately not that of a product: 10·dy and 100·dy. */
const withGradient: OpDefinition<Pair, { readonly scale: number }> = {
  name: 'TestProduct',
  reference: ({ a, b }, { scale }) => mul(mul(a, b), scale),
  gradient: (dy) => ({ a: mul(dy, 10), b: mul(dy, 100) }),
};
const withoutGradient: OpDefinition<Pair, { readonly scale: number }> = {
  name: 'TestProduct',
  reference: withGradient.reference,
};
const onHost: OpDefinition<{ readonly a: Tensor }, Record<string, never>> = {
  name: 'TestHost',
  host: ({ a }) => ({
    dtype: 'float32',
    shape: a.shape,
    data: Float32Array.from(a.data as Float32Array, (x) => x + 1),
  }),
};

let kernelCalls = 0;

/** A kernel that gives something else than the reference, to tell the two apart. */
function installKernel(name: string, value: number): void {
  registerKernel({
    kernelName: name,
    backendName: 'cpu',
    kernelFunc: ({ inputs }) => {
      kernelCalls++;
      const { shape, dtype } = inputs.a as TensorInfo;
      const values = new Float32Array(shape.reduce((n, m) => n * m, 1)).fill(value);
      return engine().makeTensor(values, shape, dtype);
    },
  });
}

afterEach(() => {
  for (const name of ['TestProduct', 'TestHost']) {
    try {
      unregisterKernel(name, 'cpu');
    } catch {
      // It was not installed by this test.
    }
  }
  kernelCalls = 0;
});

/** Value and both gradients of Σ op(a, b) at a = [1, 2], b = [3, 4]. */
async function evaluate(definition: OpDefinition<Pair, { readonly scale: number }>) {
  const op = defineOp(definition);
  const f = compile((p: Pair) => valueAndGrad((q: Pair) => sum(op(q, { scale: 2 })))(p), { backend });
  const before = tensorCount();
  const { value, grads } = await read(f({ a: fromNested([1, 2]), b: fromNested([3, 4]) }));
  expect(tensorCount()).toBe(before);
  return { value: toNested(value), a: toNested(grads.a), b: toNested(grads.b) };
}

describe('defineOp', () => {
  it('runs the reference, with the gradient that was given', async () => {
    expect(await evaluate(withGradient)).toEqual({ value: 22, a: [10, 10], b: [100, 100] });
  });

  it("runs a backend's kernel, with the same gradient", async () => {
    installKernel('TestProduct', 5);
    expect(await evaluate(withGradient)).toEqual({ value: 10, a: [10, 10], b: [100, 100] });
    expect(kernelCalls).toBe(1);
  });

  it('differentiates through the reference where there is no gradient', async () => {
    expect(await evaluate(withoutGradient)).toEqual({ value: 22, a: [6, 8], b: [2, 4] });
  });

  it('differentiates through the reference where there is a kernel without a gradient', async () => {
    installKernel('TestProduct', 5);
    expect(await evaluate(withoutGradient)).toEqual({ value: 22, a: [6, 8], b: [2, 4] });
    const op = defineOp(withoutGradient);
    const plain = compile((a: Tensor) => op({ a, b: a }, { scale: 1 }), { backend });
    expect(toNested(await read(plain(fromNested([1, 1]))))).toEqual([5, 5]);
  });

  it('takes a missing gradient for zeros', async () => {
    const half = { ...withGradient, gradient: (dy: Tensor) => ({ b: dy }) };
    expect(await evaluate(half)).toEqual({ value: 22, a: [0, 0], b: [1, 1] });
  });

  it('gives each input a gradient of its own, where dy itself is returned', async () => {
    const same = { ...withGradient, gradient: (dy: Tensor) => ({ a: dy, b: dy }) };
    expect(await evaluate(same)).toEqual({ value: 22, a: [1, 1], b: [1, 1] });
    // Also where `a` gets another contribution, which makes tfjs free its first one.
    const op = defineOp(same);
    const f = compile((p: Pair) => valueAndGrad((q: Pair) => sum(add(op(q, { scale: 1 }), q.a)))(p), {
      backend,
    });
    const { grads } = await read(f({ a: fromNested([1, 2]), b: fromNested([3, 4]) }));
    expect(toNested(grads.a)).toEqual([2, 2]);
    expect(toNested(grads.b)).toEqual([1, 1]);
  });

  it('hands the gradient its inputs and its output', async () => {
    const saved: OpDefinition<Pair, { readonly scale: number }> = {
      ...withGradient,
      gradient: (dy, { inputs, output }, { scale }) => ({
        a: mul(dy, output),
        b: mul(dy, mul(inputs.a, scale)),
      }),
    };
    expect(await evaluate(saved)).toEqual({ value: 22, a: [6, 16], b: [2, 4] });
  });

  it('survives a reference that returns its input', async () => {
    const passing: OpDefinition<Pair, { readonly scale: number }> = {
      name: 'TestProduct',
      reference: ({ a }) => a,
      gradient: (dy) => ({ a: mul(dy, 7) }),
    };
    expect(await evaluate(passing)).toEqual({ value: 3, a: [7, 7], b: [0, 0] });
  });

  it('differentiates with tfjs alone, outside of any scope of ours', () => {
    const op = defineOp(withGradient);
    const [a, b] = tfGrads((x, y) => sum(op({ a: x, b: y }, { scale: 1 })))([tfScalar(2), tfScalar(3)]);
    expect([a.dataSync()[0], b.dataSync()[0]]).toEqual([10, 100]);
  });
});

describe('host ops', () => {
  const op = defineOp(onHost);

  it('see uploaded arguments, also through reshapes and clones', async () => {
    const f = compile((a: Tensor) => op({ a: a.clone() }, {}), { backend });
    expect(toNested(await read(f(fromNested([1, 2]))))).toEqual([2, 3]);
  });

  it('see computed values', async () => {
    const f = compile((a: Tensor) => op({ a: mul(a, 10) }, {}), { backend });
    expect(toNested(await read(f(fromNested([1, 2]))))).toEqual([11, 21]);
  });

  it.each([false, true])('are constants to the gradient (with a kernel: %s)', async (kernel) => {
    if (kernel) installKernel('TestHost', 5);
    const f = compile(
      (x: Tensor) => valueAndGrad((p: Tensor) => add(mul(p, 3), op({ a: p }, {})) as Tensor)(x),
      { backend },
    );
    const before = tensorCount();
    const { value, grads } = await read(f(scalar(2)));
    expect(toNested(value)).toBe(kernel ? 11 : 9);
    expect(toNested(grads)).toBe(3);
    expect(tensorCount()).toBe(before);
  });
});

it('reference is what the op means, whatever kernels there are', async () => {
  installKernel('TestProduct', 5);
  const f = compile((p: Pair) => reference(withGradient, p, { scale: 1 }), { backend });
  expect(toNested(await read(f({ a: fromNested([2]), b: fromNested([3]) })))).toEqual([6]);
  expect(kernelCalls).toBe(0);
});
