import {
  createKey,
  fromNested,
  type GradientTransform,
  isTenonError,
  type Leaf,
  type NdArray,
  type Params,
  release,
  sameBits,
  scalars,
  type TenonError,
  tensorCount,
  treeEntries,
} from '@tenon-ml/core';
import { add, mul } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  adam,
  addDecayedWeights,
  adjustLearningRate,
  applyUpdates,
  chain,
  clipByGlobalNorm,
  compose,
  momentum,
  optimizer,
  scaleByAdam,
  scaleByLearningRate,
  sgd,
  stepDecay,
} from '../src/index.js';
import { backend, compileUpdate, type DeviceTree, type HostTree, runUpdates } from './run.js';
import { byPath, draw, shapeTrees } from './trees.js';

beforeAll(async () => {
  await backend.init();
});

const params: HostTree = { dense_1: { kernel: fromNested([[1, 2]]), bias: fromNested([3]) } };
const grads: HostTree = { dense_1: { kernel: fromNested([[3, 0]]), bias: fromNested([4]) } };

/** A transform that adds its number: doing two of them in another order gives another result with `times`. */
function plus(value: number): GradientTransform {
  return {
    spec: { transform: 'plus', value },
    init: () => ({}),
    scalars: () => ({ value }),
    update: (updates, state, _params, scalars) => ({
      updates: mapAll(updates, (leaf) => add(leaf, scalars.value)),
      state,
    }),
  };
}

function times(value: number): GradientTransform {
  return {
    spec: { transform: 'times', value },
    init: () => ({}),
    scalars: () => ({ value }),
    update: (updates, state, _params, scalars) => ({
      updates: mapAll(updates, (leaf) => mul(leaf, scalars.value)),
      state,
    }),
  };
}

function mapAll<P>(tree: P, f: (leaf: never) => unknown): P {
  return Object.fromEntries(
    Object.entries(tree as object).map(([name, child]) => [
      name,
      child.dataId ? f(child as never) : mapAll(child as object, f),
    ]),
  ) as P;
}

async function errorOf(f: () => unknown): Promise<TenonError> {
  try {
    await f();
  } catch (error) {
    if (isTenonError(error)) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('names', () => {
  test('parts are named by kind and count, in scalars and in state', () => {
    const chained = chain(clipByGlobalNorm(1), adam({ learningRate: 0.5 }), momentum({ decay: 0.9 }), adam());
    expect(Object.keys(chained.scalars(0))).toEqual([
      'adam_1/rootScale',
      'adam_1/epsilon',
      'adam_1/learningRate',
      'adam_2/rootScale',
      'adam_2/epsilon',
      'adam_2/learningRate',
    ]);
    expect(chained.scalars(0)['adam_1/learningRate']).toBe(0.5);
    expect(chained.scalars(0)['adam_2/learningRate']).toBe(0.001);
    expect(treeEntries(chained.init(params)).map(([path]) => path)).toEqual([
      'adam_1.firstMoment.dense_1.kernel',
      'adam_1.firstMoment.dense_1.bias',
      'adam_1.secondMoment.dense_1.kernel',
      'adam_1.secondMoment.dense_1.bias',
      'momentum_1.velocity.dense_1.kernel',
      'momentum_1.velocity.dense_1.bias',
      'adam_2.firstMoment.dense_1.kernel',
      'adam_2.firstMoment.dense_1.bias',
      'adam_2.secondMoment.dense_1.kernel',
      'adam_2.secondMoment.dense_1.bias',
    ]);
  });

  test('the spec is JSON that says what it is made of', () => {
    const chained = chain(
      clipByGlobalNorm(1),
      sgd({ learningRate: stepDecay({ initial: 1, every: 2, factor: 0.5 }) }),
    );
    const spec = {
      transform: 'chain',
      parts: [
        { transform: 'clipByGlobalNorm', maxNorm: 1 },
        {
          transform: 'sgd',
          learningRate: { schedule: 'stepDecay', initial: 1, every: 2, factor: 0.5 },
          momentum: 0,
          nesterov: false,
          weightDecay: 0,
        },
      ],
    };
    expect(JSON.parse(JSON.stringify(chained.transform.spec))).toEqual(spec);
  });

  test('compose keeps the names of its parts, and refuses two of one', async () => {
    const parts = [
      scaleByAdam({ beta1: 0.9, beta2: 0.99, epsilon: 1e-8, biasCorrection: true }),
      scaleByLearningRate(2),
    ];
    const composed = compose({ transform: 'mine' }, parts);
    expect(composed.spec).toEqual({ transform: 'mine' });
    expect(Object.keys(composed.scalars(0))).toEqual(['rootScale', 'epsilon', 'learningRate']);
    expect(Object.keys(composed.init(params))).toEqual(['firstMoment', 'secondMoment']);
    const rates = await errorOf(() =>
      compose({ transform: 'mine' }, [scaleByLearningRate(1), scaleByLearningRate(1)]),
    );
    expect(rates).toMatchObject({ code: 'INVALID_ARGUMENT', where: 'mine' });
    expect(rates.message).toContain("a scalar called 'learningRate'");
    const states = await errorOf(() =>
      compose({ transform: 'mine' }, [momentum({ decay: 0 }), momentum({ decay: 0 })]),
    );
    expect(states.message).toContain("a state called 'velocity'");
  });

  test('an empty chain is refused', async () => {
    expect(await errorOf(() => chain())).toMatchObject({ code: 'INVALID_ARGUMENT', where: 'chain' });
  });
});

describe('order', () => {
  test('parts run from the first to the last, each with its own scalars', async () => {
    const run = async (...parts: GradientTransform[]) =>
      (await runUpdates(chain(...parts), { w: fromNested([0]) }, [{ w: fromNested([1]) }])).params;
    expect(byPath(await run(plus(2), times(10))).w.data[0]).toBe(30);
    expect(byPath(await run(times(10), plus(2))).w.data[0]).toBe(12);
    expect(byPath(await run(plus(1), times(3), plus(5), times(2))).w.data[0]).toBe(22);
  });

  test('chaining is associative: names, scalars, state and bits', async () => {
    const kinds = fc.constantFrom<() => GradientTransform>(
      () => clipByGlobalNorm(0.7),
      () => momentum({ decay: 0.5 }),
      () => addDecayedWeights(0.1),
      () => adam({ learningRate: 0.1 }).transform,
      () => scaleByLearningRate(0.3),
    );
    await fc.assert(
      fc.asyncProperty(kinds, kinds, kinds, shapeTrees, fc.nat(), async (a, b, c, shapes, seed) => {
        const key = createKey(seed);
        const initial = draw(shapes, key);
        const gradients = [1, 2].map((step) => draw(shapes, key.foldIn(step)));
        const [flat, left, right] = [
          chain(a(), b(), c()),
          chain(chain(a(), b()), c()),
          chain(a(), chain(b(), c())),
        ];
        const expected = byPath((await runUpdates(flat, initial, gradients)) as unknown as HostTree);
        for (const other of [left, right]) {
          expect(other.transform.spec).toEqual(flat.transform.spec);
          expect(other.scalars(3)).toEqual(flat.scalars(3));
          const got = byPath((await runUpdates(other, initial, gradients)) as unknown as HostTree);
          expect(Object.keys(got)).toEqual(Object.keys(expected));
          for (const path of Object.keys(got)) expect(sameBits(got[path], expected[path]), path).toBe(true);
        }
      }),
      { numRuns: 40 },
    );
  });

  test('an optimizer in a chain does there what it does alone', async () => {
    const gradients = [grads, params, grads];
    const alone = await runUpdates(adam({ learningRate: 0.1 }), params, gradients);
    const chained = await runUpdates(
      chain(clipByGlobalNorm(1e9), adam({ learningRate: 0.1 })),
      params,
      gradients,
    );
    expect(chained.params).toEqual(alone.params);
    expect(chained.state).toEqual({ adam_1: alone.state });
  });
});

describe('what does not fit', () => {
  const update = compileUpdate(adam());
  const first = scalars(adam().scalars(0));
  const state = adam().init(params);
  // Without state it is the optimizer itself that has to notice.
  const plain = sgd({ learningRate: 1 });
  const updatePlain = compileUpdate(plain);
  const leaf = (value: NdArray, name = 'bias'): HostTree => ({
    dense_1: { ...(grads.dense_1 as Params<NdArray>), [name]: value },
  });

  test.each([
    [
      'a gradient is missing',
      { dense_1: { kernel: fromNested([[3, 0]]) } },
      'STRUCTURE_MISMATCH',
      'dense_1.bias',
    ],
    ['a gradient too many', leaf(fromNested([1]), 'scale'), 'STRUCTURE_MISMATCH', 'dense_1.scale'],
    ['a node in the place of a leaf', { dense_1: grads }, 'STRUCTURE_MISMATCH', 'dense_1.kernel'],
    ['another shape, even one that broadcasts', leaf(fromNested(4)), 'SHAPE_MISMATCH', 'dense_1.bias'],
    ['integers', leaf(fromNested([4], 'int32')), 'DTYPE_MISMATCH', 'dense_1.bias'],
  ] as const)('%s', async (_, given, code, where) => {
    const count = tensorCount();
    expect(await errorOf(() => update(params, state, given as HostTree, first))).toMatchObject({
      code,
      where,
    });
    const descend = () => updatePlain(params, {}, given as HostTree, scalars(plain.scalars(0)));
    expect(await errorOf(descend)).toMatchObject({ code, where });
    expect(tensorCount()).toBe(count);
  });

  test('parameters of another dtype, at init', async () => {
    const error = await errorOf(() => adam().init({ steps: fromNested([1], 'int32') }));
    expect(error).toMatchObject({ code: 'DTYPE_MISMATCH', where: 'steps', got: 'int32' });
  });

  test('state of other parameters: of another path, of another shape', async () => {
    const other = adam().init({ dense_1: { kernel: fromNested([[0, 0]]) } });
    const missing = await errorOf(() => update(params, other, grads, first));
    expect(missing).toMatchObject({ code: 'STRUCTURE_MISMATCH', where: 'dense_1.bias' });
    expect(missing.message).toContain('firstMoment');
    const smaller = adam().init({ dense_1: { kernel: fromNested([[0, 0]]), bias: fromNested(0) } });
    expect(await errorOf(() => update(params, smaller, grads, first))).toMatchObject({
      code: 'SHAPE_MISMATCH',
      where: 'dense_1.bias',
    });
  });

  test('scalars that were not passed', async () => {
    const error = await errorOf(() => update(params, state, grads, {}));
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', where: 'scaleByAdam' });
    expect(error.message).toContain('scalars(step)');
  });

  test('applyUpdates with other paths', async () => {
    expect(await errorOf(() => applyUpdates({ a: {} }, { a: null as never }))).toMatchObject({
      code: 'STRUCTURE_MISMATCH',
      where: 'a',
    });
  });
});

test('a transform that throws leaves the tensors where they were, and what was donated alive', async () => {
  const failing: GradientTransform = {
    spec: { transform: 'failing' },
    init: () => ({}),
    scalars: () => ({}),
    update(updates) {
      mapAll(updates, (leaf) => mul(leaf, 2));
      throw new TypeError('as it does');
    },
  };
  const good = adam();
  const bad = compileUpdate(chain(clipByGlobalNorm(1), good, failing));
  const first = compileUpdate(chain(clipByGlobalNorm(1), good));
  const chained = chain(clipByGlobalNorm(1), good);
  let carried: { params: DeviceTree; state: DeviceTree } = first(
    params,
    chained.init(params),
    grads,
    scalars(chained.scalars(0)),
  );
  const count = tensorCount();
  expect(() => bad(carried.params, carried.state, grads, scalars(chained.scalars(1)))).toThrow('as it does');
  expect(tensorCount()).toBe(count);
  carried = first(carried.params, carried.state, grads, scalars(chained.scalars(1)));
  expect(tensorCount()).toBe(count);
  release(carried as unknown as DeviceTree);
});

test('parts without state leave nothing behind, and a checkpoint without them is complete', () => {
  expect(chain(clipByGlobalNorm(1), sgd({ learningRate: 1 })).init(params)).toEqual({});
});

test('a transform of a typed state is a part, and an optimizer', () => {
  const typed: GradientTransform<{ readonly velocity: Params<Leaf> }> = {
    ...scaleByLearningRate(1),
    init: (tree) => ({ velocity: tree }),
    update: (updates, state) => ({ updates, state: { velocity: state.velocity } }),
  };
  expect(Object.keys(optimizer(typed).scalars(0))).toEqual(['learningRate']);
  expect(Object.keys(chain(typed).scalars(0))).toEqual(['scaleByLearningRate_1/learningRate']);
});

describe('adjustLearningRate', () => {
  const factor = (step: number) => (step < 2 ? 1 : 0.25);
  const scheduled = () =>
    sgd({ learningRate: stepDecay({ initial: 1, every: 2, factor: 0.5 }), momentum: 0.9 });

  test('multiplies the rate of a step and nothing else, also in chains, and of chains of chains', () => {
    expect([0, 1, 2, 4].map((step) => adjustLearningRate(scheduled(), factor).scalars(step))).toEqual(
      [1, 1, 0.125, 0.0625].map((learningRate) => ({ learningRate })),
    );
    const clipped = chain(clipByGlobalNorm(1), adam({ learningRate: 0.1 }));
    const { 'adam_1/learningRate': rate, ...others } = adjustLearningRate(clipped, factor).scalars(3);
    const { 'adam_1/learningRate': plain, ...same } = clipped.scalars(3);
    expect([rate, others]).toEqual([plain * 0.25, same]);
    const outer = chain(plus(1), adjustLearningRate(clipped, factor));
    expect(Object.keys(outer.scalars(3))).toEqual(Object.keys(chain(plus(1), clipped).scalars(3)));
    expect(outer.scalars(3)['adam_1/learningRate']).toBe(plain * 0.25);
  });

  test('keeps the spec and the state, and at a factor of 1 every bit', async () => {
    const clipped = chain(clipByGlobalNorm(1), scheduled());
    const steps = Array.from({ length: 4 }, () => grads);
    const run = (f: (step: number) => number) => runUpdates(adjustLearningRate(clipped, f), params, steps);
    expect(adjustLearningRate(clipped, factor).transform.spec).toEqual(clipped.transform.spec);
    const [plain, ones, changed] = [
      await runUpdates(clipped, params, steps),
      await run(() => 1),
      await run(factor),
    ];
    expect(ones).toEqual(plain);
    expect(changed).not.toEqual(plain);
    // The velocity sums up gradients, whatever the rate is.
    expect(changed.state).toEqual(plain.state);
    const twice = await runUpdates(sgd({ learningRate: 0.5 }), params, steps);
    expect(
      await runUpdates(
        adjustLearningRate(sgd({ learningRate: 1 }), () => 0.5),
        params,
        steps,
      ),
    ).toEqual(twice);
  });

  test('refuses factors that are none, and optimizers without a rate', () => {
    for (const wrong of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => adjustLearningRate(scheduled(), () => wrong).scalars(7)).toThrow(
        `adjustLearningRate, step 7: expected a finite factor of at least 0, got ${wrong}.`,
      );
    }
    expect(() => adjustLearningRate(chain(plus(1)), factor)).toThrow('got one with plus_1/value');
  });
});
