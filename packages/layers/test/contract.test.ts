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
  flatten,
  maxPool2d,
  relu,
  residual,
  sequential,
  sigmoid,
  softmax,
  tanh,
} from '../src/index.js';

const input = (...shape: (number | null)[]): TensorSpec => ({ dtype: 'float32', shape: [null, ...shape] });
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
