import '@tensorflow/tfjs-backend-cpu';
import {
  type ContextOptions,
  compile,
  createContext,
  createKey,
  type Device,
  fromNested,
  type Leaf,
  type NdArray,
  type Params,
  read,
  sameBits,
  type TensorSpec,
  type Tree,
  tfjsBackend,
  toNested,
  valueAndGrad,
} from '@tenon-ml/core';
import { add, engine, sum, type Tensor, zerosLike } from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { dense, residual, sequential, tanh, transformerBlock } from '../src/index.js';

const backend = tfjsBackend('cpu');
beforeAll(() => backend.init());

const key = createKey(0);
const spec = (shape: readonly (number | null)[]): TensorSpec => ({ dtype: 'float32', shape });

describe('containers', () => {
  test('go on with what an observer puts in the place of an output, which gives gradients of any of them', async () => {
    const model = sequential({
      stem: sequential({ first: dense(2, { bias: false }) }),
      join: residual(tanh()),
      last: dense(1, { bias: false }),
    });
    const made = model.init(key, spec([null, 2]));
    const params = {
      stem: {
        first: {
          kernel: fromNested([
            [1, -1],
            [2, 3],
          ]),
        },
      },
      last: { kernel: fromNested([[10], [100]]) },
    } as typeof made.params;
    const step = compile(
      (p: Device<typeof params>, s: Device<typeof made.state>, x: Tensor, zero: { [path: string]: Tensor }) =>
        valueAndGrad((given: { [path: string]: Tensor }) => {
          const onTap = (path: string, output: Tree<Tensor>) => {
            const name = path.replace('.', '_');
            return Object.hasOwn(given, name) ? add(output as Tensor, given[name]) : undefined;
          };
          return sum(model.apply(p, s, x, createContext({ training: true, onTap })).output);
        })(zero),
      { backend },
    );
    const zero = () => fromNested([[0, 0]]);
    const { value, grads } = await read(
      step(params, made.state, fromNested([[0.1, 0.05]]), {
        stem_first: zero(),
        join_body: zero(),
        join: zero(),
      }),
    );
    // first = [0.2, 0.05], y = Σ k·(first + tanh(first)).
    const first = [0.2, 0.05];
    const kernel = [10, 100];
    const expected = kernel.reduce((total, k, i) => total + k * (first[i] + Math.tanh(first[i])), 0);
    expect(toNested(value)).toBeCloseTo(expected, 4);
    expect(toNested(grads.join)).toEqual([kernel]);
    expect(toNested(grads.join_body)).toEqual([kernel]);
    const [row] = toNested(grads.stem_first) as number[][];
    for (const [i, got] of row.entries()) {
      expect(got).toBeCloseTo(kernel[i] * (2 - Math.tanh(first[i]) ** 2), 4);
    }
  });
});

describe('the query and the key of an attention', () => {
  const x = key.normal([2, 5, 4]);
  const model = sequential([transformerBlock({ heads: 2, causal: true })]);
  const made = model.init(key, spec([null, 5, 4]));

  async function observed(onTap?: ContextOptions['onTap']) {
    const kernels = vi.spyOn(engine(), 'runKernel');
    const call = compile(
      (p: Device<Params<Leaf>>, input: Tensor) =>
        model.apply(p, {}, input, createContext({ training: false, ...(onTap && { onTap }) })).output,
      { backend },
    );
    const result = await read(call(made.params, x));
    const count = kernels.mock.calls.length;
    kernels.mockRestore();
    return { result, count };
  }

  test('are shown, and cost nothing', async () => {
    const shapes: { [path: string]: readonly number[] } = {};
    const seen = await observed((path, value) => {
      shapes[path] = (value as Tensor).shape;
      return undefined;
    });
    expect(Object.entries(shapes).filter(([path]) => path.includes('attention'))).toEqual([
      ['transformerBlock_1.attention.query', [2, 2, 5, 2]],
      ['transformerBlock_1.attention.key', [2, 2, 5, 2]],
      ['transformerBlock_1.attention', [2, 5, 4]],
    ]);
    const unseen = await observed();
    expect(sameBits(seen.result as NdArray, unseen.result as NdArray)).toBe(true);
    expect(unseen.count).toBeGreaterThan(10);
    expect(seen.count).toBe(unseen.count);
  });

  test('are those that the weights are made of', async () => {
    // A first position has itself alone to look at; with keys of 0 the others look at all alike.
    const blind = await observed((path, value) =>
      path.endsWith('.key') ? zerosLike(value as Tensor) : undefined,
    );
    const plain = await observed();
    const first = (y: unknown) => (toNested(y as NdArray) as number[][][]).map(([row]) => row);
    expect(first(blind.result)).toEqual(first(plain.result));
    expect(sameBits(blind.result as NdArray, plain.result as NdArray)).toBe(false);
  });
});
