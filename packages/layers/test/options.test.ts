import { buildLayer, isTenonError, type LayerSpec } from '@tenon-ml/core';
import { describe, expect, test } from 'vitest';
import { layers } from '../src/all.js';
import {
  avgPool2d,
  batchNorm,
  conv2d,
  dense,
  dropout,
  embedding,
  feedForward,
  gelu,
  layerNorm,
  lstm,
  maxPool2d,
  multiHeadAttention,
  positionEmbedding,
  resnetBlock,
  transformerBlock,
} from '../src/index.js';

type Options = { readonly [name: string]: unknown };

/** Calls a layer's function with options as its spec has them. */
const calls: { readonly [layer: string]: (options: Options) => unknown } = {
  dense: ({ units, ...options }) => dense(units as number, options),
  conv2d: ({ filters, kernelSize, ...options }) => conv2d(filters as number, kernelSize as number, options),
  maxPool2d: ({ poolSize, ...options }) => maxPool2d(poolSize as number, options),
  avgPool2d: ({ poolSize, ...options }) => avgPool2d(poolSize as number, options),
  dropout: ({ rate }) => dropout(rate as number),
  batchNorm: (options) => batchNorm(options),
  gelu: (options) => gelu(options),
  embedding: ({ vocabulary, width, ...options }) => embedding(vocabulary as number, width as number, options),
  positionEmbedding: ({ length, ...options }) => positionEmbedding(length as number, options),
  layerNorm: (options) => layerNorm(options),
  lstm: ({ units, ...options }) => lstm(units as number, options),
  multiHeadAttention: (options) => multiHeadAttention(options as never),
  feedForward: (options) => feedForward(options),
  transformerBlock: (options) => transformerBlock(options as never),
  resnetBlock: ({ filters, ...options }) => resnetBlock(filters as number, options),
};

const conv = { filters: 2, kernelSize: 3 };
const invalid: readonly [layer: string, options: Options, message: string][] = [
  ['dense', { units: 0 }, 'expected units to be an integer of at least 1, got 0.'],
  ['dense', { units: 1.5 }, 'expected units to be an integer of at least 1, got 1.5.'],
  ['dense', { units: '8' }, 'expected units to be an integer of at least 1, got "8".'],
  ['dense', {}, 'expected units to be an integer of at least 1, got undefined.'],
  ['dense', { units: 1, bias: null }, 'expected bias to be true or false, got null.'],
  ['dense', { units: 1, bias: 'no' }, 'expected bias to be true or false, got "no".'],
  ['dense', { units: 1, activation: 'relu' }, "there is no option 'activation'. Known: units, bias, kernel"],
  [
    'dense',
    { units: 1, kernelInitialiser: 'zeros' },
    "no option 'kernelInitialiser'. Did you mean 'kernelInitializer'?",
  ],
  ['conv2d', { filters: -1, kernelSize: 3 }, 'expected filters to be an integer of at least 1, got -1.'],
  [
    'conv2d',
    { filters: 1 },
    'expected kernelSize to be an integer of at least 1, or [height, width] of such',
  ],
  ['conv2d', { ...conv, kernelSize: [3, 0] }, 'expected kernelSize to be an integer of at least 1'],
  ['conv2d', { ...conv, kernelSize: [3, 3, 3] }, 'got [3,3,3].'],
  ['conv2d', { ...conv, strides: 0 }, 'expected strides to be an integer of at least 1'],
  ['conv2d', { ...conv, dilation: [1, -1] }, 'expected dilation to be an integer of at least 1'],
  ['conv2d', { ...conv, padding: 'full' }, `expected padding to be 'valid' or 'same', got "full".`],
  [
    'conv2d',
    { ...conv, strides: [1, 2], dilation: [2, 1] },
    'expected dilation to be 1 where strides are above 1 ([1,2])',
  ],
  ['maxPool2d', { poolSize: 0 }, 'expected poolSize to be'],
  ['maxPool2d', { poolSize: 2, strides: [0, 1] }, 'expected strides to be'],
  ['avgPool2d', { poolSize: 2, padding: 1 }, "expected padding to be 'valid' or 'same', got 1."],
  ['avgPool2d', { poolSize: 2, dilation: 2 }, "there is no option 'dilation'"],
  ['dropout', { rate: 1.5 }, 'expected rate to be a number from 0 up to, but not including, 1, got 1.5.'],
  ['dropout', { rate: 1 }, 'got 1.'],
  ['dropout', { rate: -0.1 }, 'got -0.1.'],
  ['dropout', {}, 'got undefined.'],
  ['batchNorm', { momentum: 1.1 }, 'expected momentum to be a number from 0 to 1, got 1.1.'],
  ['batchNorm', { epsilon: 0 }, 'expected epsilon to be a number above 0, got 0.'],
  ['batchNorm', { scale: 1 }, 'expected scale to be true or false, got 1.'],
  ['batchNorm', { center: false }, "there is no option 'center'"],
  ['gelu', { approximate: 'tanh' }, 'expected approximate to be true or false, got "tanh".'],
  ['embedding', { width: 3 }, 'expected vocabulary to be an integer of at least 1, got undefined.'],
  ['embedding', { vocabulary: 3, width: 0 }, 'expected width to be an integer of at least 1, got 0.'],
  ['embedding', { vocabulary: 3, width: 2, kernelInitializer: 'ones' }, "no option 'kernelInitializer'"],
  ['positionEmbedding', { length: 2.5 }, 'expected length to be an integer of at least 1, got 2.5.'],
  ['layerNorm', { epsilon: 0 }, 'expected epsilon to be a number above 0, got 0.'],
  ['layerNorm', { axis: 1 }, "there is no option 'axis'"],
  ['lstm', { units: 0 }, 'expected units to be an integer of at least 1, got 0.'],
  ['lstm', { units: 2, returnSequences: 1 }, 'expected returnSequences to be true or false, got 1.'],
  ['lstm', { units: 2, forgetBias: '1' }, 'expected forgetBias to be a finite number, got "1".'],
  ['multiHeadAttention', {}, 'expected heads to be an integer of at least 1, got undefined.'],
  ['multiHeadAttention', { heads: 2, causal: 'yes' }, 'expected causal to be true or false, got "yes".'],
  ['feedForward', { ratio: 0 }, 'expected ratio to be an integer of at least 1, got 0.'],
  ['transformerBlock', { heads: -1 }, 'expected heads to be an integer of at least 1, got -1.'],
  [
    'transformerBlock',
    { heads: 2, mlpRatio: 0.5 },
    'expected mlpRatio to be an integer of at least 1, got 0.5.',
  ],
  ['transformerBlock', { heads: 2, dropout: 1 }, 'expected dropout to be a number from 0 up to'],
  ['transformerBlock', { heads: 2, outputInitializer: 3 }, 'expected outputInitializer to be an initializer'],
  ['resnetBlock', { filters: 0 }, 'expected filters to be an integer of at least 1, got 0.'],
  ['resnetBlock', { filters: 2, strides: 0 }, 'expected strides to be an integer of at least 1'],
];

describe('options that make no sense are refused', () => {
  test.each(invalid)('%s %o, in a call', (layer, options, message) => {
    expect(() => calls[layer](options)).toThrow(new RegExp(`^${layer}: `));
    expect(() => calls[layer](options)).toThrow(message);
    expect(() => calls[layer](options)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });

  test.each(invalid)('%s %o, in a saved spec', (layer, options, message) => {
    const spec = { layer, version: 1, ...options } as unknown as LayerSpec;
    expect(() => buildLayer(spec, layers, 'head.first')).toThrow('head.first: ');
    expect(() => buildLayer(spec, layers)).toThrow(message);
    expect(() => buildLayer(spec, layers)).toThrow(
      expect.objectContaining({ code: 'ARTIFACT_INVALID', where: layer }),
    );
  });

  test.each(['relu', 'sigmoid', 'tanh', 'softmax', 'flatten', 'globalAvgPool2d'])(
    '%s takes none',
    (layer) => {
      expect(() => buildLayer({ layer, version: 1, axis: 1 }, layers)).toThrow(
        "there is no option 'axis'. It takes none.",
      );
    },
  );

  test('each layer with options is in the table', () => {
    expect(new Set(invalid.map(([layer]) => layer))).toEqual(new Set(Object.keys(calls)));
  });
});

describe('specs', () => {
  test('hold every option, so that later defaults change no saved model', () => {
    expect(dense(3).spec).toEqual({
      layer: 'dense',
      version: 1,
      units: 3,
      bias: true,
      kernelInitializer: 'glorotUniform',
      biasInitializer: 'zeros',
    });
    expect(conv2d(4, 3, { strides: 2 }).spec).toEqual({
      layer: 'conv2d',
      version: 1,
      filters: 4,
      kernelSize: [3, 3],
      strides: [2, 2],
      padding: 'valid',
      dilation: [1, 1],
      bias: true,
      kernelInitializer: 'glorotUniform',
      biasInitializer: 'zeros',
    });
    expect(batchNorm().spec).toEqual({
      layer: 'batchNorm',
      version: 1,
      momentum: 0.9,
      epsilon: 1e-5,
      scale: true,
      bias: true,
    });
    expect(dropout(0.25).spec).toEqual({ layer: 'dropout', version: 1, rate: 0.25 });
  });

  test('that leave options out mean the defaults of version 1', () => {
    const built = buildLayer({ layer: 'conv2d', version: 1, filters: 4, kernelSize: 3 }, layers);
    expect(built.spec).toEqual(conv2d(4, 3).spec);
  });

  test('of a newer version are refused as such', () => {
    const build = () => buildLayer({ layer: 'dense', version: 2, units: 1 }, layers);
    expect(build).toThrow(expect.objectContaining({ code: 'FORMAT_TOO_NEW' }));
  });

  test("are not the caller's objects", () => {
    const kernelSize: [number, number] = [3, 3];
    const initializer = { initializer: 'constant', value: 1 } as const;
    const options = { kernelInitializer: { ...initializer } };
    const layer = conv2d(2, kernelSize, options);
    kernelSize[0] = 5;
    (options.kernelInitializer as { value: number }).value = 2;
    expect(layer.spec).toMatchObject({ kernelSize: [3, 3], kernelInitializer: initializer });
    expect(isTenonError(layer)).toBe(false);
  });
});
