import type { GradientTransform, Json, Leaf, Optimizer, Params, Schedule } from '@tenon-ml/core';
import { TenonError } from '@tenon-ml/core';
import { optimizer } from './apply.js';
import { compose } from './chain.js';
import { checkLearningRate } from './options.js';
import {
  addDecayedWeights,
  momentum,
  type ParameterMask,
  rateSpec,
  scaleByAdagrad,
  scaleByAdam,
  scaleByLearningRate,
} from './transforms.js';

export interface SgdOptions {
  /** η: at least 0; a number, or a schedule. */
  readonly learningRate: number | Schedule;
  /** μ, in [0, 1); 0 by default: no momentum. */
  readonly momentum?: number;
  /** Nesterov's momentum. False by default. */
  readonly nesterov?: boolean;
  /** λ of the L2 penalty λ/2·‖p‖², added to the gradient; 0 by default. */
  readonly weightDecay?: number;
}

/**
 * Stochastic gradient descent, with momentum and L2 regularisation if wanted:
 *
 *   g ← g + λ·p
 *   v ← μ·v + g
 *   p ← p − η·v            nesterov: p ← p − η·(g + μ·v)
 *
 * State with momentum: `velocity`. Scalars: `learningRate`.
 *
 * As PyTorch's `SGD` with `dampening=0`. Keras's `SGD` keeps −η inside the velocity (see `momentum`), and its
 * `weight_decay` is decoupled: p ← p − η·λ·p beside the momentum, which ours goes through.
 *
 * Throws `INVALID_ARGUMENT` for options out of their ranges, and for `nesterov` without momentum.
 */
export function sgd(options: SgdOptions): Optimizer {
  const { learningRate, momentum: decay = 0, nesterov = false, weightDecay = 0 } = options;
  if (nesterov && decay === 0) {
    throw new TenonError({
      code: 'INVALID_ARGUMENT',
      where: 'sgd, nesterov',
      expected: 'a momentum above 0 with it',
      got: 'no momentum',
      hint: 'Pass momentum: 0.9, or leave nesterov out.',
    });
  }
  return alias('sgd', { momentum: decay, nesterov, weightDecay }, learningRate, [
    ...(weightDecay === 0 ? [] : [addDecayedWeights(weightDecay)]),
    ...(decay === 0 ? [] : [momentum({ decay, nesterov })]),
  ]);
}

export interface AdagradOptions {
  /** η; 0.01 by default, as in PyTorch (Keras: 0.001). */
  readonly learningRate?: number | Schedule;
  /** ε; 10⁻¹⁰ by default, as in PyTorch (Keras, optax: 10⁻⁷). */
  readonly epsilon?: number;
  /** What the sum of squares starts from; 0 by default, as in PyTorch (Keras, optax: 0.1). */
  readonly initialAccumulator?: number;
}

/**
 * Adagrad: each parameter's rate falls with the squares of all its gradients so far.
 *
 *   s ← s + g²
 *   p ← p − η·g / (√s + ε)
 *
 * With an accumulator that starts from 0 the first step is η·sign(g), whatever the size of the gradient. State:
 * `sumOfSquares`. Scalars: `learningRate`.
 *
 * Source: Duchi, Hazan, Singer (2011). As PyTorch's `Adagrad`, whose `lr_decay` is a schedule here.
 */
export function adagrad(options: AdagradOptions = {}): Optimizer {
  const { learningRate = 0.01, epsilon = 1e-10, initialAccumulator = 0 } = options;
  const scaling = { epsilon, initialAccumulator };
  return alias('adagrad', scaling, learningRate, [scaleByAdagrad(scaling)]);
}

export interface AdamOptions {
  /** η; 0.001 by default. */
  readonly learningRate?: number | Schedule;
  /** β₁, of the running mean of gradients; 0.9 by default. */
  readonly beta1?: number;
  /** β₂, of the running mean of their squares; 0.999 by default. */
  readonly beta2?: number;
  /** ε; 10⁻⁸ by default, as in the paper and PyTorch (Keras: 10⁻⁷, added elsewhere: see `scaleByAdam`). */
  readonly epsilon?: number;
  /** True by default. False makes early steps too long: 3.2·η in the first, 6.6·η in the twelfth, with the usual betas. */
  readonly biasCorrection?: boolean;
}

/**
 * Adam: each parameter steps by about η, in the direction of its mean gradient, and less where that mean is uncertain.
 *
 *   m ← β₁·m + (1 − β₁)·g          m̂ = m / (1 − β₁ᵗ)
 *   v ← β₂·v + (1 − β₂)·g²         v̂ = v / (1 − β₂ᵗ)
 *   p ← p − η·m̂ / (√v̂ + ε)
 *
 * State: `firstMoment`, `secondMoment`. Scalars: `learningRate`, and the bias corrections (see `scaleByAdam`).
 *
 * Source: Kingma, Ba (2015). As PyTorch's `Adam`; neither has PyTorch's coupled `weight_decay`, for which there is
 * `chain(addDecayedWeights(λ), adam(…))`, and better `adamw`.
 */
export function adam(options: AdamOptions = {}): Optimizer {
  const { learningRate = 1e-3, ...rest } = options;
  const scaling = withAdamDefaults(rest);
  return alias('adam', scaling, learningRate, [scaleByAdam(scaling)]);
}

export interface AdamWOptions extends AdamOptions {
  /** λ; 0.01 by default, as in PyTorch (Keras: 0.004, optax: 0.0001). */
  readonly weightDecay?: number;
  /** Which parameters decay; all by default, as in PyTorch and Keras. */
  readonly mask?: ParameterMask;
}

/**
 * Adam with decoupled weight decay: parameters shrink by η·λ a step, whatever their gradients' moments.
 *
 *   p ← p − η·(m̂ / (√v̂ + ε) + λ·p)
 *
 * Biases and the scales of normalisation are better left alone: `mask: (path, shape) => shape.length > 1`.
 *
 * State and scalars are `adam`'s. Source: Loshchilov, Hutter (2019). As PyTorch's `AdamW` and Keras's: the decay is
 * multiplied by the scheduled learning rate (the paper has a schedule multiplier of its own, without η).
 */
export function adamw(options: AdamWOptions = {}): Optimizer {
  const { learningRate = 1e-3, weightDecay = 0.01, mask, ...rest } = options;
  const scaling = withAdamDefaults(rest);
  const decay = addDecayedWeights(weightDecay, { mask });
  const { transform: _, ...decaySpec } = decay.spec;
  return alias('adamw', { ...scaling, ...decaySpec }, learningRate, [scaleByAdam(scaling), decay]);
}

function withAdamDefaults(options: Omit<AdamOptions, 'learningRate'>) {
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, biasCorrection = true } = options;
  return { beta1, beta2, epsilon, biasCorrection };
}

/** What every optimizer is: transforms under one name, the learning rate last, and the step that applies them. */
function alias(
  name: string,
  options: { readonly [option: string]: Json },
  learningRate: number | Schedule,
  parts: readonly GradientTransform[],
): Optimizer<Params<Leaf>> {
  checkLearningRate(learningRate, `${name}, learningRate`);
  const spec = { transform: name, learningRate: rateSpec(learningRate), ...options };
  return optimizer(compose(spec, [...parts, scaleByLearningRate(learningRate)]));
}
