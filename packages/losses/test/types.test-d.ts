import type { Loss, LossValues } from '@tenon-ml/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { expectTypeOf } from 'vitest';
import {
  meanSquaredError,
  type SoftmaxCrossEntropyOptions,
  sigmoidCrossEntropy,
  softmaxCrossEntropy,
} from '../src/index.js';

expectTypeOf(softmaxCrossEntropy).returns.toEqualTypeOf<Loss<Tensor, Tensor>>();
expectTypeOf(sigmoidCrossEntropy).returns.toEqualTypeOf<Loss<Tensor, Tensor>>();
expectTypeOf(meanSquaredError).returns.toEqualTypeOf<Loss<Tensor, Tensor>>();

expectTypeOf(softmaxCrossEntropy()).parameters.toEqualTypeOf<[prediction: Tensor, target: Tensor]>();
expectTypeOf(softmaxCrossEntropy()).returns.toEqualTypeOf<LossValues>();
expectTypeOf<SoftmaxCrossEntropyOptions>().toEqualTypeOf<{
  readonly labelSmoothing?: number;
  readonly ignoreLabel?: number;
}>();

// @ts-expect-error: torch's name
softmaxCrossEntropy({ ignoreIndex: -100 });
// @ts-expect-error: only integer labels can be ignored
sigmoidCrossEntropy({ ignoreLabel: -1 });
// @ts-expect-error: it has no options
meanSquaredError({ reduction: 'mean' });
// @ts-expect-error: what a loss says of itself doesn't change
softmaxCrossEntropy().spec = { loss: 'other' };
