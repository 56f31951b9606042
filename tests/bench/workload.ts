import type { AnyLayer, Key, Loss, NdArray, TensorSpec, Tree } from '@tenon-ml/core';
import type { Tensor } from '@tensorflow/tfjs-core';

interface Named {
  readonly name: string;
  /** One line for the table and the docs. */
  readonly summary: string;
  /** The batch sizes that are measured unless `--batch` says otherwise. */
  readonly batches: readonly number[];
}

/** A network in training: a step is forward, loss, backward and Adam's update. Cases: `step`, and ours `eager`. */
export interface TrainingWorkload extends Named {
  readonly kind: 'training';
  readonly model: AnyLayer;
  readonly input: TensorSpec;
  /** How many numbers are trained: those of the peers' networks (an LSTM may have a second bias). */
  readonly parameters: number;
  readonly loss: Loss<Tree<Tensor>, Tree<Tensor>>;
  /** Random examples. */
  data(key: Key, batch: number): { readonly input: NdArray; readonly target: NdArray };
}

/** A network that predicts: a step takes a batch from the host and gives the logits back. Cases as in training. */
export interface InferenceWorkload extends Named {
  readonly kind: 'inference';
  readonly model: AnyLayer;
  readonly input: TensorSpec;
  data(key: Key, batch: number): NdArray;
}

/** [rows, inner] · [inner, columns] */
export interface Product {
  readonly case: string;
  readonly rows: number;
  readonly inner: number;
  readonly columns: number;
}

/** Products of matrices that are on the device already: a step is one product, and a case a size. */
export interface ProductWorkload extends Named {
  readonly kind: 'product';
  readonly products: readonly Product[];
}

export type Workload = TrainingWorkload | InferenceWorkload | ProductWorkload;

/** Labels in [0, classes), int32. */
export function randomLabels(key: Key, shape: readonly number[], classes: number): NdArray<'int32'> {
  const count = shape.reduce((product, size) => product * size, 1);
  return { dtype: 'int32', shape, data: Int32Array.from(key.bits(count), (bits) => bits % classes) };
}
