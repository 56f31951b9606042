import type { Tensor } from '@tensorflow/tfjs-core';
import type { Context } from './context.js';
import type { Key } from './key.js';
import type { NdArray } from './ndarray.js';
import type { TensorSpec } from './spec.js';
import type { Device, Host, Leaf, None, Params, Specs, Tree } from './tree.js';

/** Anything that JSON holds. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** The JSON that a layer is rebuilt from: `{ layer: 'dense', version: 1, units: 64 }`. */
export interface LayerSpec {
  readonly layer: string;
  readonly version: number;
  readonly [option: string]: Json;
}

/** What `init` returns: the initial values, and what `apply` will give out. */
export interface Initialized<P, S, Out = Tensor> {
  readonly params: Host<P>;
  readonly state: Host<S>;
  readonly output: Specs<Out>;
}

/** What `apply` returns. */
export interface Applied<S, Out = Tensor> {
  readonly output: Out;
  /** The state after this call; the one that was passed in where nothing changed. */
  readonly state: Device<S>;
  /** Scalars that the step adds to the loss (regularisation). */
  readonly losses?: readonly Tensor[];
}

/**
 * A layer: a frozen value that describes a function with parameters. It holds no arrays; `init` makes them, and
 * `apply` is a pure function of them.
 *
 * `P` and `S` are the shapes of the parameter and state trees: `{ kernel: Leaf; bias: Leaf }`. `state` is what is
 * saved with the model without being trained (batch-norm's running statistics).
 */
export interface Layer<
  P extends Params<Leaf> = Params<Leaf>,
  S extends Params<Leaf> = Params<Leaf>,
  In extends Tree<Tensor> = Tensor,
  Out extends Tree<Tensor> = Tensor,
> {
  readonly spec: LayerSpec;
  /** The children of a container, by the names that their parameters' paths begin with. */
  readonly children?: {
    readonly [name: string]: Layer<Params<Leaf>, Params<Leaf>, Tree<Tensor>, Tree<Tensor>>;
  };
  /**
   * Initial parameters and state for inputs of this kind, drawn from `key`. `path` is where the layer stands, for
   * errors. Throws `SHAPE_MISMATCH` for an input that the layer can't take.
   */
  init(key: Key, input: Specs<In>, path?: string): Initialized<P, S, Out>;
  apply(params: Device<P>, state: Device<S>, input: In, context: Context): Applied<S, Out>;
}

/** A layer whose types are not known further: what containers hold and registries build. Every `Layer` is one. */
export interface AnyLayer {
  readonly spec: LayerSpec;
  readonly children?: { readonly [name: string]: AnyLayer };
  init(
    key: Key,
    input: Tree<TensorSpec>,
    path?: string,
  ): {
    readonly params: Params<NdArray>;
    readonly state: Params<NdArray>;
    readonly output: Tree<TensorSpec>;
  };
  apply(
    params: Params<Tensor>,
    state: Params<Tensor>,
    input: Tree<Tensor>,
    context: Context,
  ): { readonly output: Tree<Tensor>; readonly state: Params<Tensor>; readonly losses?: readonly Tensor[] };
}

/** A layer without parameters and state. */
export type StatelessLayer = Layer<None, None>;
