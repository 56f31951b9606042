import {
  type AnyLayer,
  type Backend,
  compile,
  createContext,
  createKey,
  type Explanation,
  type Leaf,
  type NdArray,
  ndarray,
  type Params,
  type Precision,
  read,
  treeEntries,
  valueAndGrad,
} from '@tenon-ml/core';
import {
  avgPool2d,
  batchNorm,
  type ChildLayer,
  conv2d,
  dense,
  dropout,
  embedding,
  feedForward,
  flatten,
  gelu,
  globalAvgPool2d,
  layerNorm,
  lstm,
  maxPool2d,
  multiHeadAttention,
  positionEmbedding,
  relu,
  residual,
  resnetBlock,
  sequential,
  sigmoid,
  softmax,
  tanh,
  transformerBlock,
} from '@tenon-ml/layers';
import { mean, square, type Tensor } from '@tensorflow/tfjs-core';

/** Networks of every kind of layer, small and of odd sizes, and their gradients: for tests of backends. */

export interface Network {
  readonly model: AnyLayer;
  readonly input: NdArray;
  /** How many tensors come back: the value, the output, gradients and states. */
  readonly results: number;
  /** The longest chain of sums. */
  readonly reduction: number;
}

const key = createKey(3);
const image = (...shape: number[]): NdArray => key.foldIn('input').normal(shape);
const ids = (batch: number, time: number): NdArray =>
  ndarray(
    'int32',
    [batch, time],
    Int32Array.from(key.bits(batch * time), (word) => word % 11),
  );
const row = (model: ChildLayer, input: NdArray, results: number, reduction: number): Network => ({
  model: model as unknown as AnyLayer,
  input,
  results,
  reduction,
});

export const networks: readonly (readonly [string, Network])[] = [
  [
    'a network for images',
    row(
      sequential([
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
      ]),
      image(5, 9, 7, 3),
      // Eleven parameters and the input, and four running statistics.
      18,
      // Batch normalization over 5 · 9 · 7 elements.
      315,
    ),
  ],
  [
    'a residual network',
    row(
      sequential([
        resnetBlock(3),
        resnetBlock(5, { strides: 2 }),
        globalAvgPool2d(),
        dense(4),
        gelu(),
        gelu({ approximate: true }),
      ]),
      image(3, 6, 5, 3),
      30,
      90,
    ),
  ],
  [
    'a language model',
    row(
      sequential([
        embedding(11, 8),
        positionEmbedding(9),
        transformerBlock({ heads: 2, causal: true, dropout: 0.2 }),
        layerNorm(),
        multiHeadAttention({ heads: 4 }),
        feedForward(),
        dense(11),
      ]),
      ids(3, 7),
      28,
      24,
    ),
  ],
  [
    'a recurrent network',
    row(sequential([lstm(5, { returnSequences: true }), lstm(4), dense(3)]), image(3, 6, 2), 11, 18),
  ],
];

type Weights = Params<Tensor>;

/** Output, new state, and gradients of parameters and input, of the mean square of the output; from each of the calls. */
export async function differentiate(
  { model, input }: Network,
  backend: Backend,
  { calls = 1, precision = 'float32' }: { readonly calls?: number; readonly precision?: Precision } = {},
): Promise<{
  readonly results: readonly (readonly [string, NdArray])[][];
  readonly explanation: Explanation;
}> {
  await backend.init();
  const { params, state } = model.init(key, { dtype: input.dtype, shape: [null, ...input.shape.slice(1)] });
  const run = compile(
    (weights: Weights, buffers: Weights, x: Tensor, stepKey: Tensor) => {
      const loss = (differentiated: { weights: Weights; x?: Tensor }) => {
        const context = createContext({ training: true, key: stepKey });
        const applied = model.apply(differentiated.weights, buffers, differentiated.x ?? x, context);
        const output = applied.output as Tensor;
        return [mean(square(output)), { output, state: applied.state }] as const;
      };
      return valueAndGrad(loss, { aux: true })(x.dtype === 'float32' ? { weights, x } : { weights });
    },
    { backend, precision },
  );
  const results: [string, NdArray][][] = [];
  for (let i = 0; i < calls; i++) {
    const result = run(params as Params<NdArray>, state as Params<NdArray>, input, key.toNdArray());
    results.push(treeEntries<NdArray>((await read(result)) as unknown as Params<NdArray & Leaf>));
  }
  const explanation = run.explain();
  await backend.dispose();
  return { results, explanation };
}
