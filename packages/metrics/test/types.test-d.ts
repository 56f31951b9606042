import type { Json, Loss, LossValues, Metric } from '@tenon-ml/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { expectTypeOf } from 'vitest';
import {
  type AccuracyState,
  accuracy,
  type ClassCounts,
  type ClassScore,
  type ClassScoreOptions,
  type ClassScores,
  type ConfusionState,
  confusionMatrix,
  f1,
  type MeanState,
  mean,
  precision,
  recall,
} from '../src/index.js';

expectTypeOf(accuracy()).toEqualTypeOf<Metric<AccuracyState, number | null>>();
expectTypeOf(confusionMatrix({ classes: 3 })).toEqualTypeOf<
  Metric<ConfusionState, readonly (readonly number[])[]>
>();
expectTypeOf(mean('loss')).toEqualTypeOf<Metric<MeanState, number | null>>();

// The result of a score depends on its average.
for (const metric of [precision, recall, f1]) {
  expectTypeOf(metric()).toEqualTypeOf<ClassScore>();
  expectTypeOf(metric({ average: 'macro' })).toEqualTypeOf<ClassScore>();
  expectTypeOf(metric({ average: 'none' })).toEqualTypeOf<ClassScores>();
  expectTypeOf(metric({} as ClassScoreOptions)).toEqualTypeOf<ClassScore | ClassScores>();
}
expectTypeOf<ReturnType<ClassScore['compute']>>().toEqualTypeOf<number | null>();
expectTypeOf<ReturnType<ClassScores['compute']>>().toEqualTypeOf<readonly number[] | null>();

// States are JSON, and each is a metric among metrics.
expectTypeOf<AccuracyState | ClassCounts | ConfusionState | MeanState>().toExtend<Json>();
expectTypeOf([
  accuracy(),
  f1(),
  f1({ average: 'none' }),
  confusionMatrix({ classes: 2 }),
  mean('x'),
]).toExtend<readonly Metric[]>();

// Whatever gives values is a function of a mean, losses too.
expectTypeOf<Loss>().toExtend<NonNullable<Parameters<typeof mean>[1]>>();
expectTypeOf(mean).toBeCallableWith('x', (prediction: Tensor): Tensor => prediction);
expectTypeOf(mean).toBeCallableWith(
  'x',
  (values: Tensor, weights: Tensor): LossValues => ({ values, weights }),
);

// @ts-expect-error: the size of the matrix is needed
confusionMatrix();
// @ts-expect-error: no such average
precision({ average: 'samples' });
// @ts-expect-error: a name comes first
mean((prediction: Tensor) => prediction);
