import { fromNested, type NdArray } from '@tenon-ml/core';
import { expectClose } from '@tenon-ml/testkit';
import { beforeAll, describe, expect, test } from 'vitest';
import { adam } from '../src/index.js';
import { backend, runUpdates } from './run.js';

beforeAll(async () => {
  await backend.init();
});

// One parameter from 1, gradients 0.5 and -1, η = 0.1, β = (0.9, 0.999), ε = 1e-8: by hand, to ten digits.
//   m: 0.05, -0.055         v: 0.00025, 0.00124975
//   m̂: 0.5, -0.055 / 0.19   v̂: 0.25, 0.00124975 / 0.001999
const hand = {
  corrected: [0.900000002, 0.9366103542],
  plain: [0.683772434, 0.8393514405],
} as const;

describe.each([
  { name: 'corrected', biasCorrection: true },
  { name: 'plain', biasCorrection: false },
] as const)('two steps of Adam by hand: $name', ({ name, biasCorrection }) => {
  test.each([1, 2])('after step %i', async (steps) => {
    const gradients = [{ w: fromNested([0.5]) }, { w: fromNested([-1]) }].slice(0, steps);
    const optimizer = adam({ learningRate: 0.1, biasCorrection });
    const { params, state } = await runUpdates(optimizer, { w: fromNested([1]) }, gradients);
    expectClose(params.w as NdArray, [hand[name][steps - 1]], { op: 'optimizer', reduction: steps });
    const { firstMoment, secondMoment } = state as { [slot: string]: { w: NdArray } };
    expectClose(firstMoment.w, [[0.05, -0.055][steps - 1]], { op: 'optimizer', reduction: steps });
    expectClose(secondMoment.w, [[0.00025, 0.00124975][steps - 1]], { op: 'optimizer', reduction: steps });
  });
});

test('the first corrected step is η·g / (|g| + ε): η against the sign, whatever the size', async () => {
  const sizes = [1e-7, 1e-3, -2, 3e5, 0];
  const start = { w: fromNested(sizes.map(() => 0)) };
  const { params } = await runUpdates(adam({ learningRate: 0.25 }), start, [{ w: fromNested(sizes) }]);
  const expected = sizes.map((g) => (-0.25 * g) / (Math.abs(g) + 1e-8));
  expectClose(params.w as NdArray, expected, { op: 'optimizer' });
});

test('moments of a constant gradient settle at it and its square, within what a float32 holds', async () => {
  const gradients = Array.from({ length: 4000 }, () => ({ w: fromNested([0.3]) }));
  const { state } = await runUpdates(adam({ learningRate: 0 }), { w: fromNested([1]) }, gradients);
  const { firstMoment, secondMoment } = state as { [slot: string]: { w: NdArray } };
  // The textbook form in float32, whose betas don't add up to 1, is off by 1.3e-5.
  const share = 1 - 0.999 ** 4000;
  expectClose(firstMoment.w, [Math.fround(0.3)], { op: 'elementwise' });
  expect(Math.abs(Number(secondMoment.w.data[0]) / (Math.fround(0.3) ** 2 * share) - 1)).toBeLessThan(5e-6);
});

test('without correction there is nothing to correct by', () => {
  expect(adam({ biasCorrection: false }).scalars(0)).toEqual({ learningRate: 0.001 });
  expect(Object.keys(adam().scalars(0)).sort()).toEqual(['epsilon', 'learningRate', 'rootScale']);
});

test('corrections are computed in float64, and fade', () => {
  const { rootScale, epsilon } = adam().scalars(0);
  expect(rootScale).toBeCloseTo(0.1 / Math.sqrt(0.001), 12);
  expect(epsilon).toBeCloseTo(1e-9, 24);
  expect(adam().scalars(100_000)).toEqual({ rootScale: 1, epsilon: 1e-8, learningRate: 0.001 });
});
