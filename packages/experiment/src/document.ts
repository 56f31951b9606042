import type { LayerSpec } from '@tenon-ml/core';

/** The version of documents that this build writes; it reads every version up to this one. */
export const documentVersion = 1;

/**
 * An experiment as a document: plain JSON that says what is learned from, by which network, and how. The studio edits it,
 * `tenon train FILE.json` runs it, a link holds it. The same document, data and seed give the same run.
 */
export interface ExperimentDocument {
  readonly format: 'tenon-experiment';
  readonly version: number;
  readonly name: string;
  readonly seed: number;
  readonly data: DataSpec;
  /** Shares of the examples; of a source with a test part of its own (CIFAR-10), of the rest. They sum to 1. */
  readonly split: { readonly train: number; readonly validation: number; readonly test: number };
  /** What turns raw inputs into the network's; the fitted ones are fitted to the training part. */
  readonly preprocessing: 'none' | 'normalize' | 'rescale';
  /** Of images, and of the training part alone. */
  readonly augmentation: AugmentationSpec;
  /** A layer's spec; what the studio edits is a 'sequential' of layers by name. */
  readonly network: LayerSpec;
  readonly training: TrainingSpec;
}

/** Where the examples come from. Files are read from the experiment's data folder by name. */
export type DataSpec =
  | { readonly source: 'digits' }
  /** CIFAR-10's binary files: `data_batch_*.bin` and `test_batch.bin`, as many of them as there are. */
  | { readonly source: 'cifar10'; readonly limit?: number }
  | {
      readonly source: 'csv';
      readonly file: string;
      readonly target: string;
      readonly task: 'classification' | 'regression';
      /** Columns of the input; all but the target where absent. */
      readonly features?: readonly string[];
    }
  /** A safetensors file with `input` [examples, …] (uint8 or float32) and `target` int32 [examples]: pictures of one's own. */
  | { readonly source: 'arrays'; readonly file: string; readonly classNames: readonly string[] }
  /** A text, for a model that says which character comes next. An epoch is `stepsPerEpoch` batches of random windows. */
  | {
      readonly source: 'text';
      readonly file: string;
      readonly context: number;
      readonly stepsPerEpoch: number;
    };

export interface AugmentationSpec {
  /** Mirrors left to right with probability ½. */
  readonly flip: boolean;
  /** Shifts by up to so many pixels; 0 for none. */
  readonly shift: number;
}

export interface TrainingSpec {
  readonly epochs: number;
  readonly batchSize: number;
  readonly optimizer: 'adam' | 'adamw' | 'sgd';
  /** The peak of the schedule. */
  readonly learningRate: number;
  /** Of 'sgd' alone. */
  readonly momentum: number;
  /** Of 'sgd' (added to the gradient) and 'adamw' (decoupled). */
  readonly weightDecay: number;
  readonly schedule: 'constant' | 'cosine';
  /** Gradients are scaled to this global norm where theirs is larger; 0 for never. */
  readonly clipNorm: number;
}
