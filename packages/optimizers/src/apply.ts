import {
  type GradientTransform,
  type NdArray,
  type Optimizer,
  type Params,
  type Scalars,
  TenonError,
  treeEntries,
} from '@tenon-ml/core';
import { add, type Tensor } from '@tensorflow/tfjs-core';
import { checkShape, leavesAt, mapUpdates } from './leaves.js';

/**
 * A transform whatever its state is. `GradientTransform<S>` is not a `GradientTransform` for every S, as TypeScript
 * compares type arguments first; member by member, which this makes it do, it is.
 */
export type AnyTransform = Pick<GradientTransform, keyof GradientTransform>;

/**
 * The optimizer that adds what `transform` makes of the gradients to the parameters: p ← p + u. The transform has
 * brought the minus sign with the learning rate.
 *
 * Its `update` throws `STRUCTURE_MISMATCH` for gradients and parameters whose paths differ, `SHAPE_MISMATCH` and
 * `DTYPE_MISMATCH` for leaves that don't fit, naming the path; all before anything is computed.
 */
export function optimizer(transform: AnyTransform): Optimizer {
  return Object.freeze({
    transform,
    init(params: Params<NdArray>) {
      for (const [path, { dtype }] of treeEntries<NdArray>(params)) checkDType(dtype, path, 'a parameter');
      return transform.init(params);
    },
    scalars: (step: number) => transform.scalars(step),
    update<P extends Params<Tensor>>(grads: P, state: Params<Tensor>, params: P, scalars: Scalars) {
      checkGradients(grads, params);
      const { updates, state: next } = transform.update(grads, state, params, scalars);
      return { params: applyUpdates(params, updates), state: next };
    },
  });
}

/** p + u for every parameter: the last thing an optimizer does. Throws `STRUCTURE_MISMATCH` where paths differ. */
export function applyUpdates<P extends Params<Tensor>>(params: P, updates: P): P {
  const leaves = leavesAt(updates, params, 'an update');
  return mapUpdates(params, (param, path) => add(param, leaves.get(path) as Tensor));
}

function checkGradients(grads: Params<Tensor>, params: Params<Tensor>): void {
  const leaves = leavesAt(grads, params, 'a gradient');
  for (const [path, param] of treeEntries<Tensor>(params)) {
    const grad = leaves.get(path) as Tensor;
    checkShape(grad, param, path, 'a gradient');
    checkDType(grad.dtype, path, 'a gradient');
    checkDType(param.dtype, path, 'a parameter');
  }
}

function checkDType(dtype: string, where: string, what: string): void {
  if (dtype === 'float32') return;
  throw new TenonError({ code: 'DTYPE_MISMATCH', where, expected: `${what} of float32`, got: dtype });
}
