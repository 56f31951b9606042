import {
  createKey,
  type Layer,
  type NdArray,
  type None,
  sizeOf,
  type TensorSpec,
  treeLeaves,
} from '@tenon-ml/core';
import { describe, expect, test } from 'vitest';
import {
  batchNorm,
  conv2d,
  dense,
  embedding,
  feedForward,
  flatten,
  gelu,
  globalAvgPool2d,
  layerNorm,
  lstm,
  maxPool2d,
  multiHeadAttention,
  multiplyAdds,
  positionEmbedding,
  relu,
  residual,
  resnetBlock,
  sequential,
  summary,
  transformerBlock,
} from '../src/index.js';

const input: TensorSpec = { dtype: 'float32', shape: [null, 8, 8, 1] };

const model = sequential({
  stem: sequential([conv2d(4, 3), batchNorm(), relu()]),
  block: residual(conv2d(8, 3, { padding: 'same' }), { shortcut: conv2d(8, 1, { bias: false }) }),
  pool: maxPool2d(2),
  head: sequential([flatten(), dense(10)]),
});

test('lists calls with paths, outputs and counts', () => {
  expect(
    summary(model, input).map(({ output, ...row }) => ({ ...row, shape: (output as TensorSpec).shape })),
  ).toEqual([
    {
      path: 'stem.conv2d_1',
      layer: 'conv2d',
      shape: [null, 6, 6, 4],
      params: 3 * 3 * 4 + 4,
      state: 0,
      multiplyAdds: 9 * 4 * 36,
    },
    {
      path: 'stem.batchNorm_1',
      layer: 'batchNorm',
      shape: [null, 6, 6, 4],
      params: 8,
      state: 8,
      multiplyAdds: 0,
    },
    { path: 'stem.relu_1', layer: 'relu', shape: [null, 6, 6, 4], params: 0, state: 0, multiplyAdds: 0 },
    {
      path: 'block.body',
      layer: 'conv2d',
      shape: [null, 6, 6, 8],
      params: 3 * 3 * 4 * 8 + 8,
      state: 0,
      multiplyAdds: 9 * 4 * 8 * 36,
    },
    {
      path: 'block.shortcut',
      layer: 'conv2d',
      shape: [null, 6, 6, 8],
      params: 4 * 8,
      state: 0,
      multiplyAdds: 4 * 8 * 36,
    },
    { path: 'block', layer: 'residual', shape: [null, 6, 6, 8], params: 0, state: 0, multiplyAdds: 0 },
    { path: 'pool', layer: 'maxPool2d', shape: [null, 3, 3, 8], params: 0, state: 0, multiplyAdds: 0 },
    { path: 'head.flatten_1', layer: 'flatten', shape: [null, 72], params: 0, state: 0, multiplyAdds: 0 },
    { path: 'head.dense_1', layer: 'dense', shape: [null, 10], params: 730, state: 0, multiplyAdds: 720 },
  ]);
});

test('adds up to what init makes', () => {
  const { params, state, output } = model.init(createKey(0), input);
  const rows = summary(model, input);
  expect(multiplyAdds(model, input)).toBe(9 * 4 * 36 + (9 * 4 * 8 + 4 * 8) * 36 + 720);
  const count = (tree: object): number =>
    treeLeaves<NdArray>(tree as never).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  expect(rows.reduce((sum, row) => sum + row.params, 0)).toBe(count(params));
  expect(rows.reduce((sum, row) => sum + row.state, 0)).toBe(count(state));
  expect(rows[rows.length - 1].output).toEqual(output);
});

test('counts a layer that is called twice once', () => {
  const layer = dense(64);
  const rows = summary(sequential([flatten(), layer, relu(), layer]), {
    dtype: 'float32',
    shape: [null, 64],
  });
  expect(rows.map(({ path, params }) => [path, params])).toEqual([
    ['flatten_1', 0],
    ['dense_1', 64 * 65],
    ['relu_1', 0],
    ['dense_1', 0],
  ]);
});

test('has one row for a model that is a layer, or a container of another package', () => {
  expect(summary(dense(2), { dtype: 'float32', shape: [null, 3] })).toEqual([
    {
      path: '',
      layer: 'dense',
      output: { dtype: 'float32', shape: [null, 2] },
      params: 8,
      state: 0,
      multiplyAdds: 6,
    },
  ]);
  const inner = dense(2);
  const foreign: Layer<{ readonly inner: never }, None> = Object.freeze({
    ...inner,
    spec: { layer: 'acme/wrapper', version: 1 },
    children: { inner },
  }) as never;
  const rows = summary(sequential([foreign]), { dtype: 'float32', shape: [null, 3] });
  expect(rows.map(({ path, params }) => [path, params])).toEqual([['acme/wrapper_1', 8]]);
});

test('throws what init throws', () => {
  expect(() => summary(sequential([dense(2)]), input)).toThrow('dense_1: expected [batch, features]');
});

describe('multiplyAdds', () => {
  const images = (size: number, channels: number): TensorSpec => ({
    dtype: 'float32',
    shape: [null, size, size, channels],
  });
  const sequence: TensorSpec = { dtype: 'float32', shape: [null, 6, 8] };

  test.each<[string, Layer, TensorSpec, number]>([
    ['dense', dense(5), { dtype: 'float32', shape: [null, 7] }, 7 * 5],
    ['dense, at each time', dense(5), sequence, 6 * 8 * 5],
    ['a strided convolution', conv2d(4, [3, 2], { strides: 2 }), images(9, 3), 3 * 2 * 3 * 4 * 4 * 4],
    ['a padded one', conv2d(4, 3, { padding: 'same' }), images(8, 3), 9 * 3 * 4 * 64],
    ['a dilated one', conv2d(4, 3, { dilation: 2 }), images(9, 3), 9 * 3 * 4 * 25],
    ['lstm', lstm(5), sequence, 6 * (8 * 20 + 5 * 20)],
    // Q, K, V and the output, Q·Kᵀ, weights·V.
    ['attention', multiHeadAttention({ heads: 2 }), sequence, 6 * 4 * 64 + 2 * 36 * 8],
    ['the causal one', multiHeadAttention({ heads: 4, causal: true }), sequence, 6 * 4 * 64 + 2 * 36 * 8],
    ['feedForward', feedForward({ ratio: 3 }), sequence, 6 * 2 * 3 * 64],
    ['a transformer', transformerBlock({ heads: 2 }), sequence, 6 * (4 + 8) * 64 + 2 * 36 * 8],
    ['a block that keeps the shape', resnetBlock(4), images(8, 4), 2 * 9 * 16 * 64],
    ['one that halves it', resnetBlock(8, { strides: 2 }), images(8, 4), (9 * 32 + 9 * 64 + 32) * 16],
    ['norms, pools and activations', sequential([batchNorm(), relu(), maxPool2d(2)]), images(8, 4), 0],
    ['a norm of a sequence', sequential([layerNorm(), gelu()]), sequence, 0],
    ['lookups', sequential([embedding(9, 8), positionEmbedding(6)]), { dtype: 'int32', shape: [null, 6] }, 0],
  ] as never)('of %s', (_, layer, spec, expected) => {
    expect(multiplyAdds(layer, spec)).toBe(expected);
  });

  test("of torchvision's resnet18 are those that fvcore counts", () => {
    const stage = (filters: number, strides: number) => [
      resnetBlock(filters, { strides }),
      resnetBlock(filters),
    ];
    const resnet18 = sequential([
      conv2d(64, 7, { strides: 2, padding: 'same', bias: false }),
      batchNorm(),
      relu(),
      maxPool2d(3, { strides: 2, padding: 'same' }),
      ...stage(64, 1),
      ...stage(128, 2),
      ...stage(256, 2),
      ...stage(512, 2),
      globalAvgPool2d(),
      dense(1000),
    ]);
    const rows = summary(resnet18, images(224, 3));
    expect(rows.reduce((sum, row) => sum + row.params, 0)).toBe(11_689_512);
    expect(multiplyAdds(resnet18, images(224, 3))).toBe(1_814_073_344);
  });

  test('of a layer that is called twice count twice', () => {
    const layer = dense(8);
    expect(multiplyAdds(sequential([layer, relu(), layer]), { dtype: 'float32', shape: [null, 8] })).toBe(
      128,
    );
  });

  test('are not known where a size is free, or the layer is of another package', () => {
    const free: TensorSpec = { dtype: 'float32', shape: [null, null, null, 3] };
    expect(multiplyAdds(sequential([conv2d(4, 3), globalAvgPool2d(), dense(2)]), free)).toBe(null);
    const foreign = Object.freeze({ ...dense(2), spec: { layer: 'acme/dense', version: 1 } });
    const vector: TensorSpec = { dtype: 'float32', shape: [null, 3] };
    expect(summary(sequential([foreign, dense(2)]), vector).map((row) => row.multiplyAdds)).toEqual([
      null,
      4,
    ]);
    expect(multiplyAdds(sequential([foreign, dense(2)]), vector)).toBe(null);
  });
});
