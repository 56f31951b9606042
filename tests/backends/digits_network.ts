import {
  createKey,
  labelsToProbabilities,
  type NdArray,
  softmaxCrossEntropyRows,
  valueAndGrad,
  zeros,
} from '@tenon-ml/core';
import {
  add,
  conv2d,
  div,
  matMul,
  maxPool,
  mean,
  mul,
  relu,
  reshape,
  sqrt,
  square,
  sub,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
  type Tensor4D,
} from '@tensorflow/tfjs-core';

/** Parameters of the digits CNN by name. */
export type Network<T> = { readonly [name: string]: T };

/** Parameters and Adam's moments. */
export type TrainingState<T> = {
  readonly params: Network<T>;
  readonly first: Network<T>;
  readonly second: Network<T>;
};

/** Shapes by name; `width` is the number of channels of the first convolution. */
function shapes(width: number): Network<readonly number[]> {
  return {
    kernel1: [3, 3, 1, width],
    bias1: [width],
    kernel2: [3, 3, width, 2 * width],
    bias2: [2 * width],
    kernel3: [8 * width, 4 * width],
    bias3: [4 * width],
    kernel4: [4 * width, 10],
    bias4: [10],
  };
}

function map<T, U>(network: Network<T>, f: (value: T, name: string) => U): Network<U> {
  return Object.fromEntries(Object.entries(network).map(([name, value]) => [name, f(value, name)]));
}

/** He-normal kernels and zero biases; the digits CNN is 32 wide. */
export function initialState(seed: number, width = 32): TrainingState<NdArray> {
  const key = createKey(seed);
  const params = map(shapes(width), (shape, name) => {
    const fanIn = shape.slice(0, -1).reduce((product, size) => product * size, 1);
    return shape.length === 1 ? zeros(shape) : key.foldIn(name).normal(shape, 0, Math.sqrt(2 / fanIn));
  });
  const moments = () => map(params, ({ shape }) => zeros(shape));
  return { params, first: moments(), second: moments() };
}

/** Random images [batch, 8, 8, 1] and labels [batch]. */
export function randomBatch(seed: number, batch: number): { images: NdArray; labels: NdArray } {
  const [pixels, classes] = createKey(seed).split(2);
  return {
    images: pixels.uniform([batch, 8, 8, 1]),
    labels: {
      dtype: 'int32',
      shape: [batch],
      data: Int32Array.from(classes.bits(batch), (bits) => bits % 10),
    },
  };
}

/** Logits of the digits CNN. */
export function logits(params: Network<Tensor>, images: Tensor): Tensor2D {
  let x = images as Tensor4D;
  x = maxPool(
    relu(add(conv2d(x, params.kernel1 as Tensor4D, 1, 'same'), params.bias1)) as Tensor4D,
    2,
    2,
    'valid',
  );
  x = maxPool(
    relu(add(conv2d(x, params.kernel2 as Tensor4D, 1, 'same'), params.bias2)) as Tensor4D,
    2,
    2,
    'valid',
  );
  const flat = reshape(x, [images.shape[0], params.kernel3.shape[0]]) as Tensor2D;
  const hidden = relu(add(matMul(flat, params.kernel3 as Tensor2D), params.bias3)) as Tensor2D;
  return add(matMul(hidden, params.kernel4 as Tensor2D), params.bias4) as Tensor2D;
}

/** One step of Adam on the mean cross-entropy; `correction` is √(1 − β₂ᵗ) / (1 − β₁ᵗ) times the learning rate. */
export function trainStep(
  state: TrainingState<Tensor>,
  images: Tensor,
  labels: Tensor,
  correction: Tensor,
): { state: TrainingState<Tensor>; loss: Tensor } {
  const { value, grads } = valueAndGrad((params: Network<Tensor>) => {
    const target = labelsToProbabilities(labels as Tensor1D, 10);
    return mean(softmaxCrossEntropyRows(logits(params, images), target));
  })(state.params);
  const first = map(state.first, (m, name) => add(mul(m, 0.9), mul(grads[name], 0.1)));
  const second = map(state.second, (v, name) => add(mul(v, 0.999), mul(square(grads[name]), 0.001)));
  const params = map(state.params, (p, name) =>
    sub(p, div(mul(first[name], correction), add(sqrt(second[name]), 1e-7))),
  );
  return { state: { params, first, second }, loss: value };
}

/** Adam's factor at a step counted from 1. */
export function adamCorrection(step: number, learningRate = 1e-3): number {
  return (learningRate * Math.sqrt(1 - 0.999 ** step)) / (1 - 0.9 ** step);
}
