import {
  type AnyLayer,
  type ArtifactStore,
  type Backend,
  type Json,
  type Layer,
  type Leaf,
  type Loss,
  type LossValues,
  type Metric,
  type ModelArtifact,
  type ModelCard,
  type NdArray,
  type Optimizer,
  type Params,
  type Precision,
  type Specs,
  TenonError,
  type TensorSpec,
  type Transform,
  type Tree,
} from '@tenon-ml/core';
import type { Dataset } from '@tenon-ml/data';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Batch } from './evaluate.js';
import type { BestEpoch, EpochRecord, Figures, TrainEvent } from './events.js';
import type { LossScaling } from './loss_scaling.js';
import type { EarlyStopping } from './monitor.js';

/** What a trainer is put together from. The loss has to take what the model gives out. */
export interface TrainerOptions<
  In extends Tree<Tensor> = Tensor,
  Out extends Tree<Tensor> = Tensor,
  Target extends Tree<Tensor> = Tensor,
> {
  readonly model: Layer<Params<Leaf>, Params<Leaf>, In, Out>;
  readonly loss: Loss<Out, Target>;
  readonly optimizer: Optimizer;
  readonly metrics?: readonly Metric[];
  readonly backend: Backend;
  /**
   * One seed, one run. Initial weights come from createKey(seed).foldIn('params'), the random numbers of step s from
   * createKey(seed).foldIn('step').foldIn(s); the order of the data is the data's own.
   */
  readonly seed?: number;
  /** What the network takes, after preprocessing; the first batch says it otherwise. */
  readonly input?: Specs<In>;
  /** Applied to every input, in training, evaluation and prediction, and saved with the model. */
  readonly preprocessing?: readonly Transform[];
  /** Saved with the model. */
  readonly classNames?: readonly string[];
  /**
   * What training and validation compute in, 'float32' by default. 'mixed-float16' needs a backend that can:
   * `createTrainer` throws `BACKEND_UNAVAILABLE` otherwise. Parameters, states and the saved model are float32 all the same.
   */
  readonly precision?: Precision;
  /** 'dynamic' by default with 'mixed-float16', 'none' with float32, where it changes no bit as long as nothing over- or underflows. */
  readonly lossScaling?: LossScaling;
}

/** A loss whatever its types. */
export type AnyLoss = ((prediction: never, target: never) => LossValues) &
  Pick<Loss, 'spec' | 'outputActivation'> & { check?(target: never, prediction: never): void };

/** The options of a trainer whatever the types of its model and its loss: for plans, which don't keep them. */
export type AnyTrainerOptions = Omit<TrainerOptions, 'model' | 'loss' | 'input'> & {
  readonly model: AnyLayer;
  readonly loss: AnyLoss;
  readonly input?: Tree<TensorSpec>;
};

export interface RunOptions {
  /** How many epochs there are in the end, those of earlier runs of this trainer or of its checkpoint included. */
  readonly epochs: number;
  /** Evaluated after every epoch. */
  readonly validation?: Dataset<Batch>;
  /**
   * Ends training after the step or the batch of validation that is under way, with a checkpoint where those are kept. An
   * epoch whose validation was cut short is validated again by whoever goes on.
   */
  readonly signal?: AbortSignal;
  /**
   * The figure by which epochs are compared: 'validation.accuracy'. The validation's loss by default, without validation
   * the training's. A figure that is null or not finite is no improvement.
   */
  readonly monitor?: string;
  readonly earlyStopping?: EarlyStopping;
  /**
   * Ends with the weights of the best epoch rather than the last; false by default. Further epochs of this trainer go on
   * from those; a resume goes on from the last, as if it had never stopped. An aborted run restores nothing.
   */
  readonly restoreBest?: boolean;
  readonly checkpoints?: CheckpointOptions;
  /**
   * Goes on from the newest checkpoint, if there is one; the run is then the same, bit for bit, as one that never stopped.
   * Without it, a store with checkpoints of steps that this trainer hasn't made is refused.
   */
  readonly resume?: boolean;
}

export interface CheckpointOptions {
  readonly store: ArtifactStore;
  /** After so many steps as well as after every epoch. */
  readonly everySteps?: number;
  /**
   * Asked after every step: whether to write one now, as before a pause, or once a minute. When it is written doesn't
   * change the run.
   */
  readonly wanted?: () => boolean;
  /** How many are kept; 2 by default. */
  readonly keep?: number;
  /** Stored with each checkpoint, and handed to `onResume`: the length of a log, say. */
  readonly note?: () => Promise<Json> | Json;
  /** Called before a resumed run's first event, with the note of the checkpoint that it goes on from. */
  readonly onResume?: (note: Json) => Promise<void> | void;
}

/** What `fit` returns. */
export interface FitResult {
  readonly reason: 'completed' | 'early-stopping' | 'aborted';
  readonly step: number;
  readonly history: readonly EpochRecord[];
  readonly best?: BestEpoch;
}

export interface Trainer {
  /** Trains, and tells what happens as it does. Leaving the loop early stops after the current step. */
  run(batches: Dataset<Batch>, options: RunOptions): AsyncGenerator<TrainEvent, void, undefined>;
  /** `run` to its end. */
  fit(
    batches: Dataset<Batch>,
    options: RunOptions & { readonly onEvent?: (event: TrainEvent) => void },
  ): Promise<FitResult>;
  /**
   * The loss and the metrics over some data, in evaluation mode; in the trainer's own precision, as its validation, or in
   * another: float32 is what the saved model gives. Throws `DATA_INVALID` for data without a batch, and the signal's reason
   * where it is aborted.
   */
  evaluate(
    batches: AsyncIterable<Batch>,
    options?: { readonly signal?: AbortSignal; readonly precision?: Precision },
  ): Promise<Figures>;
  /** The outputs for a batch of raw inputs: the saved model's, in float32. */
  predict(input: Tree<NdArray>): Promise<Tree<NdArray>>;
  /** Saves the model as it stands. */
  save(store: ArtifactStore, card?: ModelCard): Promise<void>;
  /** The model as it stands, on the host. */
  artifact(card?: ModelCard): Promise<ModelArtifact>;
  /** The epochs so far, those of the runs that were resumed included. */
  readonly history: readonly EpochRecord[];
  /** Frees what the trainer holds on its backend; whatever is called afterwards throws `USAGE`, but `history`. */
  dispose(): void;
}

/** Throws `INVALID_ARGUMENT` where two metrics have one name, or one is called as the loss is. */
export function checkMetricNames(metrics: readonly Metric[]): void {
  const names = ['loss', ...metrics.map(({ name }) => name)];
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice === undefined) return;
  throw new TenonError({
    code: 'INVALID_ARGUMENT',
    where: 'metrics',
    expected: "names that differ from each other and from 'loss'",
    got: `'${twice}' twice`,
    hint: 'Give one of them another name.',
  });
}

/** Whether a checkpoint is to be written behind a step. */
export function isDue({ everySteps, wanted }: CheckpointOptions, step: number): boolean {
  return (everySteps !== undefined && step % everySteps === 0) || wanted?.() === true;
}

/** Throws `INVALID_ARGUMENT` for counts that are none, and for data without an end. */
export function checkRunOptions(batches: Dataset<Batch>, options: RunOptions): void {
  const { epochs, validation, earlyStopping, checkpoints, resume } = options;
  const refuse = (where: string, expected: string, got: string, hint?: string): never => {
    throw new TenonError({ code: 'INVALID_ARGUMENT', where, expected, got, hint });
  };
  const checkCount = (name: string, value: number | undefined, least: number): void => {
    if (value === undefined || (Number.isInteger(value) && value >= least)) return;
    refuse(name, `an integer of at least ${least}`, String(value));
  };
  checkCount('epochs', epochs, 0);
  checkCount('earlyStopping.patience', earlyStopping?.patience, 1);
  checkCount('checkpoints.everySteps', checkpoints?.everySteps, 1);
  checkCount('checkpoints.keep', checkpoints?.keep, 1);
  const minDelta = earlyStopping?.minDelta ?? 0;
  if (!(minDelta >= 0)) refuse('earlyStopping.minDelta', 'a number of at least 0', String(minDelta));
  if (resume && !checkpoints) {
    refuse('resume', 'the option `checkpoints`, with the store to resume from', 'none');
  }
  for (const [where, data] of [
    ['training data', batches],
    ['validation', validation],
  ] as const) {
    if (data?.length !== Number.POSITIVE_INFINITY) continue;
    refuse(where, 'data that ends', 'an endless repetition', 'take(n) makes an epoch of n batches.');
  }
}
