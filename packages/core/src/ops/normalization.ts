import { add, mean, mul, reshape, rsqrt, square, sub, sum, type Tensor } from '@tensorflow/tfjs-core';
import { withoutGradient } from '../engine.js';
import { defineOp, definePrimitive, type OpDefinition, type PrimitiveDefinition } from '../op.js';

type Attrs = { readonly epsilon: number };
type LayerInputs = { readonly x: Tensor; readonly scale: Tensor; readonly bias: Tensor };
type BatchInputs = LayerInputs & { readonly mean: Tensor; readonly variance: Tensor };
type LayerGradInputs = { readonly dy: Tensor; readonly x: Tensor; readonly scale: Tensor };
type BatchGradInputs = LayerGradInputs & { readonly mean: Tensor; readonly variance: Tensor };

/** Mean and biased variance along an axis, which stays with the length 1. The variance is of the centered values. */
function moments(x: Tensor, axis: number): { mean: Tensor; variance: Tensor } {
  const center = mean(x, axis, true);
  // E[x²] − E[x]² would cancel where the mean is large.
  return { mean: center, variance: mean(square(sub(x, center)), axis, true) };
}

/**
 * What one normalization over `axis` does to a gradient: with x̂ = (x − μ)·r, r = 1/√(σ² + ε), and g = ∂L/∂x̂,
 *
 *   dx = r · (g − mean(g) − x̂ · mean(g·x̂)).
 */
function throughNormalization(g: Tensor, normal: Tensor, factor: Tensor, axis: number): Tensor {
  const level = mean(g, axis, true);
  const tilt = mul(normal, mean(mul(g, normal), axis, true));
  return mul(factor, sub(sub(g, level), tilt));
}

/**
 * The gradient of `LayerNorm`, for x of any rank: dx as in `throughNormalization` with g = dy·scale, over the last axis;
 * dscale = Σ dy·x̂ and dbias = Σ dy over all others.
 */
export const layerNormGradDefinition: PrimitiveDefinition<LayerGradInputs, Attrs> = {
  name: 'LayerNormGrad',
  reference({ dy, x, scale }, { epsilon }) {
    const features = scale.size;
    const rows = reshape(x, [-1, features]);
    const above = reshape(dy, [-1, features]);
    const own = moments(rows, 1);
    const factor = rsqrt(add(own.variance, epsilon));
    const normal = mul(sub(rows, own.mean), factor);
    const dx = throughNormalization(mul(above, scale), normal, factor, 1);
    return [reshape(dx, x.shape), sum(mul(above, normal), 0), sum(above, 0)];
  },
};

/**
 * The gradient of `BatchNorm`, dx as in `throughNormalization` with g = dy·scale, over all rows of x [n, c]: through the
 * statistics too. dscale = Σ dy·x̂, dbias = Σ dy.
 *
 * The reference computes the statistics again: a tape that differentiates it has to see how they hang on x.
 */
export const batchNormGradDefinition: PrimitiveDefinition<BatchGradInputs, Attrs> = {
  name: 'BatchNormGrad',
  reference({ dy, x, scale }, { epsilon }) {
    const own = moments(x, 0);
    const factor = rsqrt(add(own.variance, epsilon));
    const normal = mul(sub(x, own.mean), factor);
    return [throughNormalization(mul(dy, scale), normal, factor, 0), sum(mul(dy, normal), 0), sum(dy, 0)];
  },
};

const layerNormGrad = definePrimitive(layerNormGradDefinition);
const batchNormGrad = definePrimitive(batchNormGradDefinition);

/** y = (x − μ) / √(σ² + ε) · scale + bias, over the last axis: see `layerNormalize`. */
export const layerNormDefinition: OpDefinition<LayerInputs, Attrs> = {
  name: 'LayerNorm',
  reference({ x, scale, bias }, { epsilon }) {
    const own = moments(x, x.rank - 1);
    const normal = mul(sub(x, own.mean), rsqrt(add(own.variance, epsilon)));
    return add(mul(normal, scale), bias);
  },
  gradient(dy, { inputs: { x, scale } }, attrs) {
    const [dx, dscale, dbias] = layerNormGrad({ dy, x, scale }, attrs);
    return { x: dx, scale: dscale, bias: dbias };
  },
};

/**
 * y = (x − mean) / √(variance + ε) · scale + bias, where mean and variance are the statistics of the rows of x. The
 * gradient with respect to x has what goes through them; with respect to them it is zero.
 */
export const batchNormDefinition: OpDefinition<BatchInputs, Attrs> = {
  name: 'BatchNorm',
  reference({ x, mean: center, variance, scale, bias }, { epsilon }) {
    const factor = mul(rsqrt(add(variance, epsilon)), scale);
    return add(mul(sub(x, center), factor), bias);
  },
  gradient(dy, { inputs: { x, mean: center, variance, scale } }, attrs) {
    const [dx, dscale, dbias] = batchNormGrad({ dy, x, mean: center, variance, scale }, attrs);
    return { x: dx, scale: dscale, bias: dbias };
  },
};

const layerNormOp = defineOp(layerNormDefinition);
const batchNormOp = defineOp(batchNormDefinition);

/**
 * Layer normalization over the last axis, y = (x − μ) / √(σ² + ε) · scale + bias, with the mean μ and the biased variance
 * σ² of each row. x: float32 [batch, …, features]; scale and bias [features]; y as x.
 *
 * Ba, Kiros and Hinton 2016, "Layer normalization".
 */
export function layerNormalize(x: Tensor, scale: Tensor, bias: Tensor, epsilon: number): Tensor {
  return layerNormOp({ x, scale, bias }, { epsilon });
}

/** What `batchNormalize` gives. */
export interface BatchNormalized {
  readonly output: Tensor;
  /** [channels], of this batch; a constant to gradients, as is the variance. */
  readonly mean: Tensor;
  /** [channels], biased: Σ(x − μ)² / n. */
  readonly variance: Tensor;
}

/**
 * Batch normalization of x [n, channels] by its own statistics, y = (x − μ) / √(σ² + ε) · scale + bias, differentiated
 * through them. scale and bias: [channels].
 *
 * Ioffe and Szegedy 2015, "Batch normalization: accelerating deep network training".
 */
export function batchNormalize(x: Tensor, scale: Tensor, bias: Tensor, epsilon: number): BatchNormalized {
  const own = withoutGradient(() => {
    const center = mean(x, 0);
    return { mean: center, variance: mean(square(sub(x, center)), 0) };
  });
  return { output: batchNormOp({ x, ...own, scale, bias }, { epsilon }), ...own };
}
