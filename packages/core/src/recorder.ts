import type { Tensor } from '@tensorflow/tfjs-core';
import type { NdArray } from './ndarray.js';

/**
 * How a backend records calls of compiled functions and replays them. `compile` decides when: it traces the first
 * calls of a signature while they run eagerly, asks for a plan once two traces follow each other, and from then on
 * runs the plan instead of the function.
 */
export interface Recorder {
  /** Watches what runs on the backend, until `end`. `inputs` are the leaves of the arguments, each with its origin. */
  begin(inputs: readonly Tensor[], origins: readonly Origin[]): Recording;
  /** How two calls that follow each other differ, in words; undefined where they did the same. */
  difference(earlier: Recording, later: Recording): string | undefined;
  /** A plan for calls like this one, which has no `reason`. */
  plan(recording: Recording, precision: Precision): Plan;
  /**
   * Whether plans give other numbers than eager calls, in the last bits: where they fuse, say. Then `compile` runs the
   * plan of each call that it traces, and returns what it gives: a run doesn't change its bits in the middle.
   */
  readonly changesNumbers: boolean;
  /** What plans can compute in, besides 'float32'; none where absent. */
  readonly precisions?: readonly Precision[];
}

/**
 * Where an argument comes from: 'host', an NdArray that was uploaded for this call, and comes as one in replays;
 * 'donated', a tensor that the call consumes, whose memory its outputs may take; 'kept', a tensor that stays.
 */
export type Origin = 'host' | 'donated' | 'kept';

/**
 * What a recorded call computes in. 'mixed-float16': what products, convolutions and the work between them make inside of
 * the call is kept in float16 (11 bits, up to 65504), and their factors are rounded to it; sums, statistics, losses,
 * arguments and outputs stay float32. See PyTorch's autocast and Keras's 'mixed_float16'.
 */
export type Precision = 'float32' | 'mixed-float16';

/** A call that is or was watched. */
export interface Recording {
  /** Ends it; without outputs where the call threw. */
  end(outputs?: readonly Tensor[]): void;
  /** Why calls like it can't be replayed, if something was in the way. */
  readonly reason: string | undefined;
}

/** A recorded call, ready to be repeated on other values. */
export interface Plan {
  /** How many kernels a replay runs. */
  readonly commands: number;
  /** Bytes on the device for what a replay makes in between. */
  readonly bytes: number;
  /**
   * Repeats the call. Inputs as in the recording: tensors where there were tensors, NdArrays of the same dtypes and
   * shapes where those were uploaded. The outputs are new tensors, and alias none of the inputs but where the function
   * returned an input itself, or where one was donated: that may have no values left. Whatever it throws, it leaves nothing
   * behind, and donated inputs as they were; `RecordingMismatch` where the call turns
   * out not to be like the recorded one.
   */
  run(inputs: readonly (Tensor | NdArray)[]): Tensor[];
  dispose(): void;
}

/** A replay that can't go on, since its call isn't like the recorded ones: it runs eagerly instead. */
export class RecordingMismatch extends Error {
  override name = 'RecordingMismatch';
}
