import { TenonError } from '@tenon-ml/core';
import { type Scalar, sqrt, square, sum, type Tensor } from '@tensorflow/tfjs-core';

/**
 * The Euclidean norm of all elements: √(Σ x²). An example: replace it by what the package is for.
 *
 * Shapes: `x` any shape, float32; the result a scalar. As `torch.linalg.vector_norm(x)`.
 *
 * Throws `DTYPE_MISMATCH` unless `x` is float32.
 */
export function euclideanNorm(x: Tensor): Scalar {
  if (x.dtype !== 'float32') {
    throw new TenonError({
      code: 'DTYPE_MISMATCH',
      where: 'euclideanNorm',
      expected: 'a float32 tensor',
      got: x.dtype,
      hint: 'Cast it first.',
    });
  }
  return sqrt(sum<Scalar>(square(x)));
}
