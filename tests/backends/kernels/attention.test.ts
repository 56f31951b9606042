import {
  attentionDefinition,
  attentionGradDefinition,
  compile,
  type NdArray,
  read,
  scaledDotProductAttention,
  valueAndGrad,
} from '@tenon-ml/core';
import { sum, type Tensor } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { testedName } from '../../hosts/tested_backend.js';
import { attentionInputs } from './inputs.js';
import { backendPair, expectAgreement, runDefinition, runKernelForAll } from './reference.js';

const { ours, reference } = backendPair();

const sizes = fc.tuple(
  fc.integer({ min: 0, max: 2 }),
  fc.integer({ min: 1, max: 3 }),
  fc.integer({ min: 1, max: 11 }),
  fc.integer({ min: 1, max: 11 }),
  fc.integer({ min: 1, max: 9 }),
  fc.integer({ min: 1, max: 9 }),
);
const cases = fc.record({
  sizes,
  causal: fc.boolean(),
  scale: fc.constantFrom(0.3, 1, 2, -1),
  seed: fc.nat(),
});

async function expectDefinition(
  shape: readonly number[],
  causal: boolean,
  scale: number,
  seed: number,
): Promise<void> {
  const { dy, ...inputs } = attentionInputs(seed, shape);
  const attrs = { causal, scale };
  const [batch, heads, queries, keys, size, width] = shape;
  const forward = await runKernelForAll(ours, { kernel: 'Attention', inputs, attrs });
  expect(forward).toHaveLength(1);
  // A product of `size` terms inside of the exponential, and one of `keys` or `queries` outside.
  const reduction = size * Math.max(keys, queries);
  const expected = await runDefinition(reference, attentionDefinition, { inputs, attrs });
  expectAgreement(forward[0], expected[0], { op: 'transcendental', reduction });
  const call = { inputs: { dy, ...inputs }, attrs };
  const backward = await runKernelForAll(ours, { kernel: 'AttentionGrad', ...call });
  expect(backward.map((array) => array.shape)).toEqual([
    [batch, heads, queries, size],
    [batch, heads, keys, size],
    [batch, heads, keys, width],
  ]);
  for (const [i, array] of (await runDefinition(reference, attentionGradDefinition, call)).entries()) {
    if (testedName === 'cuda' && array.data.every((value) => Number(value) === 0)) {
      // Of one key the weight is 1, and everything cancels. TensorFlow's softmax is off by a rounding, which stays.
      const left = (backward[i].data as Float32Array).map(Math.abs);
      expect(Math.max(...left)).toBeLessThan(1e-5);
    } else {
      expectAgreement(backward[i], array, { op: 'transcendental', reduction });
    }
  }
}

test('Attention and AttentionGrad are their definitions', async () => {
  await fc.assert(
    fc.asyncProperty(cases, ({ sizes: shape, causal, scale, seed }) =>
      expectDefinition(shape, causal, scale, seed),
    ),
  );
});

test.each([
  { shape: [1, 2, 63, 63, 3, 2], causal: true },
  { shape: [1, 1, 65, 65, 8, 8], causal: true },
  { shape: [2, 1, 130, 130, 5, 20], causal: true },
  { shape: [1, 1, 300, 300, 4, 3], causal: true },
  { shape: [1, 1, 70, 150, 4, 3], causal: true },
  { shape: [1, 1, 150, 70, 4, 3], causal: true },
  { shape: [1, 2, 90, 70, 33, 17], causal: false },
])('blocks of queries and keys: $shape, causal $causal', async ({ shape, causal }) => {
  await expectDefinition(shape, causal, 0.5, 1);
});

test('NaN and infinities are where the definition has them', async () => {
  await fc.assert(
    fc.asyncProperty(sizes, fc.nat(), async (shape, seed) => {
      const { query, key, value } = attentionInputs(seed, shape, true);
      // Finite values: NaN times a weight of 0 or 1e−30 tells nothing of the weights.
      const inputs = {
        query,
        key,
        value: { ...value, data: value.data.map((x) => (Number.isFinite(x) ? x : 1)) },
      };
      const attrs = { causal: false, scale: 1 };
      const [actual] = await runKernelForAll(ours, { kernel: 'Attention', inputs, attrs });
      const [expected] = await runDefinition(reference, attentionDefinition, { inputs, attrs });
      expectAgreement(actual, expected, { op: 'transcendental', reduction: 100 });
    }),
  );
});

test('what comes later changes no bit of a causal result', async () => {
  const [length, size] = [100, 7];
  const shape = [1, 2, length, length, size, size];
  const { query, key, value } = attentionInputs(1, shape);
  const other = attentionInputs(9, shape);
  const run = async (inputs: { [name: string]: NdArray }) => {
    const call = { kernel: 'Attention', inputs, attrs: { causal: true, scale: 0.4 } };
    return (await runKernelForAll(ours, call))[0].data;
  };
  const whole = await run({ query, key, value });
  for (const from of [1, 31, 64, 65, 99]) {
    const changed = (array: NdArray<'float32'>, by: NdArray<'float32'>): NdArray => {
      const data = array.data.map((x, i) => (Math.floor(i / size) % length < from ? x : by.data[i]));
      return { ...array, data };
    };
    const result = await run({ query, key: changed(key, other.key), value: changed(value, other.value) });
    for (const head of [0, length * size]) {
      expect(result.slice(head, head + from * size)).toEqual(whole.slice(head, head + from * size));
      expect(result.slice(head + from * size, head + (from + 1) * size)).not.toEqual(
        whole.slice(head + from * size, head + (from + 1) * size),
      );
    }
  }
});

type Inputs = { query: Tensor; key: Tensor; value: Tensor };

test('a recorded step differentiates through it', async () => {
  const loss = ({ query, key, value }: Inputs): Tensor =>
    sum(scaledDotProductAttention(query, key, value, { causal: true }));
  const step = (backend: typeof ours) => compile((inputs: Inputs) => valueAndGrad(loss)(inputs), { backend });
  const [actual, expected] = [step(ours), step(reference)];
  for (let seed = 0; seed < 4; seed++) {
    const { query, key, value } = attentionInputs(seed, [2, 2, 5, 5, 3, 3]);
    const one = await read(actual({ query, key, value }));
    const other = await read(expected({ query, key, value }));
    for (const name of ['query', 'key', 'value'] as const) {
      expectAgreement(one.grads[name], other.grads[name], { op: 'transcendental', reduction: 15 });
    }
  }
  expect(actual.explain().mode).toBe('replayed');
});
