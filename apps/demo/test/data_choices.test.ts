import type { TensorSpec } from '@tenon-ml/core';
import {
  type DataSpec,
  type ExperimentDocument,
  inspectNetwork,
  type PresetId,
  presets,
  readDocument,
  removeLayer,
  replaceLayer,
} from '@tenon-ml/experiment';
import { dense } from '@tenon-ml/layers';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { percents, type Split, type SplitPart, withShare } from '../src/data/split.js';
import { featuresOf, type TableSpec, withFeature, withTarget } from '../src/data/table_choice.js';
import { keepChoices } from '../src/studio/keep_choices.js';
import { adoptData, type DataEnds } from '../src/worker/adopt_data.js';

const documentOf = (wanted: PresetId): ExperimentDocument => {
  const found = presets.find(({ id }) => id === wanted);
  if (!found) throw new Error(`There is no preset ${wanted}.`);
  return found.document;
};

describe('the shares of a split', () => {
  const part = fc.constantFrom<SplitPart>('train', 'validation', 'test');
  const anySplit = fc
    .tuple(fc.integer({ min: 0, max: 99 }), fc.integer({ min: 0, max: 99 }))
    .map(([a, b]): Split => {
      const [validation, testing] = [a, Math.min(b, 99 - a)];
      return {
        train: (100 - validation - testing) / 100,
        validation: validation / 100,
        test: testing / 100,
      };
    });

  test('sum to 100 %, and documents take them, whatever is dragged', () => {
    const edits = fc.array(fc.tuple(part, fc.double({ min: -20, max: 130, noNaN: true })), { maxLength: 8 });
    fc.assert(
      fc.property(anySplit, edits, fc.boolean(), (begin, moves, fixedTest) => {
        let split = begin;
        for (const [which, percent] of moves) split = withShare(split, which, percent, fixedTest);
        const { train, validation, test: testing } = percents(split);
        expect(train + validation + testing).toBe(100);
        expect(Math.min(train - 1, validation, testing)).toBeGreaterThanOrEqual(0);
        expect(readDocument({ ...documentOf('digits-cnn'), split }).split).toEqual(split);
        if (fixedTest) expect(testing).toBe(percents(begin).test);
      }),
    );
  });

  test('the part that is dragged has what was asked for, as far as there is', () => {
    fc.assert(
      fc.property(anySplit, part, fc.integer({ min: 1, max: 99 }), (split, which, percent) => {
        expect(percents(withShare(split, which, percent))[which]).toBe(percent);
      }),
    );
  });

  test('the training part gives and takes; the others share what it gives', () => {
    const split = { train: 0.7, validation: 0.2, test: 0.1 };
    expect(withShare(split, 'validation', 25)).toEqual({ train: 0.65, validation: 0.25, test: 0.1 });
    expect(withShare(split, 'test', 0)).toEqual({ train: 0.8, validation: 0.2, test: 0 });
    expect(withShare(split, 'train', 40)).toEqual({ train: 0.4, validation: 0.4, test: 0.2 });
    expect(withShare(split, 'validation', 95)).toEqual({ train: 0.01, validation: 0.95, test: 0.04 });
  });
});

describe('the choices of a table', () => {
  const columns = [
    { name: 'length', numeric: true, distinct: 90 },
    { name: 'width', numeric: true, distinct: 80 },
    { name: 'legs', numeric: true, distinct: 3 },
    { name: 'place', numeric: false, distinct: 50 },
    { name: 'species', numeric: false, distinct: 3 },
  ];
  const table: TableSpec = {
    source: 'csv',
    file: 'data.csv',
    target: 'species',
    task: 'classification',
    features: ['length', 'legs'],
  };

  test('another target is a number or a class by its values, and no feature', () => {
    expect(withTarget(table, columns, 'length')).toEqual({
      ...table,
      target: 'length',
      task: 'regression',
      features: ['legs'],
    });
    expect(withTarget(table, columns, 'legs')).toMatchObject({
      task: 'classification',
      features: ['length'],
    });
    // A text can't be a feature.
    expect(withTarget(table, columns, 'place')).toMatchObject({
      task: 'classification',
      features: ['length', 'legs'],
    });
    // A number that was the target can.
    const back = withTarget(withTarget(table, columns, 'length'), columns, 'species');
    expect(back).toMatchObject({ target: 'species', features: ['length', 'legs'] });
    expect(withTarget(table, columns, 'no such column')).toBe(table);
  });

  test('where the target was the only feature, all numbers are features', () => {
    expect(withTarget({ ...table, features: ['legs'] }, columns, 'legs').features).toEqual([
      'length',
      'width',
    ]);
  });

  test('features come and go in the order of the columns, to the last but one', () => {
    expect(withFeature(table, columns, 'width', true).features).toEqual(['length', 'width', 'legs']);
    const one = withFeature(table, columns, 'legs', false);
    expect(one.features).toEqual(['length']);
    expect(withFeature(one, columns, 'length', false)).toBe(one);
    const { features: _, ...all } = table;
    expect(featuresOf(all, columns)).toEqual(['length', 'width', 'legs', 'place']);
  });

  test('files of the same kind keep the choices that still make sense', () => {
    const fresh: TableSpec = { ...table, file: 'new.csv', target: 'legs', features: ['width'] };
    const names = columns.map(({ name }) => name);
    expect(keepChoices(table, fresh, names)).toEqual({ ...table, file: 'new.csv' });
    expect(keepChoices(table, fresh, names.slice(1))).toBe(fresh);
    const text = { source: 'text', file: 'a.txt', context: 32, stepsPerEpoch: 7 } as const;
    expect(keepChoices(text, { ...text, file: 'b.txt', context: 64 }, [])).toEqual({
      ...text,
      file: 'b.txt',
    });
    expect(keepChoices({ source: 'cifar10', limit: 500 }, { source: 'cifar10' }, [])).toHaveProperty(
      'limit',
      500,
    );
    expect(keepChoices({ source: 'digits' }, fresh, names)).toBe(fresh);
  });
});

describe('the network on other data', () => {
  const pictures = (side: number, channels: number, outputs: number): DataEnds => ({
    task: 'classification',
    outputs,
    input: { dtype: 'float32', shape: [null, side, side, channels] },
  });
  const rows = (columns: number, outputs: number, task: DataEnds['task'] = 'classification'): DataEnds => ({
    task,
    outputs,
    input: { dtype: 'float32', shape: [null, columns] },
  });
  const characters: DataEnds = { task: 'text', outputs: 41, input: { dtype: 'int32', shape: [null, 100] } };
  const arrays: DataSpec = { source: 'arrays', file: 'data.safetensors', classNames: ['a', 'b', 'c'] };
  const csv: DataSpec = {
    source: 'csv',
    file: 'data.csv',
    target: 'y',
    task: 'classification',
    features: ['x'],
  };
  const text: DataSpec = { source: 'text', file: 'text.txt', context: 100, stepsPerEpoch: 9 };
  const outputOf = (document: ExperimentDocument, input: TensorSpec) =>
    inspectNetwork(document.network, input).output?.shape;
  /** With a layer that no preset has. */
  const edited = (document: ExperimentDocument): ExperimentDocument => ({
    ...document,
    name: 'mine',
    network: removeLayer(document.network, 'dropout_1'),
    training: { ...document.training, learningRate: 0.0123 },
  });

  test.each<[PresetId, DataSpec, DataEnds, PresetId]>([
    ['digits-cnn', { source: 'cifar10' }, pictures(32, 3, 10), 'cifar10-cnn'],
    ['digits-mlp', arrays, pictures(28, 1, 3), 'pictures-cnn'],
    ['digits-cnn', csv, rows(1, 2), 'table-mlp'],
    ['cifar10-cnn', text, characters, 'text-gpt'],
    ['text-gpt', { source: 'digits' }, pictures(8, 1, 10), 'digits-cnn'],
    ['cifar10-resnet', { source: 'digits' }, pictures(8, 1, 10), 'digits-cnn'],
  ])('%s gives way to the preset for %o', (from, data, ends, to) => {
    const before = { ...documentOf(from), seed: 5 };
    const after = adoptData(before, data, ends);
    const { split, preprocessing, augmentation, training } = documentOf(to);
    expect(after).toMatchObject({
      name: to,
      seed: 5,
      data,
      split,
      preprocessing,
      augmentation,
      training,
    });
    const places = ends.task === 'text' ? [null, 100, 41] : [null, ends.outputs];
    expect(outputOf(after, ends.input)).toEqual(places);
  });

  test("a network of the person's own stays where it takes the data, with its ends fitted", () => {
    const own = edited(documentOf('digits-cnn'));
    const after = adoptData(own, arrays, pictures(32, 3, 3));
    expect(after).toMatchObject({ name: 'mine', data: arrays, training: own.training });
    expect(after.network).toEqual(replaceLayer(own.network, 'dense_2', dense(3).spec));
    expect(outputOf(after, pictures(32, 3, 3).input)).toEqual([null, 3]);
  });

  test('but not where it does not', () => {
    const after = adoptData(edited(documentOf('digits-cnn')), csv, rows(1, 2));
    expect(after.name).toBe('mine');
    expect(after.network).toEqual(adoptData(documentOf('table-mlp'), csv, rows(1, 2)).network);
    // A dense layer takes pictures, but gives no class for each.
    const table = { ...documentOf('table-mlp'), name: 'mine' };
    const own = { ...table, network: removeLayer(table.network, 'relu_1') };
    expect(adoptData(own, { source: 'digits' }, pictures(8, 1, 10)).training).toEqual(
      documentOf('digits-cnn').training,
    );
  });

  test('a preset that was chosen for this source stays', () => {
    const document = documentOf('cifar10-resnet');
    expect(adoptData(document, { source: 'cifar10' }, pictures(32, 3, 10))).toEqual(document);
  });

  test('a regression has as many outputs as targets', () => {
    const data: DataSpec = { ...csv, task: 'regression' };
    const ends = rows(1, 1, 'regression');
    expect(outputOf(adoptData(documentOf('digits-cnn'), data, ends), ends.input)).toEqual([null, 1]);
  });
});
