import {
  batchNormalize,
  defineLayer,
  type Host,
  type Layer,
  type Leaf,
  layerNormalize,
  type NdArray,
  type None,
  ndarray,
  type TensorSpec,
} from '@tenon-ml/core';
import { add, mul, ones, reshape, rsqrt, sub, type Tensor, zeros } from '@tensorflow/tfjs-core';
import { frozenLayer } from './frozen.js';
import { checkFloat32, type InputLike, leaves, shapeError } from './inputs.js';
import {
  fromCall,
  fromSpec,
  type OptionSource,
  type RawOptions,
  readOptions,
  specOptions,
} from './options.js';

/** Parameters of `layerNorm`. */
export type LayerNormParams = { readonly scale: Leaf; readonly bias: Leaf };

export interface LayerNormOptions {
  /** Added to the variance (default 1e-5). */
  readonly epsilon?: number;
}

/**
 * Layer normalization: y = (x − μ) / √(σ² + epsilon) · scale + bias, with the mean μ and the biased variance σ² of each
 * position's features (the last axis). The same in training and out of it.
 *
 * Shapes: x float32 [batch, …, features] of rank 2 or more; scale [features], which begins as ones, and bias
 * [features], as zeros. Throws `SHAPE_MISMATCH` and `DTYPE_MISMATCH` for other inputs.
 *
 * epsilon is PyTorch's default; Keras's is 1e-3. PyTorch's `LayerNorm` also takes several axes.
 *
 * Ba, Kiros and Hinton 2016, "Layer normalization".
 */
export function layerNorm(options: LayerNormOptions = {}): Layer<LayerNormParams, None> {
  return layerNormOf({ ...options }, fromCall('layerNorm'));
}

/** Rebuilds `layerNorm` from its spec. */
export const layerNormDefinition = /* @__PURE__ */ defineLayer({
  name: 'layerNorm',
  version: 1,
  build: (spec, _registry, path) => layerNormOf(specOptions(spec), fromSpec(path, 'layerNorm')),
});

function layerNormOf(raw: RawOptions, source: OptionSource): Layer<LayerNormParams, None> {
  const options = readOptions(raw, source);
  const epsilon = options.number('epsilon', 1e-5, 'above 0', (x) => x > 0);
  options.end();
  return frozenLayer<LayerNormParams, None>({
    spec: { layer: 'layerNorm', version: 1, epsilon },
    init(_key, input: TensorSpec, path = '') {
      const features = checkLast(input, path || 'layerNorm', 'features');
      return {
        params: { scale: filled(features, 1), bias: filled(features, 0) },
        state: {},
        output: { dtype: 'float32', shape: [...input.shape] },
      };
    },
    apply(params, state, input: Tensor, context) {
      const where = context.path || 'layerNorm';
      const [scale, bias] = leaves(params, ['scale', 'bias'], where);
      checkLast(input, where, 'features', scale.shape[0]);
      return { output: layerNormalize(input, scale, bias, epsilon), state };
    },
  });
}

export interface BatchNormOptions<Scale extends boolean = boolean, Bias extends boolean = boolean> {
  /** How much of the running statistics a step keeps (default 0.9). */
  readonly momentum?: number;
  /** Added to the variance (default 1e-5). */
  readonly epsilon?: number;
  /** Whether the result is scaled by a parameter (default true). */
  readonly scale?: Scale;
  /** Whether a bias is added (default true). */
  readonly bias?: Bias;
}

export type BatchNormParams<Scale extends boolean = true, Bias extends boolean = true> = (Scale extends true
  ? { readonly scale: Leaf }
  : None) &
  (Bias extends true ? { readonly bias: Leaf } : None);

/** The running statistics, saved with the model. */
export type BatchNormState = { readonly mean: Leaf; readonly variance: Leaf };

/**
 * Batch normalization: y = (x − μ) / √(σ² + epsilon) · scale + bias, per channel (the last axis).
 *
 * In training μ and σ² are the mean and the biased variance (Σ(x − μ)² / n) over all other axes, and the state becomes
 *
 *   mean ← momentum · mean + (1 − momentum) · μ,   variance ← momentum · variance + (1 − momentum) · σ² · n / (n − 1);
 *
 * otherwise they are those of the state.
 *
 * Shapes: x float32 [batch, …, channels] of rank 2 or more; scale, bias, mean, variance [channels]. scale and variance
 * begin as ones, bias and mean as zeros.
 *
 * The running variance is unbiased, as in PyTorch; Keras stores the biased one. `momentum` is Keras's (PyTorch's 0.1 is
 * our 0.9; Keras's default is 0.99). epsilon is PyTorch's default; Keras's is 1e-3. As in PyTorch, training on a single
 * value a channel (n = 1) throws `SHAPE_MISMATCH`: its output would not depend on its input.
 *
 * Ioffe and Szegedy 2015, "Batch normalization: accelerating deep network training".
 */
export function batchNorm<Scale extends boolean = true, Bias extends boolean = true>(
  options: BatchNormOptions<Scale, Bias> = {},
): Layer<BatchNormParams<Scale, Bias>, BatchNormState> {
  // Which parameters there are is known from the options at run time, and from Scale and Bias in the types.
  return batchNormOf({ ...options }, fromCall('batchNorm')) as unknown as Layer<
    BatchNormParams<Scale, Bias>,
    BatchNormState
  >;
}

/** Rebuilds `batchNorm` from its spec. */
export const batchNormDefinition = /* @__PURE__ */ defineLayer({
  name: 'batchNorm',
  version: 1,
  build: (spec, _registry, path) => batchNormOf(specOptions(spec), fromSpec(path, 'batchNorm')),
});

function batchNormOf(raw: RawOptions, source: OptionSource): Layer<BatchNormParams, BatchNormState> {
  const options = readOptions(raw, source);
  const momentum = options.number('momentum', 0.9, 'from 0 to 1', (x) => x >= 0 && x <= 1);
  const epsilon = options.number('epsilon', 1e-5, 'above 0', (x) => x > 0);
  const scale = options.boolean('scale', true);
  const bias = options.boolean('bias', true);
  options.end();

  const names = [...(scale ? ['scale'] : []), ...(bias ? ['bias'] : [])];
  return frozenLayer<BatchNormParams, BatchNormState>({
    spec: { layer: 'batchNorm', version: 1, momentum, epsilon, scale, bias },
    init(_key, input: TensorSpec, path = '') {
      const channels = checkLast(input, path || 'batchNorm', 'channels');
      const params = {
        ...(scale && { scale: filled(channels, 1) }),
        ...(bias && { bias: filled(channels, 0) }),
      };
      return {
        params: params as Host<BatchNormParams>,
        state: { mean: filled(channels, 0), variance: filled(channels, 1) },
        output: { dtype: 'float32', shape: [...input.shape] },
      };
    },
    apply(params, state, input: Tensor, context) {
      const where = context.path || 'batchNorm';
      const [runningMean, runningVariance] = leaves(state, ['mean', 'variance'], where, 'state');
      const own = leaves(params, names, where);
      const channels = checkLast(input, where, 'channels', runningMean.shape[0]);
      const count = input.size / channels;
      // As a matrix: one axis to reduce, and the simplest broadcast.
      const x = reshape(input, [count, channels]);
      if (!context.training) {
        const factor = rsqrt(add(runningVariance, epsilon));
        const scaled = mul(sub(x, runningMean), scale ? mul(factor, own[0]) : factor);
        return { output: reshape(bias ? add(scaled, own[own.length - 1]) : scaled, input.shape), state };
      }
      if (count < 2) {
        const hint = 'Drop the last batch where it is a single example, or train with larger batches.';
        throw shapeError(where, 'more than one value a channel in training', input, hint);
      }
      const { output, mean, variance } = batchNormalize(
        x,
        scale ? own[0] : ones([channels]),
        bias ? own[own.length - 1] : zeros([channels]),
        epsilon,
      );
      const unbiased = mul(variance, count / (count - 1));
      return {
        output: reshape(output, input.shape),
        state: {
          mean: add(mul(runningMean, momentum), mul(mean, 1 - momentum)),
          variance: add(mul(runningVariance, momentum), mul(unbiased, 1 - momentum)),
        },
      };
    },
  });
}

function filled(length: number, value: number): NdArray<'float32'> {
  return ndarray('float32', [length], new Float32Array(length).fill(value));
}

/** The length of the last axis, which is called `name`; `known` is what the parameters were made for. */
function checkLast(input: InputLike, where: string, name: 'features' | 'channels', known?: number): number {
  const { shape } = input;
  const expected = `[batch, …, ${known ?? name}]`;
  if (shape.length < 2) throw shapeError(where, expected, input);
  const length = shape[shape.length - 1];
  if (length === null) throw shapeError(where, `${expected} with a known number of ${name}`, input);
  if (known !== undefined && length !== known) {
    const made = name === 'channels' ? 'Its state was' : 'Its parameters were';
    throw shapeError(where, expected, input, `${made} made for that many ${name}.`);
  }
  checkFloat32(input, where);
  return length;
}
