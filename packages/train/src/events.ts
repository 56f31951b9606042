import type { Json } from '@tenon-ml/core';

/**
 * The figures of one pass over data: the loss, and each metric by its name. Where they are written as JSON (event logs,
 * reports, `tenon --json`), one that is NaN or infinite is null.
 */
export interface Figures {
  readonly loss: number;
  readonly [metric: string]: Json;
}

/** Training begins, or goes on from a checkpoint. */
export interface StartEvent {
  readonly type: 'start';
  readonly step: number;
  readonly epoch: number;
  readonly epochs: number;
  /** null where the data doesn't know its length. */
  readonly stepsPerEpoch: number | null;
  /** The number of trained numbers. */
  readonly parameters: number;
  readonly resumed: boolean;
}

/** A step was made: one update of the parameters, unless it was skipped. */
export interface StepEvent {
  readonly type: 'step';
  /** The number of steps made so far, those included that were skipped: 1 after the first. */
  readonly step: number;
  /** The epoch it belongs to, counted from 0. */
  readonly epoch: number;
  /** Of this batch, before the update. */
  readonly loss: number;
  /** How many examples the batch held. */
  readonly examples: number;
  /** The optimizer's scalars for this step: learning rate, bias corrections. */
  readonly scalars: { readonly [name: string]: number };
  /** What the loss was multiplied by, for its gradients; absent where it isn't scaled. */
  readonly lossScale?: number;
  /**
   * Whether the gradients of the scaled loss were not finite, so that nothing was updated; the next step has a smaller scale.
   * Absent where the loss isn't scaled.
   */
  readonly skipped?: boolean;
}

/** An epoch is over, and validated. */
export interface EpochEvent {
  readonly type: 'epoch';
  readonly step: number;
  readonly epoch: number;
  /** Over the epoch's batches, each with the parameters of its own step. */
  readonly train: Figures;
  readonly validation?: Figures;
  /** Whether this was the best epoch so far, by the monitored figure. */
  readonly best: boolean;
  /** How many of its steps were skipped; absent where the loss isn't scaled. */
  readonly skipped?: number;
}

/** A checkpoint was written. */
export interface CheckpointEvent {
  readonly type: 'checkpoint';
  readonly step: number;
  readonly epoch: number;
  readonly path: string;
}

/** Training is over. */
export interface EndEvent {
  readonly type: 'end';
  readonly step: number;
  readonly epoch: number;
  readonly reason: 'completed' | 'early-stopping' | 'aborted';
  /** The best epoch and its monitored figure; absent without one. */
  readonly best?: BestEpoch;
}

export interface BestEpoch {
  readonly epoch: number;
  readonly monitor: string;
  readonly value: number;
}

export type TrainEvent = StartEvent | StepEvent | EpochEvent | CheckpointEvent | EndEvent;

/** What is kept of an epoch: what `fit` returns and reports show. */
export type EpochRecord = Omit<EpochEvent, 'type'>;
