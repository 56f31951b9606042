import {
  add,
  batchNorm,
  clone,
  concat,
  mul,
  neg,
  stack,
  sum,
  type Tensor,
  type Tensor4D,
  scalar as tfScalar,
  variable,
} from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  type Backend,
  compile,
  fromNested,
  read,
  release,
  scalar,
  type Tree,
  tensorCount,
  toNested,
  upload,
  valueAndGrad,
} from '../src/index.js';
import { cpu, expectError } from './support.js';

let backend: Backend;
let before: number;
const rejections: unknown[] = [];
const onRejection = (reason: unknown): void => void rejections.push(reason);

beforeAll(async () => {
  backend = await cpu();
});
beforeEach(() => {
  before = tensorCount();
  rejections.length = 0;
  process.on('unhandledRejection', onRejection);
});
afterEach(async () => {
  // Unhandled rejections are reported after the microtasks.
  await new Promise((resolve) => setTimeout(resolve, 5));
  process.off('unhandledRejection', onRejection);
  expect(rejections).toEqual([]);
  expect(tensorCount()).toBe(before);
});

describe('a function that returns a Promise', () => {
  it.each([
    ['resolved', async (x: Tensor) => x],
    ['rejected', async () => Promise.reject(new Error('nobody waits for this'))],
    ['inside a tree', (x: Tensor) => ({ x, late: [Promise.reject(new Error('nobody waits for this'))] })],
  ] as const)('%s is refused, and rejects nowhere', async (_, f) => {
    const step = compile(f as unknown as (x: Tensor) => Tensor, { backend, name: 'step' });
    await expectError(() => step(scalar(1)), 'IMPURE_FUNCTION', 'step', 'Promise', 'await read(step(');
  });

  it('is refused where it is differentiated', async () => {
    const late = async (): Promise<Tensor> => Promise.reject(new Error('nobody waits for this'));
    const step = compile((x: Tensor) => valueAndGrad(late as unknown as (p: Tensor) => Tensor)(x), {
      backend,
    });
    await expectError(() => step(scalar(1)), 'IMPURE_FUNCTION', 'Promise');
  });
});

describe('outputs that are no tensors', () => {
  it.each([
    ['undefined', undefined],
    ['number', 3],
    ['null', null],
    ['an NdArray', scalar(1)],
    ['function', () => 3],
    ['object', new Map()],
  ])('%s', async (got, value) => {
    const step = compile((x: Tensor) => ({ fine: neg(x), bad: [value] as unknown as Tensor[] }), { backend });
    await expectError(() => step(scalar(1)), 'IMPURE_FUNCTION', 'output bad.0', got);
  });

  it('at the root', async () => {
    const step = compile((() => undefined) as unknown as () => Tensor, { backend, name: 'forgot' });
    await expectError(() => step(), 'IMPURE_FUNCTION', 'forgot: expected', 'undefined');
  });
});

describe('captured tensors', () => {
  let outside: Tensor;
  beforeEach(() => {
    outside = upload(fromNested([1, 2]), backend);
  });
  afterEach(() => release(outside));

  const uses: { readonly [how: string]: (x: Tensor, captured: Tensor) => Tree<Tensor> } = {
    'as an input of a kernel': (x, captured) => add(x, captured),
    'in a list of inputs': (x, captured) => concat([x, captured]),
    'in a list of inputs of equal shapes': (x, captured) => stack([x, captured]),
    'as an output': (x, captured) => [x, captured],
    'as a clone': (_, captured) => clone(captured),
    'under a gradient': (x, captured) => valueAndGrad((p: Tensor) => sum(mul(p, captured)))(x),
    'as the value that is differentiated': (x, captured) => valueAndGrad(() => sum(captured))(x),
    'in a compiled function inside': (x, captured) =>
      compile((y: Tensor) => add(y, captured), { backend })(x),
  };
  it.each(Object.keys(uses))('%s', async (how) => {
    const step = compile((x: Tensor) => uses[how](x, outside), { backend, name: 'step' });
    const error = await expectError(
      () => step(fromNested([3, 4])),
      'IMPURE_FUNCTION',
      'step',
      '[2]',
      'as an argument',
    );
    expect(error.where).toBe('step');
    expect(outside.isDisposed).toBe(false);
  });

  it('that are variables', async () => {
    const weight = variable(tfScalar(2), true, 'captured');
    const step = compile((x: Tensor) => mul(x, weight), { backend });
    await expectError(() => step(scalar(1)), 'IMPURE_FUNCTION');
    weight.dispose();
    before++; // tfScalar(2), which nobody frees.
  });

  it('are not what the function makes, nor what it is given', async () => {
    const step = compile((x: Tensor, y: Tensor) => concat([mul(x, tfScalar(2)), y]), { backend });
    expect(toNested(await read(step(outside, fromNested([5]))))).toEqual([2, 4, 5]);
    expect(toNested(await read(step(fromNested([1]), outside)))).toEqual([2, 1, 2]);
  });

  it('are looked for among absent inputs, too', async () => {
    // Neither offset nor scale: undefined among the kernel's inputs.
    const step = compile(
      (x: Tensor, mean: Tensor, variance: Tensor) =>
        batchNorm(x as Tensor4D, mean as never, variance as never),
      { backend },
    );
    const args = [fromNested([[[[3]]]]), fromNested([1]), fromNested([1 - 0.001])] as const;
    expect(toNested(await read(step(...args)))).toEqual([[[[2]]]]);
  });
});
