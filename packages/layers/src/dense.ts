import { defineLayer, type Key, type Layer, type Leaf, type None, type TensorSpec } from '@tenon-ml/core';
import { fused, reshape, type Tensor, type Tensor2D } from '@tensorflow/tfjs-core';
import { frozenLayer } from './frozen.js';
import { type Initializer, initialize, readInitializer } from './initializers.js';
import { checkFloat32, type InputLike, leaves, shapeError } from './inputs.js';
import {
  fromCall,
  fromSpec,
  type OptionSource,
  type RawOptions,
  readOptions,
  specOptions,
} from './options.js';

export interface DenseOptions<Bias extends boolean = boolean> {
  /** Whether a bias is added (default true). */
  readonly bias?: Bias;
  /** Of the kernel (default 'glorotUniform'). */
  readonly kernelInitializer?: Initializer;
  /** Of the bias (default 'zeros'). */
  readonly biasInitializer?: Initializer;
}

/** Parameters of `dense` and `conv2d`. */
export type KernelParams<Bias extends boolean = true> = Bias extends true
  ? { readonly kernel: Leaf; readonly bias: Leaf }
  : { readonly kernel: Leaf };

/**
 * A fully connected layer: y = x · kernel + bias.
 *
 * Shapes: x float32 [batch, in] or [batch, time, in]; kernel [in, units]; bias [units]; y as x, with `units` last.
 *
 * Throws `INVALID_ARGUMENT` for options that make no sense, `SHAPE_MISMATCH` for inputs of another rank (images are
 * flattened first) and `DTYPE_MISMATCH` for inputs that aren't float32.
 *
 * Differs from PyTorch: `Linear` keeps the kernel as [out, in], and draws kernel and bias from U(±1/√in). The kernel
 * here is glorotUniform and the bias zeros, as in Keras. Keras and PyTorch take any rank; here rank 4 is an error,
 * since a forgotten flatten() is the likelier reading.
 */
export function dense<Bias extends boolean = true>(
  units: number,
  options: DenseOptions<Bias> = {},
): Layer<KernelParams<Bias>, None> {
  return denseOf({ ...options, units }, fromCall('dense')) as Layer<KernelParams<Bias>, None>;
}

/** Rebuilds `dense` from its spec: every option, with its initializers. */
export const denseDefinition = /* @__PURE__ */ defineLayer({
  name: 'dense',
  version: 1,
  build: (spec, _registry, path) => denseOf(specOptions(spec), fromSpec(path, 'dense')),
});

function denseOf(
  raw: RawOptions,
  source: OptionSource,
): Layer<KernelParams, None> | Layer<KernelParams<false>, None> {
  const options = readOptions(raw, source);
  const units = options.positiveInteger('units');
  const bias = options.boolean('bias', true);
  const kernelInitializer = readInitializer(options, 'kernelInitializer', 'glorotUniform');
  const biasInitializer = readInitializer(options, 'biasInitializer', 'zeros');
  options.end();

  const names = bias ? ['kernel', 'bias'] : ['kernel'];
  return frozenLayer<KernelParams, None>({
    spec: { layer: 'dense', version: 1, units, bias, kernelInitializer, biasInitializer },
    init(key: Key, input: TensorSpec, path = '') {
      const where = path || 'dense';
      const features = checkInput(input, where);
      const kernel = initialize(kernelInitializer, key.foldIn('kernel'), [features, units], where);
      const params = bias
        ? { kernel, bias: initialize(biasInitializer, key.foldIn('bias'), [units], where) }
        : { kernel };
      return {
        params: params as { kernel: typeof kernel; bias: typeof kernel },
        state: {},
        output: { dtype: 'float32', shape: [...input.shape.slice(0, -1), units] },
      };
    },
    apply(params, state, input: Tensor, context) {
      const where = context.path || 'dense';
      const [kernel, offset] = leaves(params, names, where);
      checkInput(input, where, kernel.shape[0]);
      return { output: affine(input, kernel, offset), state };
    },
  });
}

/** x · kernel + bias over the last axis of x, for kernel [in, out] and bias [out]. */
export function affine(x: Tensor, kernel: Tensor, bias?: Tensor): Tensor {
  const [features, units] = kernel.shape;
  const matrix = x.rank === 2 ? x : reshape(x, [-1, features]);
  // One kernel for both: with no activation tfjs keeps it whole under a gradient tape too.
  const product = fused.matMul({ a: matrix as Tensor2D, b: kernel as Tensor2D, bias });
  return x.rank === 2 ? product : reshape(product, [...x.shape.slice(0, -1), units]);
}

/** The number of features of an input; `known` is what the kernel was made for. */
function checkInput(input: InputLike, where: string, known?: number): number {
  const { shape } = input;
  const wanted = known ?? 'features';
  const rank2 = `[batch, ${wanted}]`;
  if (shape.length === 1) {
    throw shapeError(where, rank2, input, 'Add a features axis: one number an example is [batch, 1].');
  }
  if (shape.length !== 2 && shape.length !== 3) {
    throw shapeError(where, rank2, input, 'Add flatten() before it.');
  }
  const expected = shape.length === 2 ? rank2 : `[batch, time, ${wanted}]`;
  const features = shape[shape.length - 1];
  if (features === null) {
    const hint = 'Give the input fixed sizes: the kernel has a row for each feature.';
    throw shapeError(where, `${expected} with a known number of features`, input, hint);
  }
  if (known !== undefined && features !== known) {
    throw shapeError(where, expected, input, 'Its kernel was made for inputs of that size.');
  }
  checkFloat32(input, where);
  return features;
}
