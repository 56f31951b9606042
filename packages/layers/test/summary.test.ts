import {
  createKey,
  type Layer,
  type NdArray,
  type None,
  sizeOf,
  type TensorSpec,
  treeLeaves,
} from '@tenon-ml/core';
import { expect, test } from 'vitest';
import {
  batchNorm,
  conv2d,
  dense,
  flatten,
  maxPool2d,
  relu,
  residual,
  sequential,
  summary,
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
    { path: 'stem.conv2d_1', layer: 'conv2d', shape: [null, 6, 6, 4], params: 3 * 3 * 4 + 4, state: 0 },
    { path: 'stem.batchNorm_1', layer: 'batchNorm', shape: [null, 6, 6, 4], params: 8, state: 8 },
    { path: 'stem.relu_1', layer: 'relu', shape: [null, 6, 6, 4], params: 0, state: 0 },
    { path: 'block.body', layer: 'conv2d', shape: [null, 6, 6, 8], params: 3 * 3 * 4 * 8 + 8, state: 0 },
    { path: 'block.shortcut', layer: 'conv2d', shape: [null, 6, 6, 8], params: 4 * 8, state: 0 },
    { path: 'block', layer: 'residual', shape: [null, 6, 6, 8], params: 0, state: 0 },
    { path: 'pool', layer: 'maxPool2d', shape: [null, 3, 3, 8], params: 0, state: 0 },
    { path: 'head.flatten_1', layer: 'flatten', shape: [null, 72], params: 0, state: 0 },
    { path: 'head.dense_1', layer: 'dense', shape: [null, 10], params: 730, state: 0 },
  ]);
});

test('adds up to what init makes', () => {
  const { params, state, output } = model.init(createKey(0), input);
  const rows = summary(model, input);
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
    { path: '', layer: 'dense', output: { dtype: 'float32', shape: [null, 2] }, params: 8, state: 0 },
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
