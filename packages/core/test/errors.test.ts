import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isTenonError, nearestNames, TenonError, unknownName } from '../src/index.js';

describe('TenonError', () => {
  it('says where, what was expected, what came, and what to do', () => {
    const cause = new Error('below');
    const error = new TenonError({
      code: 'SHAPE_MISMATCH',
      where: 'head.dense_1',
      expected: '[batch, features]',
      got: '[batch, 4, 4, 64]',
      hint: 'Add flatten() before it.',
      cause,
    });
    expect(error.message).toBe(
      'head.dense_1: expected [batch, features], got [batch, 4, 4, 64]. Add flatten() before it.',
    );
    expect(error.name).toBe('TenonError');
    expect(error.cause).toBe(cause);
    expect(error).toBeInstanceOf(Error);
    expect(JSON.parse(JSON.stringify(error))).toEqual({
      code: 'SHAPE_MISMATCH',
      message: error.message,
      where: 'head.dense_1',
      expected: '[batch, features]',
      got: '[batch, 4, 4, 64]',
      hint: 'Add flatten() before it.',
    });
  });

  it('has only what it was given', () => {
    const error = new TenonError({ code: 'USAGE', message: 'no such thing' });
    expect(error.message).toBe('no such thing.');
    expect(Object.keys(error.toJSON())).toEqual(['code', 'message']);
    expect('cause' in error).toBe(false);
    expect(new TenonError({ code: 'USAGE', expected: 'a file' }).message).toBe('expected a file.');
    expect(new TenonError({ code: 'USAGE', message: 'Really?', where: 'here' }).message).toBe(
      'here: Really?',
    );
  });

  it('takes the place around it', () => {
    const cause = new Error('below');
    const inner = new TenonError({
      code: 'NOT_FINITE',
      where: 'conv1',
      expected: 'a number',
      got: 'NaN',
      hint: 'Lower the rate.',
      cause,
    });
    const outer = inner.within('step 3');
    expect(outer.message).toBe('step 3, conv1: expected a number, got NaN. Lower the rate.');
    expect(outer).toMatchObject({
      code: 'NOT_FINITE',
      where: 'step 3, conv1',
      expected: 'a number',
      got: 'NaN',
    });
    expect([outer.hint, outer.cause]).toEqual(['Lower the rate.', cause]);
    expect(isTenonError(outer)).toBe(true);
    const plain = new TenonError({ code: 'USAGE', message: 'no' }).within('here');
    expect([plain.message, plain.where]).toEqual(['here: no.', 'here']);
  });

  it('is known by its mark, not by its class', () => {
    const error = new TenonError({ code: 'USAGE', message: 'x' });
    expect(isTenonError(error)).toBe(true);
    // As another copy of the package would make it.
    const foreign = Object.defineProperty(new Error('x'), Symbol.for('@tenon-ml/core/TenonError'), {
      value: true,
    });
    expect(isTenonError(foreign)).toBe(true);
    for (const other of [new Error('x'), { code: 'USAGE', name: 'TenonError' }, null, undefined, 'USAGE']) {
      expect(isTenonError(other)).toBe(false);
    }
    expect(Object.keys(error)).not.toContain('Symbol(@tenon-ml/core/TenonError)');
  });
});

describe('nearestNames', () => {
  const known = ['adam', 'adamw', 'adagrad', 'sgd', 'softmaxCrossEntropy'];

  it.each([
    ['adma', ['adam', 'adamw']],
    ['Adam', ['adam', 'adamw']],
    ['ada', ['adam', 'adamw', 'adagrad']],
    ['sdg', ['sgd']],
    ['softmax', ['softmaxCrossEntropy']],
    ['softmaxCrosEntropie', ['softmaxCrossEntropy']],
    ['transformer', []],
    ['', []],
  ])('of %j are %j', (name, expected) => {
    expect(nearestNames(name, known)).toEqual(expected);
  });

  it('puts a name itself first, and gives no more than asked', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 1 }), fc.nat(), (names, at) => {
        const name = names[at % names.length];
        const found = nearestNames(name, names, 2);
        expect(found.length).toBeLessThanOrEqual(2);
        expect(found.every((candidate) => names.includes(candidate))).toBe(true);
        expect(found[0].toLowerCase()).toBe(name.toLowerCase());
      }),
    );
  });
});

describe('unknownName', () => {
  it('suggests the nearest, or lists what is there', () => {
    expect(unknownName('recipe', 'digits-cn', ['digits-cnn', 'iris']).message).toBe(
      "There is no recipe 'digits-cn'. Did you mean 'digits-cnn'?",
    );
    expect(unknownName('layer', 'x9', ['dense', 'conv2d'], 'model').message).toBe(
      "model: There is no layer 'x9'. Known: dense, conv2d.",
    );
    expect(unknownName('layer', 'dense', []).message).toBe("There is no layer 'dense'.");
    expect(unknownName('layer', 'dense', []).code).toBe('UNKNOWN_NAME');
  });
});
