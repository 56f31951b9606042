import type { TensorSpec } from '@tenon-ml/core';
import { checkLayer } from '@tenon-ml/testkit/layers';
import { describe, expect, test } from 'vitest';
import { layers } from '../src/all.js';
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
} from '../src/index.js';

const input = (...shape: (number | null)[]): TensorSpec => ({ dtype: 'float32', shape: [null, ...shape] });
const ids = (...shape: (number | null)[]): TensorSpec => ({ dtype: 'int32', shape: [null, ...shape] });
const shared = dense(4);
const noise = dropout(0.5);

const rows: readonly [string, ChildLayer, TensorSpec][] = [
  ['dense', dense(3), input(5)],
  ['dense on sequences', dense(3, { biasInitializer: 'ones' }), input(4, 5)],
  ['dense over a free time axis', dense(3), input(null, 5)],
  ['dense without bias', dense(3, { bias: false, kernelInitializer: 'heNormal' }), input(5)],
  ['conv2d', conv2d(3, 3), input(6, 5, 2)],
  ['conv2d on free sizes', conv2d(3, [3, 2], { padding: 'same', strides: 2 }), input(null, null, 2)],
  ['conv2d valid on free sizes', conv2d(2, 3, { strides: [2, 1] }), input(null, 7, 2)],
  [
    'conv2d dilated',
    conv2d(2, 3, {
      dilation: [2, 1],
      bias: false,
      kernelInitializer: { initializer: 'constant', value: 0.25 },
    }),
    input(7, 5, 2),
  ],
  ['conv2d dilated, same', conv2d(2, [2, 3], { dilation: [3, 2], padding: 'same' }), input(7, null, 1)],
  ['maxPool2d', maxPool2d(2), input(5, 6, 2)],
  ['maxPool2d, same', maxPool2d([3, 2], { strides: [1, 2], padding: 'same' }), input(null, 6, 2)],
  ['avgPool2d', avgPool2d(2), input(5, 6, 2)],
  ['avgPool2d, same', avgPool2d(3, { strides: 2, padding: 'same' }), input(5, null, 2)],
  ['batchNorm', batchNorm(), input(3)],
  ['batchNorm on images', batchNorm({ momentum: 0.5, epsilon: 0.125 }), input(4, null, 3)],
  ['batchNorm without scale', batchNorm({ scale: false }), input(3)],
  ['batchNorm without bias', batchNorm({ bias: false }), input(3)],
  ['batchNorm without parameters', batchNorm({ scale: false, bias: false }), input(2, 3)],
  ['dropout', dropout(0.3), input(20)],
  ['dropout of nothing', dropout(0), input(4, 5)],
  ['flatten', flatten(), input(3, 2, 4)],
  ['flatten of vectors', flatten(), input(3)],
  ['flatten of scalars', flatten(), input()],
  ['flatten of free sizes', flatten(), input(null, 2)],
  ['flatten of integers', flatten(), { dtype: 'int32', shape: [null, 2, 3] }],
  ['relu', relu(), input(3, 2, 2)],
  ['sigmoid', sigmoid(), input(3)],
  ['tanh', tanh(), input(3)],
  ['softmax', softmax(), input(4)],
  ['softmax on sequences', softmax(), input(null, 4)],
  ['gelu', gelu(), input(3, 2)],
  ['gelu, approximate', gelu({ approximate: true }), input(3)],
  ['embedding', embedding(10, 3), ids(4)],
  ['embedding over a free time axis', embedding(12, 2, { initializer: 'normal' }), ids(null)],
  ['embedding of one token', embedding(10, 3), ids()],
  ['positionEmbedding', positionEmbedding(4), input(4, 3)],
  ['positionEmbedding of shorter sequences', positionEmbedding(11, { initializer: 'ones' }), input(null, 3)],
  ['layerNorm', layerNorm(), input(4)],
  ['layerNorm on sequences', layerNorm({ epsilon: 0.125 }), input(null, 4)],
  ['lstm', lstm(3), input(4, 2)],
  ['lstm over a free time axis', lstm(2, { returnSequences: true, forgetBias: 0 }), input(null, 3)],
  ['lstm of one step', lstm(3, { returnSequences: true }), input(1, 2)],
  ['multiHeadAttention', multiHeadAttention({ heads: 2 }), input(3, 4)],
  [
    'multiHeadAttention, causal',
    multiHeadAttention({
      heads: 1,
      causal: true,
      kernelInitializer: 'lecunNormal',
      outputInitializer: 'zeros',
    }),
    input(null, 3),
  ],
  ['feedForward', feedForward({ ratio: 2 }), input(null, 3)],
  ['transformerBlock', transformerBlock({ heads: 2, causal: true, dropout: 0.25 }), input(3, 4)],
  ['transformerBlock, bidirectional', transformerBlock({ heads: 1, mlpRatio: 1 }), input(null, 2)],
  ['globalAvgPool2d', globalAvgPool2d(), input(3, null, 2)],
  ['resnetBlock', resnetBlock(2), input(4, null, 2)],
  ['resnetBlock of more filters', resnetBlock(3), input(3, 4, 2)],
  [
    'resnetBlock with strides',
    resnetBlock(2, { strides: 2, kernelInitializer: 'glorotNormal' }),
    input(5, 4, 2),
  ],
  [
    'sequential of a language model',
    sequential([
      embedding(10, 4),
      positionEmbedding(5),
      transformerBlock({ heads: 2, causal: true }),
      transformerBlock({ heads: 2, causal: true, dropout: 0.1 }),
      layerNorm(),
      dense(10),
    ]),
    ids(5),
  ],
  ['sequential of nothing', sequential([]), input(4)],
  [
    'sequential',
    sequential([
      conv2d(3, 3),
      batchNorm(),
      relu(),
      maxPool2d(2),
      dropout(0.2),
      flatten(),
      dense(4),
      softmax(),
    ]),
    input(8, 8, 1),
  ],
  [
    'sequential of objects',
    sequential({ stem: sequential([conv2d(3, 3), relu()]), gather: flatten(), head: dense(2) }),
    input(5, 5, 1),
  ],
  [
    'sequential with a layer that is called twice',
    sequential([shared, relu(), noise, shared, noise]),
    input(4),
  ],
  [
    'sequential with a batchNorm that is called twice',
    sequential({ norm: batchNorm(), mix: dense(3) }, { order: ['norm', 'mix', 'norm'] }),
    input(3),
  ],
  ['residual', residual(sequential([conv2d(2, 3, { padding: 'same' }), batchNorm()])), input(5, null, 2)],
  [
    'residual with a shortcut',
    residual(conv2d(4, 3, { padding: 'same', strides: 2 }), {
      shortcut: conv2d(4, 1, { strides: 2, bias: false }),
    }),
    input(5, 6, 2),
  ],
  ['residual without parameters', residual(tanh()), input(4)],
];

describe('the contract of layers', () => {
  test.each(rows)('%s', (_name, layer, spec) => checkLayer(layer, spec, { registry: layers }));

  test('every layer has a row', () => {
    const kinds = new Set(rows.map(([, layer]) => layer.spec.layer));
    expect([...kinds].sort()).toEqual(Object.keys(layers.layers).sort());
  });
});
