import { type Schedule, TenonError } from '@tenon-ml/core';

/** Throws `INVALID_ARGUMENT` unless `value` is a finite number of at least 0. */
export function checkNonNegative(value: number, where: string): void {
  if (!(Number.isFinite(value) && value >= 0)) throw invalid(where, 'a number of at least 0', value);
}

/** Throws `INVALID_ARGUMENT` unless `value` is a finite number above 0 that float32 doesn't round to 0 or infinity. */
export function checkPositive(value: number, where: string): void {
  const single = Math.fround(value);
  if (!(Number.isFinite(single) && single > 0))
    throw invalid(where, 'a number above 0, in the range of float32', value);
}

/** Throws `INVALID_ARGUMENT` unless `value` is in [0, 1): how much of a running average a step keeps. */
export function checkDecay(value: number, where: string): void {
  if (!(Number.isFinite(value) && value >= 0 && value < 1))
    throw invalid(where, 'a number from 0 up to, but not including, 1', value);
}

/** Throws `INVALID_ARGUMENT` unless `value` is an integer of at least `least`. */
export function checkCount(value: number, where: string, least = 1): void {
  if (!(Number.isSafeInteger(value) && value >= least)) {
    throw invalid(where, `an integer of at least ${least}`, value);
  }
}

/** Throws `INVALID_ARGUMENT` for a constant learning rate below 0 or not finite; schedules are checked as they run. */
export function checkLearningRate(learningRate: number | Schedule, where: string): void {
  if (typeof learningRate === 'number') checkNonNegative(learningRate, where);
  else if (typeof learningRate !== 'function') {
    throw invalid(where, 'a number, or a schedule such as cosineDecay(…)', learningRate);
  }
}

function invalid(where: string, expected: string, got: unknown): TenonError {
  return new TenonError({ code: 'INVALID_ARGUMENT', where, expected, got: String(got) });
}
