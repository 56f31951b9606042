import { checkPrecision, type Tree } from '@tenon-ml/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { AnyTrainerOptions, Trainer, TrainerOptions } from './options.js';
import { Session } from './session.js';

/**
 * A trainer: a network, a loss, an optimizer and a backend, put together. Starts the backend.
 *
 * The steps are the ones you would write by hand with `compile` and `valueAndGrad`: `examples/own-loop.ts` does, and
 * ends with the same bits.
 */
export function createTrainer<In extends Tree<Tensor>, Out extends Tree<Tensor>, Target extends Tree<Tensor>>(
  options: TrainerOptions<In, Out, Target>,
): Promise<Trainer>;
export async function createTrainer(options: AnyTrainerOptions): Promise<Trainer> {
  return startTrainer(options);
}

/** `createTrainer` for parts whose types are not known to fit. */
export async function startTrainer(options: AnyTrainerOptions): Promise<Trainer> {
  const { backend, precision = 'float32' } = options;
  await backend.init();
  checkPrecision(precision, backend, 'precision');
  return new Session(options);
}
