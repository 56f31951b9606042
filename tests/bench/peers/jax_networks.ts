import type * as Jax from '@jax-js/jax';

export type JaxArray = Jax.numpy.Array;
export type Params = { [name: string]: JaxArray };

/** A parameter: drawn by its fan-in, or zeros (ones for scales) where that is 0. */
interface Parameter {
  readonly shape: readonly number[];
  readonly fanIn: number;
}

export interface Network {
  readonly params: { readonly [name: string]: Parameter };
  readonly classes: number;
  /** Logits [batch, …, classes]; consumes what it is given. */
  apply(params: Params, input: JaxArray): JaxArray;
  /** Random examples; the labels are flat. */
  data(batch: number): { input: JaxArray; labels: JaxArray };
}

/** The workloads' networks in jax-js, images as [batch, channels, height, width]. */
export function networks(jax: typeof Jax): { readonly [workload: string]: Network } {
  return { 'cifar10-cnn': cifar10(jax), mlp: mlp(jax) };
}

function cifar10(jax: typeof Jax): Network {
  const { numpy: np, nn, lax } = jax;
  const convolve = (x: JaxArray, params: Params, name: string) =>
    nn.relu(
      lax
        .convGeneralDilated(x, params[`${name}.kernel`], [1, 1], 'VALID')
        .add(params[`${name}.bias`].reshape([-1, 1, 1])),
    );
  const pool = (x: JaxArray) => lax.reduceWindow(x, np.max, [2, 2], [2, 2]);
  return {
    params: {
      ...convolution('conv1', 3, 32),
      ...convolution('conv2', 32, 64),
      ...convolution('conv3', 64, 64),
      ...affine('dense1', 1024, 64),
      ...affine('dense2', 64, 10),
    },
    classes: 10,
    apply(params, images) {
      let x = pool(convolve(images, params, 'conv1'));
      x = pool(convolve(x, params, 'conv2'));
      x = convolve(x, params, 'conv3').reshape([-1, 1024]);
      return dense(jax, nn.relu(dense(jax, x, params, 'dense1')), params, 'dense2');
    },
    data: (batch) => examples(jax, [batch, 3, 32, 32], [batch], 10),
  };
}

function mlp(jax: typeof Jax): Network {
  const { nn } = jax;
  return {
    params: { ...affine('dense1', 784, 512), ...affine('dense2', 512, 512), ...affine('dense3', 512, 10) },
    classes: 10,
    apply(params, images) {
      const x = nn.relu(dense(jax, images, params, 'dense1'));
      return dense(jax, nn.relu(dense(jax, x, params, 'dense2')), params, 'dense3');
    },
    data: (batch) => examples(jax, [batch, 784], [batch], 10),
  };
}

function affine(name: string, inputs: number, outputs: number) {
  return {
    [`${name}.kernel`]: { shape: [inputs, outputs], fanIn: inputs },
    [`${name}.bias`]: { shape: [outputs], fanIn: 0 },
  };
}

function convolution(name: string, inputs: number, outputs: number, size = 3) {
  return {
    [`${name}.kernel`]: { shape: [outputs, inputs, size, size], fanIn: inputs * size * size },
    [`${name}.bias`]: { shape: [outputs], fanIn: 0 },
  };
}

function dense({ numpy: np }: typeof Jax, x: JaxArray, params: Params, name: string): JaxArray {
  return np.dot(x, params[`${name}.kernel`]).add(params[`${name}.bias`]);
}

function examples(
  { numpy: np, random }: typeof Jax,
  shape: number[],
  labelShape: number[],
  classes: number,
): { input: JaxArray; labels: JaxArray } {
  const count = labelShape.reduce((product, size) => product * size, 1);
  const labels = Int32Array.from({ length: count }, () => Math.floor(Math.random() * classes));
  return { input: random.uniform(random.key(7), shape), labels: np.array(labels) };
}
