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
  return {
    'cifar10-cnn': cifar10(jax),
    mlp: mlp(jax),
    lstm: lstm(jax),
    'gpt-nano': gptNano(jax),
    resnet8: resnet8(jax),
  };
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

/** One LSTM, unrolled over its 64 steps, and a dense layer on its last output. */
function lstm(jax: typeof Jax): Network {
  const { numpy: np, nn } = jax;
  const [steps, features, units] = [64, 64, 128];
  return {
    params: {
      'lstm.input': { shape: [features, 4 * units], fanIn: features },
      'lstm.recurrent': { shape: [units, 4 * units], fanIn: units },
      'lstm.bias': { shape: [4 * units], fanIn: 0 },
      ...affine('dense', units, 10),
    },
    classes: 10,
    apply(params, input) {
      const batch = input.shape[0];
      const projected = np.dot(input, params['lstm.input']).add(params['lstm.bias']);
      let [hidden, cell] = [np.zeros([batch, units]), np.zeros([batch, units])];
      for (let step = 0; step < steps; step++) {
        const gates = projected.ref.slice([], step).add(np.dot(hidden, params['lstm.recurrent'].ref));
        const gate = (i: number) => gates.ref.slice([], [i * units, (i + 1) * units]);
        cell = nn
          .sigmoid(gate(1))
          .mul(cell)
          .add(nn.sigmoid(gate(0)).mul(np.tanh(gate(2))));
        hidden = nn.sigmoid(gate(3)).mul(np.tanh(cell.ref));
        gates.dispose();
      }
      projected.dispose();
      cell.dispose();
      params['lstm.recurrent'].dispose();
      return dense(jax, hidden, params, 'dense');
    },
    data: (batch) => examples(jax, [batch, steps, features], [batch], 10),
  };
}

/** Embeddings by one-hot products, as in jax-js's own language model, whose gradients need no scatter. */
function gptNano(jax: typeof Jax): Network {
  const { numpy: np, nn } = jax;
  const [blocks, heads, width, context, vocabulary] = [4, 4, 128, 128, 65];
  const norm = (name: string) => ({
    [`${name}.scale`]: { shape: [width], fanIn: 0 },
    [`${name}.bias`]: { shape: [width], fanIn: 0 },
  });
  const params: { [name: string]: Parameter } = {
    tokens: { shape: [vocabulary, width], fanIn: width },
    positions: { shape: [context, width], fanIn: width },
    ...norm('norm'),
    ...affine('head', width, vocabulary),
  };
  for (let i = 0; i < blocks; i++) {
    Object.assign(params, norm(`${i}.norm1`), norm(`${i}.norm2`));
    for (const name of ['query', 'key', 'value', 'output'])
      Object.assign(params, affine(`${i}.${name}`, width, width));
    Object.assign(params, affine(`${i}.up`, width, 4 * width), affine(`${i}.down`, 4 * width, width));
  }
  const normalize = (x: JaxArray, p: Params, name: string) =>
    nn.standardize(x, -1, { epsilon: 1e-5 }).mul(p[`${name}.scale`]).add(p[`${name}.bias`]);
  // Written out: nn.dotProductAttention is an einsum, which jax-js can't parse on Node 20.
  const attend = (query: JaxArray, key: JaxArray, value: JaxArray) => {
    const split = (x: JaxArray, order: number[]) =>
      np.transpose(x.reshape([-1, context, heads, width / heads]), order);
    const scores = np
      .matmul(split(query, [0, 2, 1, 3]), split(key, [0, 2, 3, 1]))
      .mul(1 / Math.sqrt(width / heads))
      .add(np.tri(context).sub(1).mul(1e9));
    const attended = np.matmul(nn.softmax(scores), split(value, [0, 2, 1, 3]));
    return np.transpose(attended, [0, 2, 1, 3]).reshape([-1, context, width]);
  };
  return {
    params,
    classes: vocabulary,
    apply(p, tokens) {
      let x = np.dot(nn.oneHot(tokens, vocabulary), p.tokens).add(p.positions);
      for (let i = 0; i < blocks; i++) {
        const normal = normalize(x.ref, p, `${i}.norm1`);
        const attended = attend(
          dense(jax, normal.ref, p, `${i}.query`),
          dense(jax, normal.ref, p, `${i}.key`),
          dense(jax, normal, p, `${i}.value`),
        );
        x = x.add(dense(jax, attended, p, `${i}.output`));
        const inner = dense(jax, normalize(x.ref, p, `${i}.norm2`), p, `${i}.up`);
        x = x.add(dense(jax, nn.gelu(inner, { approximate: false }), p, `${i}.down`));
      }
      return dense(jax, normalize(x, p, 'norm'), p, 'head');
    },
    data(batch) {
      const text = Int32Array.from({ length: batch * context }, () => Math.floor(Math.random() * vocabulary));
      return { input: np.array(text).reshape([batch, context]), labels: np.array(text) };
    },
  };
}

/** Batch normalisation by the batch's own statistics; running averages, which cost little, are left out. */
function resnet8(jax: typeof Jax): Network {
  const { numpy: np, nn, lax } = jax;
  const params: { [name: string]: Parameter } = affine('dense', 64, 10);
  const layer = (name: string, inputs: number, outputs: number, size = 3) => {
    params[`${name}.kernel`] = { shape: [outputs, inputs, size, size], fanIn: inputs * size * size };
    params[`${name}.scale`] = { shape: [outputs, 1, 1], fanIn: 0 };
    params[`${name}.bias`] = { shape: [outputs, 1, 1], fanIn: 0 };
  };
  layer('stem', 3, 16);
  const blocks = [
    { name: '1', inputs: 16, outputs: 16, stride: 1 },
    { name: '2', inputs: 16, outputs: 32, stride: 2 },
    { name: '3', inputs: 32, outputs: 64, stride: 2 },
  ];
  for (const { name, inputs, outputs, stride } of blocks) {
    layer(`${name}.first`, inputs, outputs);
    layer(`${name}.second`, outputs, outputs);
    if (stride > 1) layer(`${name}.shortcut`, inputs, outputs, 1);
  }
  const convolve = (x: JaxArray, p: Params, name: string, stride: number) => {
    const y = lax.convGeneralDilated(x, p[`${name}.kernel`], [stride, stride], 'SAME');
    return nn.standardize(y, [0, 2, 3], { epsilon: 1e-5 }).mul(p[`${name}.scale`]).add(p[`${name}.bias`]);
  };
  return {
    params,
    classes: 10,
    apply(p, images) {
      let x = nn.relu(convolve(images, p, 'stem', 1));
      for (const { name, stride } of blocks) {
        const inner = nn.relu(convolve(x.ref, p, `${name}.first`, stride));
        const body = convolve(inner, p, `${name}.second`, 1);
        x = nn.relu(body.add(stride > 1 ? convolve(x, p, `${name}.shortcut`, stride) : x));
      }
      return dense(jax, np.mean(x, [2, 3]), p, 'dense');
    },
    data: (batch) => examples(jax, [batch, 3, 32, 32], [batch], 10),
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
