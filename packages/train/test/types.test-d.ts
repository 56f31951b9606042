import type { AnyLayer, Layer, Leaf, Loss, Params } from '@tenon-ml/core';
import { digits } from '@tenon-ml/data/digits';
import { dense, flatten, sequential } from '@tenon-ml/layers';
import { meanSquaredError, softmaxCrossEntropy } from '@tenon-ml/losses';
import { accuracy, confusionMatrix } from '@tenon-ml/metrics';
import { adam } from '@tenon-ml/optimizers';
import type { Tensor } from '@tensorflow/tfjs-core';
import { expectTypeOf } from 'vitest';
import {
  type AnyLoss,
  type AnyPlan,
  createTrainer,
  defineExperiment,
  type Experiment,
  type Plan,
  type RunOptions,
  type TrainEvent,
  type TrainerOptions,
} from '../src/index.js';
import { backend, points } from './support.js';

type Two = { readonly left: Tensor; readonly right: Tensor };
declare const one: Layer<Params<Leaf>, Params<Leaf>, Tensor, Tensor>;
declare const twoIn: Layer<Params<Leaf>, Params<Leaf>, Two, Tensor>;
declare const twoOut: Layer<Params<Leaf>, Params<Leaf>, Tensor, Two>;
declare const lossOfTwo: Loss<Two, Two>;
const optimizer = adam({ learningRate: 0.1 });
const loss = softmaxCrossEntropy();

// A loss takes what the model gives out.
createTrainer({ model: sequential([dense(3)]), loss, optimizer, metrics: [accuracy()], backend });
createTrainer({ model: sequential({ a: dense(3) }), loss: meanSquaredError(), optimizer, backend });
createTrainer({ model: twoOut, loss: lossOfTwo, optimizer, backend });
// @ts-expect-error a loss of one output for a model of two
createTrainer({ model: twoOut, loss, optimizer, backend });
// @ts-expect-error a loss of two outputs for a model of one
createTrainer({ model: one, loss: lossOfTwo, optimizer, backend });

// The input is described as the model takes it.
const spec = { shape: [null, 4], dtype: 'float32' } as const;
createTrainer({ model: one, loss, optimizer, backend, input: spec });
createTrainer({ model: twoIn, loss, optimizer, backend, input: { left: spec, right: spec } });
// @ts-expect-error one input for a model of two
createTrainer({ model: twoIn, loss, optimizer, backend, input: spec });
// @ts-expect-error one of two inputs is missing
createTrainer({ model: twoIn, loss, optimizer, backend, input: { left: spec } });
// @ts-expect-error a backend is handed in
createTrainer({ model: one, loss, optimizer });

expectTypeOf<TrainerOptions>().toEqualTypeOf<TrainerOptions<Tensor, Tensor, Tensor>>();
expectTypeOf(loss).toExtend<AnyLoss>();
expectTypeOf(lossOfTwo).toExtend<AnyLoss>();

// Events are told apart by their type.
declare const event: TrainEvent;
if (event.type === 'epoch') {
  expectTypeOf(event.train.loss).toEqualTypeOf<number>();
} else if (event.type === 'end') {
  expectTypeOf(event.reason).toEqualTypeOf<'completed' | 'early-stopping' | 'aborted'>();
}

// Batches of any arrays are data for training.
expectTypeOf(digits().batch(8)).toExtend<NonNullable<RunOptions['validation']>>();

// An experiment's options are inferred from their defaults, without their values.
const experiment = defineExperiment({
  name: 'mine',
  description: '',
  options: { epochs: 10, learningRate: 1e-3, wide: false, kind: 'small' },
  async setup(options, { key, seed, data }) {
    expectTypeOf(options).toEqualTypeOf<{
      readonly epochs: number;
      readonly learningRate: number;
      readonly wide: boolean;
      readonly kind: string;
    }>();
    expectTypeOf(seed).toEqualTypeOf<number>();
    expectTypeOf(data).toEqualTypeOf<string | undefined>();
    const { train, test } = await digits().split({ train: 0.8, test: 0.2 }, { key });
    return {
      model: sequential([flatten(), dense(10)]),
      loss,
      optimizer,
      metrics: [accuracy(), confusionMatrix({ classes: 10 })],
      epochs: options.epochs,
      train: train.shuffle({ key }).batch(32),
      test: test.batch(32),
    };
  },
});
// Whatever its options, it is an experiment: a list of recipes needs no cast.
expectTypeOf(experiment).toExtend<Experiment>();
defineExperiment({
  name: 'unfit',
  description: '',
  options: {},
  // @ts-expect-error a loss of one output for a model of two
  setup: () => ({ model: twoOut, loss, optimizer, epochs: 1, train: points(8).batch(4) }),
});
defineExperiment({
  name: 'incomplete',
  description: '',
  options: {},
  // @ts-expect-error nothing to train on
  setup: () => ({ model: one, loss, optimizer, epochs: 1 }),
});
expectTypeOf<Plan<Tensor, Two, Two>>().toExtend<AnyPlan>();
expectTypeOf<AnyPlan['model']>().toEqualTypeOf<AnyLayer>();
