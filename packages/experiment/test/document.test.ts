import { createKey, type LayerSpec, TenonError } from '@tenon-ml/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseDocument, presets, readDocument } from '../src/index.js';

type Draft = { [name: string]: never } & { training: object; data: object };
const valid = JSON.parse(JSON.stringify(presets[0].document)) as Draft;

function messageOf(value: unknown, where?: string): string {
  try {
    readDocument(value, where);
  } catch (error) {
    if (error instanceof TenonError) return `${error.code} ${error.message}`;
  }
  return 'no error';
}

const without = (name: string) => Object.fromEntries(Object.entries(valid).filter(([key]) => key !== name));
const withTraining = (change: object) => ({ ...valid, training: { ...valid.training, ...change } });

describe('readDocument', () => {
  test('gives back every preset, through JSON', () => {
    for (const { document } of presets) {
      expect(readDocument(JSON.parse(JSON.stringify(document)))).toEqual(document);
      expect(parseDocument(JSON.stringify(document))).toEqual(document);
    }
  });

  test.each<[string, unknown, string]>([
    ['no object', 3, 'document: expected an object, got 3.'],
    ['a list', [], 'document: expected an object, got [].'],
    [
      'another format',
      { ...valid, format: 'x' },
      'document, format: expected \'tenon-experiment\', got "x".',
    ],
    ['no version', { ...valid, version: 0 }, 'document, version: expected an integer of at least 1, got 0.'],
    ['no seed', without('seed'), 'document, seed: expected an integer of at least 0, got nothing.'],
    ['no split', without('split'), 'document, split: expected an object, got nothing.'],
    [
      'a field that is not known',
      { ...valid, sed: 1 },
      "document: there is no field 'sed'. Did you mean 'seed'?",
    ],
    [
      'one further in',
      withTraining({ epocs: 1 }),
      "document, training: there is no field 'epocs'. Did you mean 'epochs'?",
    ],
    [
      'no epochs',
      withTraining({ epochs: 0 }),
      'document, training.epochs: expected an integer of at least 1, got 0.',
    ],
    [
      'half an epoch',
      withTraining({ epochs: 0.5 }),
      'document, training.epochs: expected an integer of at least 1, got 0.5.',
    ],
    [
      'text for a number',
      withTraining({ learningRate: '1' }),
      'document, training.learningRate: expected a number of at least 0, got "1".',
    ],
    [
      'a rate that is infinite',
      withTraining({ learningRate: Number.POSITIVE_INFINITY }),
      'document, training.learningRate: expected a number of at least 0, got Infinity.',
    ],
    [
      'another optimizer',
      withTraining({ optimizer: 'lion' }),
      "document, training.optimizer: expected 'adam', 'adamw' or 'sgd', got \"lion\".",
    ],
    [
      'another source',
      { ...valid, data: { source: 'x' } },
      "document, data.source: expected 'digits', 'cifar10', 'csv', 'arrays' or 'text', got \"x\".",
    ],
    [
      'a field of another source',
      { ...valid, data: { source: 'digits', limit: 3 } },
      "document, data: there is no field 'limit'. Known: source.",
    ],
    [
      'a CSV without a target',
      { ...valid, data: { source: 'csv', file: 'a.csv', task: 'regression' } },
      'document, data.target: expected the name of a column, got nothing.',
    ],
    [
      'no classes',
      { ...valid, data: { source: 'arrays', file: 'a', classNames: [] } },
      'document, data.classNames: expected a list of names, got [].',
    ],
    [
      'no network',
      { ...valid, network: { layer: 'dense' } },
      `document, network: expected a layer's spec such as { "layer": "dense", "version": 1, "units": 10 }, got {"layer":"dense"}.`,
    ],
    [
      'a list with something else than layers',
      { ...valid, network: { layer: 'sequential', version: 1, children: { a: null } } },
      `document, network: expected a layer's spec such as { "layer": "dense", "version": 1, "units": 10 }, got {"layer":"sequential","version":1,"children":{"a":null}}.`,
    ],
    [
      'a list within a list whose order is none',
      {
        ...valid,
        network: {
          layer: 'sequential',
          version: 1,
          children: { a: { layer: 'sequential', version: 1, children: {}, order: 5 } },
        },
      },
      `document, network: expected a layer's spec such as { "layer": "dense", "version": 1, "units": 10 }, got {"layer":"sequential","version":1,"children":{"a":{"layer":"sequential","version.`,
    ],
    [
      'shares that are not 1',
      { ...valid, split: { train: 0.5, validation: 0.2, test: 0.2 } },
      'document, split: expected shares whose sum is 1, got 0.5, 0.2 and 0.2, whose sum is 0.9.',
    ],
    [
      'a negative share',
      { ...valid, split: { train: 0.9, validation: -0.1, test: 0.2 } },
      'document, split.validation: expected a number from 0 to 1, got -0.1.',
    ],
    [
      'nothing to train on',
      { ...valid, split: { train: 0, validation: 0.5, test: 0.5 } },
      'document, split.train: expected a number above 0, up to 1, got 0.',
    ],
  ])('refuses %s', (_, document, message) => {
    expect(messageOf(document)).toBe(`INVALID_ARGUMENT ${message}`);
  });

  test('takes shares that round', () => {
    const split = { train: 1 / 3, validation: 1 / 3, test: 0.333333 };
    expect(readDocument({ ...valid, split })).toMatchObject({ split });
  });

  test('says that a newer document is newer, whatever it holds, and where', () => {
    expect(messageOf({ format: 'tenon-experiment', version: 2, other: 1 }, 'a.json')).toMatch(
      /^FORMAT_TOO_NEW a\.json: expected experiment documents in version 1 or older, got version 2\./,
    );
    expect(messageOf({ ...valid, seed: -1 }, 'a.json')).toContain('a.json, seed: expected');
    expect(() => parseDocument('{', 'a.json')).toThrow('a.json: expected JSON, got text that does not parse');
  });

  test('takes no document in which a value is of another kind', () => {
    const paths = (value: unknown, at: string[] = []): string[][] =>
      typeof value === 'object' && value !== null && !Array.isArray(value)
        ? Object.entries(value).flatMap(([name, child]) => paths(child, [...at, name]))
        : [at];
    const outer = paths(without('network'));
    expect(outer.length).toBeGreaterThan(15);
    const wrong = fc.constantFrom<unknown>(null, [], {}, Number.NaN);
    fc.assert(
      fc.property(fc.constantFrom(...outer), wrong, (path, value) => {
        const document = structuredClone(valid);
        let node = document as { [name: string]: unknown };
        for (const name of path.slice(0, -1)) node = node[name] as { [name: string]: unknown };
        node[path[path.length - 1]] = value;
        expect(messageOf(document)).toMatch(/^INVALID_ARGUMENT document, /);
      }),
    );
  });

  test('refuses a network nested without end, and one that JSON has no word for', () => {
    let network: LayerSpec = { layer: 'flatten', version: 1 };
    for (let i = 0; i < 100; i++) network = { layer: 'residual', version: 1, children: { body: network } };
    const refusal = "document, network: expected a layer's spec";
    expect(messageOf({ ...valid, network })).toContain(refusal);
    const foreign = { layer: 'x', version: 1, key: createKey(1).foldIn };
    expect(messageOf({ ...valid, network: foreign })).toContain(refusal);
  });
});
