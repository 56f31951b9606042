import type { Loss, NdArray, TensorSpec } from '@tenon-ml/core';
import { ones, square, sub, type Tensor } from '@tensorflow/tfjs-core';
import {
  type ArrayKind,
  checkArrays,
  checkFinite,
  checkSameShape,
  describeKind,
  mismatch,
} from './targets.js';

/**
 * The squared error, per element: value = (p − t)².
 *
 * - prediction p: float32 of any shape [batch, …]; target t: float32 of the same shape.
 * - values, weights: of the same shape; the weights are 1. The step's weighted mean makes the mean squared error of it.
 *
 * As PyTorch's `mse_loss`, without the ½ that some textbooks have: the gradient is 2·(p − t). PyTorch broadcasts
 * targets and warns, Keras broadcasts them in silence; here a mismatch throws `SHAPE_MISMATCH`. Keras averages over the
 * last axis before it weighs, which is the same where an example has one weight.
 *
 * `check` throws `NOT_FINITE` for a target that is NaN or infinite, with the record.
 */
export function meanSquaredError(): Loss {
  const name = 'meanSquaredError';
  const checkKinds = (target: ArrayKind, prediction: ArrayKind): void => {
    checkArrays(name, target, prediction, 1, 'of float32 [batch, …]');
    if (target.dtype !== 'float32') {
      throw mismatch(
        'DTYPE_MISMATCH',
        name,
        'targets of float32',
        describeKind(target),
        "Cast them: cast(target, 'float32').",
      );
    }
    checkSameShape(name, target, prediction);
  };

  const loss = (prediction: Tensor, target: Tensor) => {
    checkKinds(target, prediction);
    const values = square(sub(prediction, target));
    return { values, weights: ones(values.shape) };
  };

  return Object.freeze(
    Object.assign(loss, {
      spec: { loss: name },
      check(target: NdArray, prediction: TensorSpec): void {
        checkKinds(target, prediction);
        checkFinite(name, target);
      },
    }),
  );
}
