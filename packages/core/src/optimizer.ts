import type { Tensor } from '@tensorflow/tfjs-core';
import type { Json } from './layer.js';
import type { NdArray } from './ndarray.js';
import type { Device, Host, Leaf, Params } from './tree.js';

/** Host numbers of one step, as the tensors that the compiled step sees: float32 scalars by name. */
export type Scalars = { readonly [name: string]: Tensor };

/** The JSON that names a transform and its options, for reports. */
export interface TransformSpec {
  readonly transform: string;
  readonly [option: string]: Json;
}

/**
 * One step of what an optimizer does to gradients: clip them, scale them by running moments, multiply them by the
 * learning rate. Pure; its state is a tree that mirrors the paths of the parameters (never their position), so that
 * adding or freezing a parameter moves nothing.
 *
 * `updates` are what is *added* to the parameters in the end (as in optax): the transform that applies the learning
 * rate multiplies by −η.
 */
export interface GradientTransform<S extends Params<Leaf> = Params<Leaf>> {
  readonly spec: TransformSpec;
  /** The state before the first step; float32. */
  init(params: Params<NdArray>): Host<S>;
  /**
   * What changes from step to step without depending on the gradients: learning rate, bias corrections. On the host,
   * in float64. `step` counts the updates made before this one: 0 at the first.
   */
  scalars(step: number): { readonly [name: string]: number };
  update<P extends Params<Tensor>>(
    updates: P,
    state: Device<S>,
    params: P,
    scalars: Scalars,
  ): { updates: P; state: Device<S> };
}

/** A gradient transform, and the step that applies what comes out of it. */
export interface Optimizer<S extends Params<Leaf> = Params<Leaf>> {
  /** What it is made of: `chain` takes it apart again. */
  readonly transform: GradientTransform<S>;
  init(params: Params<NdArray>): Host<S>;
  scalars(step: number): { readonly [name: string]: number };
  /** params + updates; the tree of the parameters comes back with the same paths. */
  update<P extends Params<Tensor>>(
    grads: P,
    state: Device<S>,
    params: P,
    scalars: Scalars,
  ): { params: P; state: Device<S> };
}

/** A number for each step: a learning rate. `step` is 0 at the first. On the host, in float64. */
export interface Schedule {
  (step: number): number;
  readonly spec: { readonly schedule: string; readonly [option: string]: Json };
}
