import { buildLayer, createKey, type LayerSpec, type TensorSpec } from '@tenon-ml/core';
import { layers } from '@tenon-ml/layers/all';
import { describe, expect, test } from 'vitest';
import { fitNetwork, type PresetId, presets } from '../src/index.js';
import { preset } from './support.js';

const input = (...shape: number[]): TensorSpec => ({ dtype: 'float32', shape: [null, ...shape] });
const ids = (context: number): TensorSpec => ({ dtype: 'int32', shape: [null, context] });
const outputOf = (network: LayerSpec, spec: TensorSpec) =>
  buildLayer(network, layers).init(createKey(0), spec).output;

describe('presets', () => {
  test.each<[PresetId, TensorSpec, (number | null)[]]>([
    ['digits-mlp', input(8, 8, 1), [null, 10]],
    ['digits-cnn', input(8, 8, 1), [null, 10]],
    ['cifar10-cnn', input(32, 32, 3), [null, 10]],
    ['cifar10-resnet', input(32, 32, 3), [null, 10]],
    ['text-gpt', ids(64), [null, 64, 65]],
    ['table-mlp', input(4), [null, 3]],
    ['pictures-cnn', input(28, 28, 1), [null, 2]],
  ])('%s builds, and gives what its data asks for', (id, spec, shape) => {
    expect(outputOf(preset(id).network, spec)).toMatchObject({ shape });
    expect(preset(id).name).toBe(id);
  });

  test('are all named', () => {
    expect(new Set(presets.map(({ id }) => id)).size).toBe(7);
  });
});

describe('fitNetwork', () => {
  test('gives the last dense as many outputs as there are classes', () => {
    const fitted = fitNetwork(preset('digits-cnn'), { classes: 3, input: input(8, 8, 1) });
    expect(outputOf(fitted.network, input(8, 8, 1))).toMatchObject({ shape: [null, 3] });
    const { dense_1, dense_2 } = fitted.network.children as unknown as { [name: string]: LayerSpec };
    expect([dense_1.units, dense_2.units]).toEqual([128, 3]);
    const table = fitNetwork(preset('table-mlp'), { outputs: 1 });
    expect(outputOf(table.network, input(7))).toMatchObject({ shape: [null, 1] });
  });

  test('gives a text model its characters and places, and never fewer places', () => {
    const longer = fitNetwork(preset('text-gpt'), { vocabulary: 30, input: ids(100) });
    expect(outputOf(longer.network, ids(100))).toMatchObject({ shape: [null, 100, 30] });
    const shorter = fitNetwork(preset('text-gpt'), { vocabulary: 30, input: ids(10) });
    expect(outputOf(shorter.network, ids(64))).toMatchObject({ shape: [null, 64, 30] });
  });

  test('looks into containers, and leaves what fits alone', () => {
    const document = preset('digits-mlp');
    expect(fitNetwork(document, { classes: 10 })).toBe(document);
    const children = { body: document.network, end: { layer: 'relu', version: 1 } };
    const network = { layer: 'sequential', version: 1, children, order: ['body', 'end'] };
    const fitted = fitNetwork({ ...document, network }, { classes: 4 });
    expect(outputOf(fitted.network, input(8, 8, 1))).toMatchObject({ shape: [null, 4] });
    expect(Object.keys(fitted.network.children as object)).toEqual(['body', 'end']);
    const without = { ...document, network: { layer: 'flatten', version: 1 } };
    expect(fitNetwork(without, { classes: 4 })).toBe(without);
  });
});
