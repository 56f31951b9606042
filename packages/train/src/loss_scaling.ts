import { type NdArray, type Precision, scalars, TenonError } from '@tenon-ml/core';
import type { EpochRecord } from './events.js';

/** How a dynamic loss scale begins and grows. */
export interface DynamicLossScaling {
  /** The first scale: a power of two, from 1 to 2^126; 2^16 by default. */
  readonly initial?: number;
  /** After so many steps in a row without a skip the scale doubles; 2000 by default. */
  readonly growthInterval?: number;
  /** The largest scale: a power of two, not below `initial`; 2^24 by default, or `initial` where that is more. */
  readonly maximum?: number;
}

/**
 * How a trainer scales its loss. Gradients that are too small for float16 (below 2^-24 they are 0 there) are lifted into its
 * range: the loss is multiplied by a scale S before gradients are taken, these by 1/S afterwards. S is a power of two, so that
 * both are exact.
 *
 * 'dynamic', or its options: S begins at `initial`. A step whose gradients are not finite, while its loss is, is skipped:
 * parameters and states stay as they were, S is halved, and training goes on with the next batch. After `growthInterval` steps
 * in a row without a skip S doubles, up to `maximum`. S never falls below 1: gradients that are not finite there end the run
 * with `NOT_FINITE`.
 *
 * A number is a fixed scale: gradients that are not finite end the run. 'none' scales nothing.
 *
 * Source: Micikevicius et al. 2018, "Mixed precision training". The scale moves as PyTorch's `GradScaler` has it (65536, 2000
 * steps, factors of 2 and 1/2, which may be other numbers there); Keras's `LossScaleOptimizer` begins at 2^15. Neither has a
 * minimum or a maximum, and a loss that is not finite ends the run here, while it is a skipped step there. As in both, a
 * skipped step is no update: bias corrections count updates. So do schedules, as in Keras; in PyTorch whoever calls
 * `scheduler.step` decides.
 */
export type LossScaling = 'dynamic' | 'none' | number | DynamicLossScaling;

/** Loss scaling with nothing left open, as JSON: part of what a checkpoint belongs to. */
export type LossScalingSpec = 'none' | { readonly fixed: number } | Required<DynamicLossScaling>;

/** Where the loss scale of a run stands: part of its position. */
export interface LossScale {
  /** What the next step's loss is multiplied by. */
  readonly scale: number;
  /** Steps in a row without a skip, since the scale changed or last could have grown. */
  readonly streak: number;
  /** Steps that made no update, of the whole run. */
  readonly skipped: number;
}

const defaults = { initial: 2 ** 16, growthInterval: 2000, maximum: 2 ** 24 };
/** 1/S has to be a normal number of float32: GPUs may take others for 0. */
const largest = 2 ** 126;

/**
 * Loss scaling as it was asked for; by default 'dynamic' with 'mixed-float16' and 'none' with float32. Throws
 * `INVALID_ARGUMENT` for a scale that is no power of two from 1 to 2^126, for an interval that is no count, for a maximum
 * below the first scale.
 */
export function resolveLossScaling(given: LossScaling | undefined, precision: Precision): LossScalingSpec {
  const chosen = given ?? (precision === 'float32' ? 'none' : 'dynamic');
  if (chosen === 'none') return 'none';
  if (typeof chosen === 'number') return { fixed: checkScale('lossScaling', chosen) };
  if (chosen !== 'dynamic' && (typeof chosen !== 'object' || chosen === null)) {
    throw refusal(
      'lossScaling',
      "'dynamic', 'none', a number, or { initial, growthInterval, maximum }",
      chosen,
    );
  }
  const { initial = defaults.initial, growthInterval = defaults.growthInterval, maximum } = optionsOf(chosen);
  checkScale('lossScaling.initial', initial);
  if (!(Number.isInteger(growthInterval) && growthInterval >= 1)) {
    throw refusal('lossScaling.growthInterval', 'an integer of at least 1', growthInterval);
  }
  const most = checkScale('lossScaling.maximum', maximum ?? Math.max(defaults.maximum, initial));
  if (most >= initial) return { initial, growthInterval, maximum: most };
  throw refusal('lossScaling.maximum', `at least the first scale, ${initial}`, most);
}

/** Where the scale stands before the first step; undefined without scaling. */
export function firstLossScale(spec: LossScalingSpec): LossScale | undefined {
  if (spec === 'none') return undefined;
  return { scale: 'fixed' in spec ? spec.fixed : spec.initial, streak: 0, skipped: 0 };
}

/** Whether a step at this scale whose gradients are not finite is skipped: there is a smaller scale to go on with. */
export function canSkip(spec: LossScalingSpec, { scale }: LossScale): boolean {
  return spec !== 'none' && !('fixed' in spec) && scale > 1;
}

/** Where the scale stands behind a step, which was skipped or made. */
export function nextLossScale(spec: LossScalingSpec, state: LossScale, skipped: boolean): LossScale {
  if (spec === 'none' || 'fixed' in spec) return state;
  const { scale, streak } = state;
  if (skipped) return { scale: Math.max(1, scale / 2), streak: 0, skipped: state.skipped + 1 };
  if (streak + 1 < spec.growthInterval) return { ...state, streak: streak + 1 };
  return { ...state, scale: Math.min(spec.maximum, 2 * scale), streak: 0 };
}

/** How many steps were skipped since the last of these epochs ended. */
export function skippedSince(history: readonly EpochRecord[], { skipped }: LossScale): number {
  return history.reduce((left, record) => left - (record.skipped ?? 0), skipped);
}

/** What the compiled step takes of a scale: S and 1/S. */
export function scaleFactors({ scale }: LossScale): {
  readonly scale: NdArray<'float32'>;
  readonly inverse: NdArray<'float32'>;
} {
  const { up, down } = scalars({ up: scale, down: 1 / scale });
  return { scale: up, inverse: down };
}

function optionsOf(chosen: 'dynamic' | DynamicLossScaling): DynamicLossScaling {
  return chosen === 'dynamic' ? {} : chosen;
}

function checkScale(where: string, scale: number): number {
  if (scale >= 1 && scale <= largest && scale === 2 ** Math.round(Math.log2(scale))) return scale;
  throw refusal(where, 'a power of two from 1 to 2^126, which scales exactly', scale);
}

function refusal(where: string, expected: string, got: unknown): TenonError {
  return new TenonError({
    code: 'INVALID_ARGUMENT',
    where,
    expected,
    got: typeof got === 'string' ? `'${got}'` : String(got),
  });
}
