import type { Json, Schedule } from '@tenon-ml/core';
import { TenonError } from '@tenon-ml/core';
import { checkCount, checkNonNegative } from './options.js';

/** η(s) = value. */
export function constant(value: number): Schedule {
  checkNonNegative(value, 'constant');
  return schedule({ schedule: 'constant', value }, () => value);
}

export interface StepDecayOptions {
  readonly initial: number;
  /** After how many steps (updates, not epochs) it drops, again and again. */
  readonly every: number;
  /** What it is multiplied by then, from 0 to 1 as a rule. */
  readonly factor: number;
}

/**
 * η(s) = initial · factor^⌊s / every⌋.
 *
 * PyTorch's `StepLR(step_size=every, gamma=factor)` and Keras's `ExponentialDecay(staircase=True)`. PyTorch's counts
 * whatever `scheduler.step()` is called for, epochs as a rule; ours counts updates.
 */
export function stepDecay({ initial, every, factor }: StepDecayOptions): Schedule {
  checkNonNegative(initial, 'stepDecay, initial');
  checkCount(every, 'stepDecay, every');
  checkNonNegative(factor, 'stepDecay, factor');
  return schedule(
    { schedule: 'stepDecay', initial, every, factor },
    (step) => initial * factor ** Math.floor(step / every),
  );
}

export interface CosineDecayOptions {
  /** The highest rate: the first one, or that at the end of the warm-up. */
  readonly peak: number;
  /** When it reaches `end`, counted from the start of training: the warm-up is part of it. */
  readonly steps: number;
  /** How many of the steps rise linearly to the peak; 0 by default. See `withWarmup`. */
  readonly warmup?: number;
  /** The lowest rate; 0 by default. */
  readonly end?: number;
}

/**
 * With a warm-up of w steps out of n:
 *
 *   s < w:       η(s) = peak · (s + 1) / w
 *   w ≤ s < n:   η(s) = end + (peak − end) · (1 + cos(π·(s − w) / (n − w))) / 2
 *   s ≥ n:       η(s) = end
 *
 * Source: Loshchilov, Hutter (2017), SGDR, without restarts. PyTorch's `CosineAnnealingLR(T_max=steps, eta_min=end)`
 * rises again after `steps`; ours stays, as Keras's `CosineDecay` does, whose `alpha` is end / peak, and whose
 * `decay_steps` count from the end of the warm-up.
 */
export function cosineDecay({ peak, steps, warmup = 0, end = 0 }: CosineDecayOptions): Schedule {
  checkNonNegative(peak, 'cosineDecay, peak');
  checkNonNegative(end, 'cosineDecay, end');
  checkCount(steps, 'cosineDecay, steps');
  checkCount(warmup, 'cosineDecay, warmup', 0);
  if (warmup >= steps) {
    throw new TenonError({
      code: 'INVALID_ARGUMENT',
      where: 'cosineDecay, warmup',
      expected: `fewer steps than the ${steps} in all`,
      got: String(warmup),
    });
  }
  return schedule({ schedule: 'cosineDecay', peak, steps, warmup, end }, (step) => {
    if (step < warmup) return (peak * (step + 1)) / warmup;
    const turn = Math.min(1, (step - warmup) / (steps - warmup));
    return end + ((peak - end) * (1 + Math.cos(Math.PI * turn))) / 2;
  });
}

/**
 * Rises to the first value of another schedule in `steps` steps, and then runs it from its beginning:
 *
 *   s < steps:   η(s) = after(0) · (s + 1) / steps
 *   s ≥ steps:   η(s) = after(s − steps)
 *
 * The first step has 1/steps of the rate rather than 0, which would waste it (so does PyTorch's `LinearLR`
 * with `start_factor=1/steps, total_iters=steps-1`); the last step of the warm-up has all of it.
 *
 * Source: Goyal et al. (2017), Accurate, large minibatch SGD.
 */
export function withWarmup(after: Schedule, steps: number): Schedule {
  checkCount(steps, 'withWarmup, steps');
  return schedule({ schedule: 'withWarmup', steps, after: after.spec }, (step) =>
    step < steps ? (after(0) * (step + 1)) / steps : after(step - steps),
  );
}

function schedule(
  spec: { readonly schedule: string; readonly [option: string]: Json },
  at: (step: number) => number,
): Schedule {
  return Object.freeze(Object.assign((step: number) => at(step), { spec: Object.freeze(spec) }));
}
