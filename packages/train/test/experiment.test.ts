import { describe, expect, test } from 'vitest';
import { defineExperiment, isExperiment, resolveOptions } from '../src/index.js';
import { parts, shuffledBatches } from './support.js';

const experiment = defineExperiment({
  name: 'mine',
  description: 'Points',
  options: { epochs: 3, learningRate: 0.01, wide: false, kind: 'small' },
  setup: ({ epochs }) => ({ ...parts(), epochs, train: shuffledBatches() }),
});

describe('options', () => {
  test('are the defaults with what was given', () => {
    expect(resolveOptions(experiment, {})).toEqual(experiment.options);
    expect(resolveOptions(experiment, { wide: true, epochs: 9 })).toEqual({
      epochs: 9,
      learningRate: 0.01,
      wide: true,
      kind: 'small',
    });
    expect(experiment.options.epochs).toBe(3);
  });

  test('that there are not: the nearest', () => {
    expect(() => resolveOptions(experiment, { epoch: 3 })).toThrow(
      "mine: There is no option 'epoch'. Did you mean 'epochs'?",
    );
    expect(() => resolveOptions(experiment, { toString: 'x' })).toThrow("no option 'toString'");
  });

  test.each<[string, number | string | boolean, string]>([
    ['epochs', '3', 'expected a number such as 3, got "3"'],
    ['epochs', Number.NaN, 'expected a number such as 3, got NaN'],
    ['learningRate', Number.POSITIVE_INFINITY, 'expected a number such as 0.01, got Infinity'],
    ['wide', 1, 'expected a boolean such as false, got 1'],
    ['kind', true, 'expected a string such as "small", got true'],
  ])('%s = %s is refused', (name, value, message) => {
    expect(() => resolveOptions(experiment, { [name]: value })).toThrow(`mine, option ${name}: ${message}`);
  });
});

describe('an experiment', () => {
  test('is frozen, and told from other values', () => {
    expect(Object.isFrozen(experiment)).toBe(true);
    expect(isExperiment(experiment)).toBe(true);
    const { setup, ...rest } = experiment;
    for (const other of [undefined, null, 'mine', setup, rest, { ...experiment, options: null }, { setup }]) {
      expect(isExperiment(other)).toBe(false);
    }
  });
});
