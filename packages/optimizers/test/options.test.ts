import { describe, expect, test } from 'vitest';
import {
  adagrad,
  adam,
  adamw,
  addDecayedWeights,
  clipByGlobalNorm,
  constant,
  cosineDecay,
  momentum,
  scaleByLearningRate,
  sgd,
  stepDecay,
  withWarmup,
} from '../src/index.js';

const nan = Number.NaN;

describe('options out of their ranges', () => {
  test.each<[string, () => unknown, where: string]>([
    ['a negative learning rate', () => sgd({ learningRate: -0.1 }), 'sgd, learningRate'],
    ['a learning rate of NaN', () => adam({ learningRate: nan }), 'adam, learningRate'],
    ['an infinite learning rate', () => adagrad({ learningRate: 1 / 0 }), 'adagrad, learningRate'],
    ['a learning rate that is text', () => adamw({ learningRate: '0.1' as never }), 'adamw, learningRate'],
    ['no learning rate', () => sgd({} as never), 'sgd, learningRate'],
    ['the same, as a transform', () => scaleByLearningRate(-1), 'scaleByLearningRate, learningRate'],
    ['momentum 1', () => sgd({ learningRate: 1, momentum: 1 }), 'momentum, decay'],
    ['negative momentum', () => sgd({ learningRate: 1, momentum: -0.5 }), 'momentum, decay'],
    ['momentum NaN', () => sgd({ learningRate: 1, momentum: nan }), 'momentum, decay'],
    ['the same, as a transform', () => momentum({ decay: 1.5 }), 'momentum, decay'],
    ['nesterov without momentum', () => sgd({ learningRate: 1, nesterov: true }), 'sgd, nesterov'],
    ['a negative decay', () => sgd({ learningRate: 1, weightDecay: -1 }), 'addDecayedWeights, weightDecay'],
    ['a decay of NaN', () => adamw({ weightDecay: nan }), 'addDecayedWeights, weightDecay'],
    ['the same, as a transform', () => addDecayedWeights(-1), 'addDecayedWeights, weightDecay'],
    ['beta1 of 1', () => adam({ beta1: 1 }), 'scaleByAdam, beta1'],
    ['a negative beta1', () => adam({ beta1: -0.1 }), 'scaleByAdam, beta1'],
    ['beta2 of 1', () => adamw({ beta2: 1 }), 'scaleByAdam, beta2'],
    ['beta2 that is text', () => adam({ beta2: '0.9' as never }), 'scaleByAdam, beta2'],
    ['epsilon 0', () => adam({ epsilon: 0 }), 'scaleByAdam, epsilon'],
    ['an epsilon that float32 takes for 0', () => adagrad({ epsilon: 1e-50 }), 'scaleByAdagrad, epsilon'],
    [
      'a negative accumulator',
      () => adagrad({ initialAccumulator: -1 }),
      'scaleByAdagrad, initialAccumulator',
    ],
    ['a bound of 0', () => clipByGlobalNorm(0), 'clipByGlobalNorm, maxNorm'],
    ['an infinite bound', () => clipByGlobalNorm(1 / 0), 'clipByGlobalNorm, maxNorm'],
    ['a negative constant', () => constant(-1), 'constant'],
    ['no steps', () => cosineDecay({ peak: 1, steps: 0 }), 'cosineDecay, steps'],
    ['a negative peak', () => cosineDecay({ peak: -1, steps: 2 }), 'cosineDecay, peak'],
    ['a negative end', () => cosineDecay({ peak: 1, steps: 2, end: -1 }), 'cosineDecay, end'],
    ['half a step of warm-up', () => cosineDecay({ peak: 1, steps: 2, warmup: 0.5 }), 'cosineDecay, warmup'],
    ['nothing but warm-up', () => cosineDecay({ peak: 1, steps: 2, warmup: 2 }), 'cosineDecay, warmup'],
    ['a drop after 0 steps', () => stepDecay({ initial: 1, every: 0, factor: 1 }), 'stepDecay, every'],
    ['a negative factor', () => stepDecay({ initial: 1, every: 1, factor: -1 }), 'stepDecay, factor'],
    ['a negative start', () => stepDecay({ initial: -1, every: 1, factor: 1 }), 'stepDecay, initial'],
    ['a warm-up of 0 steps', () => withWarmup(constant(1), 0), 'withWarmup, steps'],
  ])('%s', (_, make, where) => {
    expect(make).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT', where }));
  });

  test('what the edges of the ranges are', () => {
    expect(() => sgd({ learningRate: 0 })).not.toThrow();
    expect(() => adam({ beta1: 0, beta2: 0 })).not.toThrow();
    expect(() => cosineDecay({ peak: 1, steps: 2, warmup: 1 })).not.toThrow();
  });
});

describe('defaults are what the docstrings say', () => {
  test.each([
    [
      sgd({ learningRate: 1 }),
      { transform: 'sgd', learningRate: 1, momentum: 0, nesterov: false, weightDecay: 0 },
    ],
    [adagrad(), { transform: 'adagrad', learningRate: 0.01, epsilon: 1e-10, initialAccumulator: 0 }],
    [
      adam(),
      {
        transform: 'adam',
        learningRate: 1e-3,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        biasCorrection: true,
      },
    ],
    [
      adamw({
        mask: function matrices(_path, shape) {
          return shape.length > 1;
        },
      }),
      {
        transform: 'adamw',
        learningRate: 1e-3,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        biasCorrection: true,
        weightDecay: 0.01,
        mask: 'matrices',
      },
    ],
  ])('%#', (optimizer, spec) => {
    expect(optimizer.transform.spec).toEqual(spec);
  });
});
