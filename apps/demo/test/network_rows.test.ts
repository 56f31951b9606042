import type { LayerSpec, TensorSpec } from '@tenon-ml/core';
import { inspectNetwork, presets } from '@tenon-ml/experiment';
import { layerList } from '@tenon-ml/experiment/document';
import { dense, relu, sequential, transformerBlock } from '@tenon-ml/layers';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { editList, layerRows, listAt, resizeStack, setOption, stackOf } from '../src/network/rows.js';
import { formatOutput, outputFits } from '../src/network/shapes.js';
import { highlight } from '../src/parts/highlight.js';
import { plainRow } from '../src/worker/network_table.js';

const rowInput: TensorSpec = { dtype: 'float32', shape: [null, 4] };
const nested = sequential({ body: sequential([dense(8), relu()]), head: dense(3) }).spec;
const tableOf = (network: LayerSpec) => inspectNetwork(network, rowInput).rows.map(plainRow);
const blocks = (count: number) =>
  sequential([
    dense(8),
    ...Array.from({ length: count }, () => transformerBlock({ heads: 2, causal: true })),
    dense(3),
  ]).spec;
const kinds = (network: LayerSpec) => layerList(network)?.order;

describe('layerRows', () => {
  test('lists the layers within a list after it, each with its own figures', () => {
    const rows = layerRows(nested, tableOf(nested));
    expect(rows.map(({ key, path, holds, figures }) => [key, path, holds, figures?.params])).toEqual([
      ['body', [], true, 40],
      ['body/dense_1', ['body'], false, 40],
      ['body/relu_1', ['body'], false, 0],
      ['head', [], false, 27],
    ]);
  });

  test('keeps the figures of layers that an edit moved, until there are new ones', () => {
    const table = tableOf(nested);
    const moved = { ...nested, order: ['head', 'body'] };
    const rows = layerRows(moved, table);
    expect(rows.map(({ key, figures }) => [key, figures?.params])).toEqual([
      ['head', 27],
      ['body', 40],
      ['body/dense_1', 40],
      ['body/relu_1', 0],
    ]);
    expect(layerRows(nested, []).every(({ figures }) => figures === null)).toBe(true);
  });

  test('tells further calls of a layer from its first', () => {
    const twice = { ...nested, order: ['head', 'body', 'head'] };
    const rows = layerRows(twice, []).filter(({ name }) => name === 'head');
    expect(rows.map(({ key, again, place, calls }) => [key, again, place, calls])).toEqual([
      ['head', false, 0, 3],
      ['head#2', true, 2, 3],
    ]);
  });
});

describe('editList', () => {
  test('changes the list at a path, and nothing else', () => {
    const edited = editList(nested, ['body'], (list) => setOption(list, ['dense_1'], 'units', 5));
    expect(listAt(edited, ['body', 'dense_1'])).toMatchObject({ units: 5 });
    expect(listAt(edited, ['head'])).toBe(listAt(nested, ['head']));
    expect(listAt(nested, ['body', 'dense_1'])).toMatchObject({ units: 8 });
    expect(editList(nested, ['nowhere'], () => nested)).toBe(nested);
    expect(listAt(nested, ['nowhere'])).toBe(undefined);
  });
});

describe('stacks', () => {
  test('are blocks of a kind in a row, whichever of them is asked for', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), fc.nat(), (count, at) => {
        const stack = stackOf(blocks(count), 1 + (at % count));
        expect(stack).toMatchObject({ start: 1, alike: true });
        expect(stack?.names).toHaveLength(count);
      }),
    );
    expect(stackOf(blocks(2), 0)).toBe(null);
    const resnet = presets.find(({ id }) => id === 'cifar10-resnet')?.document.network as LayerSpec;
    expect(stackOf(resnet, 4)).toMatchObject({ start: 3, alike: false });
  });

  test('grow behind their last block and shrink from it; what is around stays', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 8 }), (count, wanted) => {
        const network = blocks(count);
        const stack = stackOf(network, 1);
        if (!stack) throw new Error('no stack');
        const resized = resizeStack(network, stack, wanted);
        const names = Array.from({ length: wanted }, (_, i) => `transformerBlock_${i + 1}`);
        expect(kinds(resized)).toEqual(['dense_1', ...names, 'dense_2']);
      }),
    );
  });

  test('change together', () => {
    const network = blocks(3);
    const stack = stackOf(network, 2);
    const changed = setOption(network, stack?.names ?? [], 'heads', 4);
    const { children } = layerList(changed) ?? {};
    expect(Object.values(children ?? {}).map(({ heads }) => heads)).toEqual([undefined, 4, 4, 4, undefined]);
    expect(kinds(changed)).toEqual(kinds(network));
  });
});

test('outputs are shown without the batch', () => {
  expect(formatOutput([null, 8, 8, 32])).toBe('8 × 8 × 32');
  expect(formatOutput([null])).toBe('1');
  expect(formatOutput([null, null, 4])).toBe('? × 4');
  expect(formatOutput(null)).toBe('–');
});

test('an output fits where it gives a number for each class, of a text at each place', () => {
  const classNames = ['a', 'b', 'c'];
  expect(outputFits([null, 3], { kind: 'images', classNames })).toBe(true);
  expect(outputFits([null, 4], { kind: 'images', classNames })).toBe(false);
  expect(outputFits([null, 2, 2, 3], { kind: 'images', classNames })).toBe(false);
  expect(outputFits([null, 3], { kind: 'text', classNames })).toBe(false);
  expect(outputFits([null, 16, 3], { kind: 'text', classNames })).toBe(true);
  expect(outputFits([null, 7], { kind: 'table', classNames: [] })).toBe(true);
});

describe('highlight', () => {
  test('leaves the text as it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'a1 \'"`/*\\\n.const ') }), (code) => {
        expect(
          highlight(code)
            .map(({ text }) => text)
            .join(''),
        ).toBe(code);
      }),
    );
  });

  test('tells comments, strings, keywords and numbers apart', () => {
    const spans = highlight("const rate2 = 3e-3; // 'no string'\nimport '4';");
    expect(spans.filter(({ kind }) => kind !== 'plain')).toEqual([
      { kind: 'keyword', text: 'const' },
      { kind: 'number', text: '3e-3' },
      { kind: 'comment', text: "// 'no string'" },
      { kind: 'keyword', text: 'import' },
      { kind: 'string', text: "'4'" },
    ]);
  });
});
