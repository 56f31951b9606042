import { buildLayer, type LayerSpec } from '@tenon-ml/core';
import * as functions from '@tenon-ml/layers';
import { batchNorm, conv2d, dense, maxPool2d, relu, residual, sequential } from '@tenon-ml/layers';
import { layers } from '@tenon-ml/layers/all';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { insertLayer, layerCatalog, moveLayer, networkCode, presets } from '../src/index.js';

/** What the code makes, with the package's functions at hand. */
function evaluate(code: string): LayerSpec {
  const names = Object.keys(functions);
  const values = names.map((name) => (functions as { [name: string]: unknown })[name]);
  return new Function(...names, `return (${code});`)(...values).spec;
}

describe('networkCode', () => {
  test('makes the same network, of every preset', () => {
    for (const { document } of presets)
      expect(evaluate(networkCode(document.network))).toEqual(document.network);
  });

  test('of every layer, with its defaults and with other options', () => {
    for (const { defaults, options } of layerCatalog) {
      expect(evaluate(networkCode(defaults))).toEqual(defaults);
      for (const { name, kind, choices = [] } of options) {
        const values = {
          integer: [5],
          number: [0.5],
          boolean: [true, false],
          choice: choices,
          pair: [[2, 3], 2],
        };
        for (const value of values[kind]) {
          // Strides and dilation exclude each other.
          const { spec } = buildLayer({ ...defaults, [name]: value } as LayerSpec, layers);
          expect(evaluate(networkCode(spec))).toEqual(spec);
        }
      }
    }
  });

  test('of any network that edits make', () => {
    const spec = fc.constantFrom(...layerCatalog).map((entry) => entry.defaults);
    fc.assert(
      fc.property(
        fc.array(spec, { maxLength: 8 }),
        fc.array(fc.tuple(fc.nat(7), fc.nat(7)), { maxLength: 4 }),
        (specs, moves) => {
          let network = specs.reduce((made, one) => insertLayer(made, one), sequential([]).spec);
          for (const [which, to] of moves) {
            const { order } = network as unknown as { order: string[] };
            if (order.length > 0)
              network = moveLayer(network, order[which % order.length], to % order.length);
          }
          expect(evaluate(networkCode(network))).toEqual(network);
        },
      ),
    );
  });

  test('reads as people write it', () => {
    const network = sequential([
      conv2d(32, 3, {
        padding: 'same',
        kernelInitializer: { initializer: 'normal', standardDeviation: 0.1 },
      }),
      batchNorm({ momentum: 0.99 }),
      relu(),
      residual(conv2d(8, [3, 1], { strides: 2, bias: false }), {
        shortcut: conv2d(8, 1, { strides: [2, 1] }),
      }),
      maxPool2d(2, { strides: 1 }),
      sequential([dense(3)]),
    ]);
    expect(networkCode(network.spec).split('\n')).toEqual([
      'sequential([',
      '  conv2d(32, 3, {',
      "    padding: 'same',",
      "    kernelInitializer: { initializer: 'normal', standardDeviation: 0.1 },",
      '  }),',
      '  batchNorm({ momentum: 0.99 }),',
      '  relu(),',
      '  residual(',
      '    conv2d(8, [3, 1], { strides: 2, bias: false }),',
      '    { shortcut: conv2d(8, 1, { strides: [2, 1] }) },',
      '  ),',
      '  maxPool2d(2, { strides: 1 }),',
      '  sequential([dense(3)]),',
      '])',
    ]);
    const layer = dense(2);
    const twice = sequential({ 'a b': layer, end: relu() }, { order: ['a b', 'end', 'a b'] });
    expect(networkCode(twice.spec).split('\n')).toEqual([
      'sequential(',
      '  {',
      "    'a b': dense(2),",
      '    end: relu(),',
      '  },',
      "  { order: ['a b', 'end', 'a b'] },",
      ')',
    ]);
    expect(evaluate(networkCode(twice.spec))).toEqual(twice.spec);
  });

  test('throws for a network that does not build', () => {
    expect(() => networkCode({ layer: 'dens', version: 1 })).toThrow("There is no layer 'dens'");
  });
});
