import type { GradientTransform, Json, Schedule } from '@tenon-ml/core';
import { adamMoments, TenonError } from '@tenon-ml/core';
import { add, div, mul, neg, sqrt, square, type Tensor } from '@tensorflow/tfjs-core';
import { leavesAt, mapUpdates, mirrorParams, scalarOf, updateSlots, updateSlotsAtOnce } from './leaves.js';
import { checkDecay, checkLearningRate, checkNonNegative, checkPositive } from './options.js';

/**
 * u ← −η·u: turns a direction into a step against it. `learningRate` η is a number, or a schedule of it.
 *
 * Every optimizer has it once, and last: without it a chain would climb instead of descend.
 *
 * Scalars: `learningRate`. Throws `INVALID_ARGUMENT` for a rate below 0 or not finite; for a schedule, at the step
 * where it gives one.
 */
export function scaleByLearningRate(learningRate: number | Schedule): GradientTransform {
  checkLearningRate(learningRate, 'scaleByLearningRate, learningRate');
  return {
    spec: { transform: 'scaleByLearningRate', learningRate: rateSpec(learningRate) },
    init: () => ({}),
    scalars: (step) => ({ learningRate: rateAt(learningRate, step) }),
    update(updates, state, _params, scalars) {
      const factor = neg(scalarOf(scalars, 'learningRate', 'scaleByLearningRate'));
      return { updates: mapUpdates(updates, (u) => mul(u, factor)), state };
    },
  };
}

export interface MomentumOptions {
  /** μ: how much of the velocity a step keeps, in [0, 1). */
  readonly decay: number;
  /** Looks one step ahead: Nesterov's form, as Sutskever et al. (2013) write it. */
  readonly nesterov?: boolean;
}

/**
 * v ← μ·v + u, and then u ← v; with `nesterov` u ← u + μ·v. State: `velocity`, zeros at first.
 *
 * As in PyTorch (without dampening) and optax's `trace`, the velocity is a sum of gradients, and the learning rate
 * scales it afterwards. Keras puts the rate inside, v ← μ·v − η·g: the same while η is constant; when a schedule
 * lowers it, old gradients keep their old rate there, and here don't.
 *
 * Source: Polyak (1964), Some methods of speeding up the convergence of iteration methods; Sutskever et al. (2013), On
 * the importance of initialization and momentum in deep learning.
 */
export function momentum({ decay, nesterov = false }: MomentumOptions): GradientTransform {
  checkDecay(decay, 'momentum, decay');
  return {
    spec: { transform: 'momentum', decay, nesterov },
    init: (params) => ({ velocity: mirrorParams(params) }),
    scalars: () => ({}),
    update: (updates, state) =>
      updateSlots(updates, state, ['velocity'], (u, slot) => {
        const velocity = add(mul(slot.velocity, decay), u);
        return { velocity, update: nesterov ? add(u, mul(velocity, decay)) : velocity };
      }),
  };
}

export interface AdagradScaling {
  /** ε, added after the square root: above 0. */
  readonly epsilon: number;
  /** What the sum of squares starts from: at least 0. */
  readonly initialAccumulator: number;
}

/**
 * s ← s + u², and then u ← u / (√s + ε). State: `sumOfSquares`, `initialAccumulator` at first.
 *
 * Source: Duchi, Hazan, Singer (2011), Adaptive subgradient methods. ε stands outside the root, as in PyTorch; Keras
 * and optax have it inside, √(s + ε).
 */
export function scaleByAdagrad(options: AdagradScaling): GradientTransform {
  const { epsilon, initialAccumulator } = options;
  checkPositive(epsilon, 'scaleByAdagrad, epsilon');
  checkNonNegative(initialAccumulator, 'scaleByAdagrad, initialAccumulator');
  return {
    spec: { transform: 'scaleByAdagrad', epsilon, initialAccumulator },
    init: (params) => ({ sumOfSquares: mirrorParams(params, initialAccumulator) }),
    scalars: () => ({}),
    update: (updates, state) =>
      updateSlots(updates, state, ['sumOfSquares'], (u, slot) => {
        const sumOfSquares = add(slot.sumOfSquares, square(u));
        return { sumOfSquares, update: div(u, add(sqrt(sumOfSquares), epsilon)) };
      }),
  };
}

export interface AdamScaling {
  /** β₁, of the running mean of gradients, in [0, 1). */
  readonly beta1: number;
  /** β₂, of the running mean of their squares, in [0, 1). */
  readonly beta2: number;
  /** ε, added after the square root: above 0. */
  readonly epsilon: number;
  /** Whether the moments are divided by 1 − βᵗ, which they fall short of while they start from 0. */
  readonly biasCorrection: boolean;
}

/**
 * With t = step + 1:
 *
 *   m ← β₁·m + (1 − β₁)·u          m̂ = m / (1 − β₁ᵗ)
 *   v ← β₂·v + (1 − β₂)·u²         v̂ = v / (1 − β₂ᵗ)
 *   u ← m̂ / (√v̂ + ε)
 *
 * State: `firstMoment` m and `secondMoment` v, zeros at first. Without `biasCorrection` m̂ = m and v̂ = v.
 *
 * Scalars, with c₁ = 1 − β₁ᵗ and c₂ = 1 − β₂ᵗ: `rootScale` c₁/√c₂ and `epsilon` ε·c₁. m̂ / (√v̂ + ε) is
 * m / (√v·c₁/√c₂ + ε·c₁): one division for each parameter, and the corrections stay in float64.
 *
 * Source: Kingma, Ba (2015), Adam, algorithm 1. ε is added to √v̂, as there and in PyTorch; Keras and TensorFlow add it
 * to √v (the paper's "ε̂"), which makes it 1/√c₂ times as large: 30 times in the first step.
 */
export function scaleByAdam(options: AdamScaling): GradientTransform {
  const { beta1, beta2, epsilon, biasCorrection } = options;
  checkDecay(beta1, 'scaleByAdam, beta1');
  checkDecay(beta2, 'scaleByAdam, beta2');
  checkPositive(epsilon, 'scaleByAdam, epsilon');
  return {
    spec: { transform: 'scaleByAdam', beta1, beta2, epsilon, biasCorrection },
    init: (params) => ({ firstMoment: mirrorParams(params), secondMoment: mirrorParams(params) }),
    scalars(step): Record<string, number> {
      if (!biasCorrection) return {};
      const first = 1 - beta1 ** (step + 1);
      const second = 1 - beta2 ** (step + 1);
      return { rootScale: first / Math.sqrt(second), epsilon: epsilon * first };
    },
    update(updates, state, _params, scalars) {
      const corrected = (): { rootScale: Tensor; epsilon: Tensor } => ({
        rootScale: scalarOf(scalars, 'rootScale', 'scaleByAdam'),
        epsilon: scalarOf(scalars, 'epsilon', 'scaleByAdam'),
      });
      const added = biasCorrection ? corrected() : epsilon;
      return updateSlotsAtOnce(updates, state, ['firstMoment', 'secondMoment'], (u, slots) => {
        const after = adamMoments({
          updates: u,
          firstMoments: slots.firstMoment,
          secondMoments: slots.secondMoment,
          beta1,
          beta2,
          epsilon: added,
        });
        return {
          update: after.updates,
          firstMoment: after.firstMoments,
          secondMoment: after.secondMoments,
        };
      });
    },
  };
}

/** Chooses parameters by path and shape: `(path, shape) => shape.length > 1` leaves out biases and scales. */
export type ParameterMask = (path: string, shape: readonly number[]) => boolean;

export interface DecayOptions {
  /** Which parameters decay; all by default. */
  readonly mask?: ParameterMask;
}

/**
 * u ← u + λ·p, for the parameters p that `mask` chooses.
 *
 * Before the moments it is L2 regularisation (PyTorch's `weight_decay` of `SGD` and `Adam`); after them, and before
 * the learning rate, it is the decoupled decay of `AdamW`. Its spec holds the mask's name, as functions aren't JSON.
 *
 * Source: Loshchilov, Hutter (2019), Decoupled weight decay regularization.
 */
export function addDecayedWeights(weightDecay: number, options: DecayOptions = {}): GradientTransform {
  checkNonNegative(weightDecay, 'addDecayedWeights, weightDecay');
  const { mask } = options;
  return {
    spec: {
      transform: 'addDecayedWeights',
      weightDecay,
      ...(mask ? { mask: mask.name || 'anonymous' } : {}),
    },
    init: () => ({}),
    scalars: () => ({}),
    update(updates, state, params) {
      const weights = leavesAt(params, updates, 'parameters');
      const decayed = mapUpdates(updates, (u, path) => {
        const weight = weights.get(path) as Tensor;
        return mask && !mask(path, weight.shape) ? u : add(u, mul(weight, weightDecay));
      });
      return { updates: decayed, state };
    },
  };
}

/** A learning rate as JSON: the number, or the schedule's spec. */
export function rateSpec(learningRate: number | Schedule): Json {
  return typeof learningRate === 'number' ? learningRate : learningRate.spec;
}

function rateAt(learningRate: number | Schedule, step: number): number {
  const rate = typeof learningRate === 'number' ? learningRate : learningRate(step);
  if (Number.isFinite(rate) && rate >= 0) return rate;
  throw new TenonError({
    code: 'INVALID_ARGUMENT',
    where: `learning rate, step ${step}`,
    expected: 'a finite number of at least 0 from the schedule',
    got: String(rate),
  });
}
