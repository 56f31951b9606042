import type { BackendInfo, BackendMemory } from '@tenon-ml/core';
import type { ExperimentDocument } from '@tenon-ml/experiment';
import type { EpochRecord, RunReport } from '@tenon-ml/train';

/** An error as it crosses from a worker to the page: a `TenonError`'s parts, or the message of another. */
export interface PlainError {
  /** 'other' for what isn't a `TenonError`; 'IN_USE' for what another tab holds. */
  readonly code: string;
  readonly message: string;
  readonly where?: string;
  /** The halves of a `TenonError`'s sentence, and what to do, where it is made of them. In English, as the message. */
  readonly expected?: string;
  readonly got?: string;
  readonly hint?: string;
}

/** A picture of pixels, row by row, as a canvas takes it. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly rgba: Uint8ClampedArray<ArrayBuffer>;
}

export type BackendName = 'wasm' | 'webgpu';
/** 'auto': the GPU where the browser has one, and it isn't software; the processor elsewhere. */
export type BackendChoice = 'auto' | BackendName;

/** Where a run stands, as people see it. */
export type RunStatus = 'starting' | 'training' | 'pausing' | 'paused' | 'ended' | 'stopped' | 'failed';

/** One update of the parameters. */
export interface StepPoint {
  readonly step: number;
  readonly loss: number;
  readonly learningRate: number;
}

export interface RunPosition {
  readonly step: number;
  readonly epoch: number;
  readonly epochs: number;
  readonly stepsPerEpoch: number | null;
}

/** What a run tells the page, five times a second at most. */
export interface RunUpdate {
  readonly status: RunStatus;
  readonly position: RunPosition;
  /** Since the last update. */
  readonly steps: readonly StepPoint[];
  readonly epochs: readonly EpochRecord[];
  /** Of the last second; null while nothing moves. */
  readonly speed: { readonly steps: number; readonly examples: number } | null;
  readonly parameters: number;
  readonly backend: BackendInfo | null;
  readonly memory: BackendMemory | null;
  /** What the learning rate of the document is multiplied by. */
  readonly rateFactor: number;
  readonly report: RunReport | null;
  readonly error: PlainError | null;
}

/** What a run is started with; kept in its `run.json`. */
export interface RunOrigin {
  readonly document: ExperimentDocument;
  /** The folder of the data in the browser's storage; null for what is embedded. */
  readonly dataId: string | null;
  readonly backend: BackendName;
  /** Milliseconds since 1970. */
  readonly created: number;
}

/** A run in the browser's storage, as a list shows it. */
export interface StoredRun extends RunOrigin {
  readonly id: string;
  readonly report: RunReport | null;
  /** The step of its newest checkpoint; null without one. */
  readonly checkpoint: number | null;
  /** Whether a worker of some tab holds it. */
  readonly inUse: boolean;
  readonly bytes: number;
}
