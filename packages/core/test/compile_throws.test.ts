import {
  add,
  customGrad,
  engine,
  getGradient,
  matMul,
  mul,
  neg,
  registerGradient,
  relu,
  sum,
  type Tensor,
  type Tensor2D,
  grad as tfGrad,
  unregisterGradient,
} from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  type Backend,
  compile,
  createKey,
  fromNested,
  read,
  scalar,
  tensorCount,
  toNested,
  upload,
  valueAndGrad,
} from '../src/index.js';
import { cpu, expectError } from './support.js';

let backend: Backend;
beforeAll(async () => {
  backend = await cpu();
});

type Weights = { readonly w: Tensor; readonly b: Tensor };
const network = (p: Weights, x: Tensor): Tensor =>
  sum(relu(add(matMul(x as Tensor2D, p.w as Tensor2D), p.b)));
const differentiate = valueAndGrad(network);

class Expected extends Error {}
const fail = (): never => {
  throw new Expected('on purpose');
};

/** Its forward pass computes and saves before it throws; with `late`, its backward pass does. */
const failing = (late: boolean) =>
  customGrad((x, save) => {
    const y = mul(x as Tensor, 2);
    (save as (tensors: Tensor[]) => void)([x as Tensor, y]);
    if (!late) fail();
    return {
      value: y,
      gradFunc: (dy) => {
        mul(dy, 3);
        return fail();
      },
    };
  });

/** Each throws somewhere in the middle of a step; the parameters are donated. */
const steps: { readonly [name: string]: (p: Weights, x: Tensor) => { p: Weights; value: Tensor } } = {
  'in the forward pass': (p, x) => {
    network(p, x);
    return fail();
  },
  'after a gradient': (p, x) => {
    differentiate(p, x);
    return fail();
  },
  'in what is differentiated': (p, x) => {
    valueAndGrad((q: Weights) => {
      network(q, x);
      return fail();
    })(p);
    return fail();
  },
  'in the aux of what is differentiated': (p, x) => {
    valueAndGrad((q: Weights) => [network(q, x), { bad: 3 as unknown as Tensor }] as const, { aux: true })(p);
    return fail();
  },
  'in a custom gradient, after saving': (p, x) => {
    valueAndGrad((q: Weights) => failing(false)(network(q, x)))(p);
    return fail();
  },
  "in a custom gradient's backward pass": (p, x) => {
    valueAndGrad((q: Weights) => failing(true)(network(q, x)))(p);
    return fail();
  },
  'in a second-order gradient': (p, x) => {
    valueAndGrad((q: Weights) => {
      const { grads } = differentiate(q, x);
      valueAndGrad((r: Weights) => failing(true)(mul(network(r, x), sum(grads.w))))(q);
      return network(q, x);
    })(p);
    return fail();
  },
  'in a nested compiled function': (p, x) => {
    const inner = compile(
      (q: Weights) => {
        network(q, x);
        return fail();
      },
      { backend },
    );
    inner(p);
    return fail();
  },
  'in a nested compiled function under a gradient': (p, x) => {
    const inner = compile((q: Weights) => failing(true)(network(q, x)), { backend });
    valueAndGrad((q: Weights) => inner(q))(p);
    return fail();
  },
  "in tfjs's own gradient": (p, x) => {
    tfGrad((w) => failing(true)(network({ ...p, w }, x)))(p.w);
    return fail();
  },
  'for the shapes of a kernel': (p, x) => ({ p, value: matMul(x as Tensor2D, x as Tensor2D) }),
  'for its output': (p, x) => ({ p, value: [network(p, x), 'text'] as unknown as Tensor }),
};

describe('a throw leaves the tensor count and donated inputs as they were', () => {
  let params: Weights;
  let x: Tensor;
  let before: number;
  const good = () =>
    compile((p: Weights, input: Tensor) => ({ p, ...differentiate(p, input) }), { backend, donate: [0] });

  beforeEach(() => {
    before = tensorCount();
    params = upload({ w: createKey(1).normal([2, 3]), b: createKey(2).normal([3]) }, backend);
    x = upload(fromNested([[1, 2]]), backend);
  });

  afterEach(async () => {
    // Nothing stale is left: the next step is right, twice.
    const step = good();
    const { p, ...first } = step(params, x);
    const { p: q, ...second } = step(p, x);
    expect(await read(first)).toEqual(await read(second));
    await read([q.w, q.b, x]);
    expect(tensorCount()).toBe(before);
  });

  it.each(Object.keys(steps))('%s', async (name) => {
    const step = compile(steps[name], { backend, donate: [0] });
    for (let i = 0; i < 2; i++) {
      expect(() => step(params, x)).toThrow(/on purpose|a tensor|matMul|of tensors as outputs/);
      expect(tensorCount()).toBe(before + 3);
      expect(engine().state.activeTape ?? null).toBeNull();
      expect(engine().state.gradientDepth).toBe(0);
      expect(engine().state.kernelDepth).toBe(0);
      expect(engine().state.scopeStack).toHaveLength(0);
      expect(
        Object.keys(engine()).filter((key) =>
          ['keep', 'runKernel', 'makeVariable', 'addTapeNode'].includes(key),
        ),
      ).toEqual([]);
    }
    expect([params.w, params.b, x].map((tensor) => tensor.isDisposed)).toEqual([false, false, false]);
    expect(step.explain().calls).toBe(0);
  });

  it('in a gradient that is registered with tfjs', () => {
    const real = getGradient('Relu');
    unregisterGradient('Relu');
    registerGradient({ ...real, gradFunc: fail });
    try {
      expect(() => good()(params, x)).toThrow(Expected);
      expect(tensorCount()).toBe(before + 3);
    } finally {
      unregisterGradient('Relu');
      registerGradient(real);
    }
  });

  it('in the check of arguments', async () => {
    const step = good();
    const bad = { ...params, b: 3 as unknown as Tensor };
    await expectError(() => step(bad, x), 'INVALID_ARGUMENT', 'argument 1, b', 'number');
    await expectError(
      () => step(params, undefined as unknown as Tensor),
      'INVALID_ARGUMENT',
      'argument 2',
      'undefined',
    );
    await expectError(
      () => step(params, { dtype: 'float64', shape: [1], data: new Float64Array(1) }),
      'DTYPE_MISMATCH',
      'argument 2',
      'float64',
      "cast(array, 'float32')",
    );
    await expectError(
      () => step(params, { dtype: 'float32', shape: [1, 2], data: new Float32Array(3) }),
      'SHAPE_MISMATCH',
      'argument 2',
      '[1, 2]',
    );
    expect(tensorCount()).toBe(before + 3);
  });

  it('caught inside the step, which then goes on', async () => {
    const step = compile(
      (p: Weights, input: Tensor) => {
        try {
          valueAndGrad((q: Weights) => failing(true)(network(q, input)))(p);
        } catch (error) {
          if (!(error instanceof Expected)) throw error;
        }
        return differentiate(p, input);
      },
      { backend },
    );
    const plain = compile((p: Weights, input: Tensor) => differentiate(p, input), { backend });
    expect(await read(step(params, x))).toEqual(await read(plain(params, x)));
  });
});

it('outside of compile, valueAndGrad leaves nothing behind when it throws', () => {
  const before = tensorCount();
  const p = upload(scalar(1), backend);
  for (const late of [false, true]) {
    expect(() => valueAndGrad((q: Tensor) => failing(late)(neg(q)))(p)).toThrow(Expected);
    expect(tensorCount()).toBe(before + 1);
    expect(engine().state.activeTape ?? null).toBeNull();
  }
  p.dispose();
});

it('a first call that throws does not stop the next from being checked', async () => {
  const outside = upload(scalar(1), backend);
  let broken = true;
  const f = compile((x: Tensor) => (broken ? fail() : add(x, outside)), { backend });
  expect(() => f(scalar(1))).toThrow(Expected);
  broken = false;
  await expectError(() => f(scalar(1)), 'IMPURE_FUNCTION');
  outside.dispose();
  expect(toNested(await read(compile((x: Tensor) => neg(x), { backend })(scalar(1))))).toBe(-1);
});
