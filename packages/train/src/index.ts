export {
  type Checkpoint,
  checkpointFormatVersion,
  type HostCarry,
  listCheckpoints,
  type Position,
  readLatestCheckpoint,
  type StoredCheckpoint,
  updatesMade,
  writeCheckpoint,
} from './checkpoint.js';
export { type Batch, evaluateModel } from './evaluate.js';
export * from './event_log.js';
export * from './events.js';
export * from './experiment.js';
export type { Identity } from './identity.js';
export type { DynamicLossScaling, LossScale, LossScaling, LossScalingSpec } from './loss_scaling.js';
export type { EarlyStopping } from './monitor.js';
export type {
  AnyLoss,
  CheckpointOptions,
  FitResult,
  RunOptions,
  Trainer,
  TrainerOptions,
} from './options.js';
export * from './run.js';
export { createTrainer } from './trainer.js';
