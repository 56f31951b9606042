import type { GradientTransform, Optimizer, Params, Scalars, Schedule } from '@tenon-ml/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { expectTypeOf } from 'vitest';
import { adam, adamw, chain, clipByGlobalNorm, cosineDecay, momentum, optimizer, sgd } from '../src/index.js';

type Weights = { readonly dense_1: { readonly kernel: Tensor; readonly bias: Tensor } };
declare const weights: Weights;
declare const state: Params<Tensor>;
declare const scalars: Scalars;

// Everything is what core's contracts say.
expectTypeOf(adam()).toEqualTypeOf<Optimizer>();
expectTypeOf(chain(clipByGlobalNorm(1), adam())).toEqualTypeOf<Optimizer>();
expectTypeOf(optimizer(momentum({ decay: 0.9 }))).toEqualTypeOf<Optimizer>();
expectTypeOf(clipByGlobalNorm(1)).toEqualTypeOf<GradientTransform>();
expectTypeOf(cosineDecay({ peak: 1, steps: 2 })).toEqualTypeOf<Schedule>();

// The type of the parameters goes through an update.
expectTypeOf(adam().update(weights, state, weights, scalars).params).toEqualTypeOf<Weights>();

// A rate is a number or a schedule; a plain function has no spec.
sgd({ learningRate: 0.1 });
sgd({ learningRate: cosineDecay({ peak: 1, steps: 2 }) });
// @ts-expect-error: a function without a spec
sgd({ learningRate: (step: number) => 1 / (step + 1) });
// @ts-expect-error: SGD has no default rate
sgd({ momentum: 0.9 });
// @ts-expect-error: the options of one optimizer aren't another's
adam({ momentum: 0.9 });
// @ts-expect-error: lr is learningRate
adam({ lr: 0.1 });

adamw({ mask: (path: string, shape: readonly number[]) => path !== 'bias' && shape.length > 1 });
// @ts-expect-error: adam has no decay to mask
adam({ mask: () => true });
