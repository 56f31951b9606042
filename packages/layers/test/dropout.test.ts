import '@tensorflow/tfjs-backend-cpu';
import {
  compile,
  createContext,
  createKey,
  full,
  type Key,
  type NdArray,
  read,
  sameBits,
  tfjsBackend,
  valueAndGrad,
} from '@tenon-ml/core';
import { sum, type Tensor } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { type ChildLayer, dropout, residual, sequential } from '../src/index.js';

const backend = tfjsBackend('cpu');
beforeAll(() => backend.init());

interface Run {
  readonly output: NdArray;
  readonly grad: NdArray;
  /** Outputs of children, by path, in the order of calls. */
  readonly taps: readonly NdArray[];
}

/** The layer on x, in training unless told otherwise, with the gradient of the sum. */
async function run(layer: ChildLayer, x: NdArray, key: Key, training = true): Promise<Run> {
  const step = compile(
    (input: Tensor, words: Tensor) => {
      const taps: Tensor[] = [];
      const onTap = (_path: string, output: unknown) => void taps.push(output as Tensor);
      const { grads, aux } = valueAndGrad(
        (given: Tensor) => {
          const { output } = layer.apply({}, {}, given, createContext({ training, key: words, onTap }));
          return [sum(output as Tensor), { output: output as Tensor, taps }] as const;
        },
        { aux: true },
      )(input);
      return { output: aux.output, taps: aux.taps, grad: grads };
    },
    { backend },
  );
  const { output, grad, taps } = await read(step(x, key.toNdArray()));
  return { output, grad, taps: taps as readonly NdArray[] } as Run;
}

const valuesOf = ({ data }: NdArray): number[] => Array.from(data, Number);
const zerosIn = (array: NdArray): number => valuesOf(array).filter((value) => value === 0).length;

test.each([0.1, 0.5, 0.9])(
  'sets %d of the elements to 0 and scales the others, forward and backward',
  async (rate) => {
    const { output, grad } = await run(dropout(rate), full([100, 200], 3), createKey(1));
    const scale = Math.fround(1 / (1 - rate));
    expect(new Set(valuesOf(output))).toEqual(new Set([0, Math.fround(3 * scale)]));
    expect(new Set(valuesOf(grad))).toEqual(new Set([0, scale]));
    const dropped = (array: NdArray): boolean[] => valuesOf(array).map((value) => value === 0);
    expect(dropped(grad)).toEqual(dropped(output));
    // 20,000 draws: four standard errors.
    const error = 4 * Math.sqrt((rate * (1 - rate)) / 20_000);
    expect(Math.abs(zerosIn(output) / 20_000 - rate)).toBeLessThan(error);
  },
);

test('draws each element by itself: neighbours agree as often as chance has it', async () => {
  const values = valuesOf((await run(dropout(0.5), full([20_000], 1), createKey(2))).output);
  for (const lag of [1, 2, 4, 100]) {
    const pairs = values.length - lag;
    const equal = values.slice(lag).filter((value, i) => value === values[i]).length;
    expect(Math.abs(equal / pairs - 0.5)).toBeLessThan(4 * Math.sqrt(0.25 / pairs));
  }
});

test('is the identity out of training, and at rate 0', async () => {
  const x = createKey(3).normal([4, 5]);
  expect(sameBits((await run(dropout(0.9), x, createKey(1), false)).output, x)).toBe(true);
  expect(sameBits((await run(dropout(0), x, createKey(1))).output, x)).toBe(true);
});

test('has the same mask for the same key, and another for another', () =>
  fc.assert(
    fc.asyncProperty(fc.nat(), fc.nat(), async (a, b) => {
      fc.pre(a !== b);
      const x = full([200], 1);
      const runs = [a, a, b].map((seed) => run(dropout(0.5), x, createKey(seed)));
      const [first, again, other] = await Promise.all(runs);
      expect(sameBits(first.output, again.output)).toBe(true);
      expect(sameBits(first.output, other.output)).toBe(false);
    }),
    { numRuns: 20 },
  ));

test('has a mask of its own for each layer and each call', async () => {
  const x = full([400], 1);
  const both = dropout(0.5);
  // Body and shortcut each see x itself.
  const apart = await run(residual(dropout(0.5), { shortcut: dropout(0.5) }), x, createKey(4));
  expect(sameBits(apart.taps[0], apart.taps[1])).toBe(false);
  const shared = await run(residual(both, { shortcut: both }), x, createKey(4));
  expect(sameBits(shared.taps[0], shared.taps[1])).toBe(false);
  // Called twice within one list, a quarter is left: with the first mask again it would be a half.
  const twice = await run(sequential([both, both]), x, createKey(4));
  expect(zerosIn(twice.output) - zerosIn(twice.taps[0])).toBeGreaterThan(50);
});

test('keeps the mask of a layer whatever other layers draw', async () => {
  const x = full([100], 1);
  const alone = await run(sequential({ noise: dropout(0.5) }), x, createKey(5));
  const after = await run(sequential({ first: dropout(1e-9), noise: dropout(0.5) }), x, createKey(5));
  expect(sameBits(alone.output, after.output)).toBe(true);
});

test('asks for a key where the step has none, with its path', () => {
  const model = sequential({ body: sequential([dropout(0.5)]) });
  const call = compile((x: Tensor) => model.apply({}, {}, x, createContext({ training: true })).output, {
    backend,
  });
  expect(() => call(full([3], 1))).toThrow(
    expect.objectContaining({ code: 'MISSING_RANDOM_KEY', where: 'body.dropout_1' }),
  );
});
