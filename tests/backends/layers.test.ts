import { wasm } from '@tenon-ml/backend-wasm';
import {
  type AnyLayer,
  type Backend,
  compile,
  createContext,
  createKey,
  type Leaf,
  type NdArray,
  type Params,
  read,
  treeEntries,
  valueAndGrad,
} from '@tenon-ml/core';
import {
  avgPool2d,
  batchNorm,
  conv2d,
  dense,
  dropout,
  flatten,
  maxPool2d,
  relu,
  residual,
  sequential,
  sigmoid,
  softmax,
  tanh,
} from '@tenon-ml/layers';
import { cpu, expectClose } from '@tenon-ml/testkit';
import { mean, square, type Tensor } from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';

const model: AnyLayer = sequential([
  conv2d(4, 3, { padding: 'same', dilation: 2 }),
  batchNorm(),
  tanh(),
  residual(sequential([conv2d(4, 3, { padding: 'same' }), relu(), batchNorm()])),
  avgPool2d(3, { strides: 2, padding: 'same' }),
  conv2d(5, [2, 3], { strides: 2, padding: 'same', bias: false }),
  sigmoid(),
  maxPool2d(2, { strides: 1, padding: 'same' }),
  dropout(0.25),
  flatten(),
  dense(7),
  softmax(),
]) as unknown as AnyLayer;

type Weights = Params<Tensor>;

/** Output, new state, and gradients of parameters and input, of the mean square of the output. */
async function differentiate(backend: Backend): Promise<[string, NdArray][]> {
  await backend.init();
  const key = createKey(3);
  const input = key.foldIn('input').normal([5, 9, 7, 3]);
  const { params, state } = model.init(key, { dtype: 'float32', shape: [null, 9, 7, 3] });
  const run = compile(
    (weights: Weights, buffers: Weights, x: Tensor, stepKey: Tensor) => {
      const loss = (differentiated: { weights: Weights; x: Tensor }) => {
        const context = createContext({ training: true, key: stepKey });
        const applied = model.apply(differentiated.weights, buffers, differentiated.x, context);
        const output = applied.output as Tensor;
        return [mean(square(output)), { output, state: applied.state }] as const;
      };
      return valueAndGrad(loss, { aux: true })({ weights, x });
    },
    { backend },
  );
  const result = await read(run(params as Params<NdArray>, state as Params<NdArray>, input, key.toNdArray()));
  await backend.dispose();
  return treeEntries<NdArray>(result as unknown as Params<NdArray & Leaf>);
}

test('every layer, forward and backward, agrees with tfjs-backend-cpu', async () => {
  const [ours, reference] = [await differentiate(wasm()), await differentiate(cpu())];
  expect(ours.map(([path]) => path)).toEqual(reference.map(([path]) => path));
  // The value, the output, eleven parameters and the input, and four running statistics.
  expect(ours.length).toBe(18);
  for (const [i, [path, value]] of ours.entries()) {
    // Batch normalization over 5 · 9 · 7 elements is the longest chain of sums.
    expectClose(value, reference[i][1], { op: 'network', reduction: 315, name: path });
  }
});

test('the same bits every time', async () => {
  expect(await differentiate(wasm())).toEqual(await differentiate(wasm()));
});
