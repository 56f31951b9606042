import type { Json } from './layer.js';
import type { NdArray } from './ndarray.js';

/** The JSON that a transform is rebuilt from, fitted values included. */
export interface TransformationSpec {
  readonly transform: string;
  readonly version: number;
  readonly [option: string]: Json;
}

/**
 * Preprocessing on the host that travels with a model: what was fitted on the training data is stored in the
 * artifact and applied again before every prediction.
 */
export interface Transform {
  readonly spec: TransformationSpec;
  /** The fitted transform, from examples that training may see; absent where there is nothing to fit. */
  fit?(examples: AsyncIterable<NdArray> | Iterable<NdArray>): Promise<Transform>;
  /** One example, or a batch of them: the axes that were fitted are the last ones. */
  apply(input: NdArray): NdArray;
}
