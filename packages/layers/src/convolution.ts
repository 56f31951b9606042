import { defineLayer, dilatedConv2d, type Layer, type None, type TensorSpec } from '@tenon-ml/core';
import { add, fused, type Tensor, type Tensor4D } from '@tensorflow/tfjs-core';
import type { KernelParams } from './dense.js';
import { frozenLayer } from './frozen.js';
import { type Initializer, initialize, readInitializer } from './initializers.js';
import { type InputLike, leaves, shapeError } from './inputs.js';
import {
  fromCall,
  fromSpec,
  type OptionSource,
  optionError,
  type Pair,
  type RawOptions,
  readOptions,
  specOptions,
} from './options.js';
import { type Padding, padsOf, slideOver, type Windows } from './windows.js';

export interface ConvolutionOptions<Bias extends boolean = boolean> {
  /** Steps from window to window (default 1). */
  readonly strides?: number | Pair;
  /** 'valid' (default) takes only windows that lie in the image; 'same' pads with zeros as TensorFlow does. */
  readonly padding?: Padding;
  /** The distance between the taps of a window (default 1: they touch). */
  readonly dilation?: number | Pair;
  /** Whether a bias is added (default true). */
  readonly bias?: Bias;
  /** Of the kernel (default 'glorotUniform'). */
  readonly kernelInitializer?: Initializer;
  /** Of the bias (default 'zeros'). */
  readonly biasInitializer?: Initializer;
}

/**
 * A convolution of images (a cross-correlation, as everywhere in this field):
 *
 *   y[n, h, w, o] = bias[o] + Σ_{i, j, c} x[n, h·strides₀ + i·dilation₀, w·strides₁ + j·dilation₁, c] · kernel[i, j, c, o]
 *
 * Shapes: x float32 [batch, height, width, in]; kernel [rows, columns, in, filters]; bias [filters]; y [batch, …, …,
 * filters] with ⌊(height − dilation·(rows − 1) − 1) / strides⌋ + 1 rows, with 'same' ⌈height / strides⌉, and columns
 * likewise. Height and width may be free in the input's spec.
 *
 * Throws `INVALID_ARGUMENT` for options that make no sense, strides and dilation both above 1 among them (TensorFlow
 * has no such convolution either); `SHAPE_MISMATCH` for inputs that aren't images or are smaller than the kernel;
 * `DTYPE_MISMATCH` for inputs that aren't float32.
 *
 * Differs from PyTorch: NHWC, and kernels [rows, columns, in, out] (there [out, in, rows, columns]); 'same' with strides
 * pads as TensorFlow (there it's an error), the odd row and column at the end; kernel glorotUniform and bias zeros, as
 * in Keras (there U(±1/√(in · rows · columns)) for both).
 */
export function conv2d<Bias extends boolean = true>(
  filters: number,
  kernelSize: number | Pair,
  options: ConvolutionOptions<Bias> = {},
): Layer<KernelParams<Bias>, None> {
  return conv2dOf({ ...options, filters, kernelSize }, fromCall('conv2d')) as Layer<KernelParams<Bias>, None>;
}

/** Rebuilds `conv2d` from its spec. */
export const conv2dDefinition = /* @__PURE__ */ defineLayer({
  name: 'conv2d',
  version: 1,
  build: (spec, _registry, path) => conv2dOf(specOptions(spec), fromSpec(path, 'conv2d')),
});

function conv2dOf(raw: RawOptions, source: OptionSource): Layer<KernelParams, None> {
  const options = readOptions(raw, source);
  const filters = options.positiveInteger('filters');
  const kernelSize = options.pair('kernelSize');
  const strides = options.pair('strides', [1, 1]);
  const padding = options.choice('padding', ['valid', 'same'], 'valid');
  const dilation = options.pair('dilation', [1, 1]);
  const bias = options.boolean('bias', true);
  const kernelInitializer = readInitializer(options, 'kernelInitializer', 'glorotUniform');
  const biasInitializer = readInitializer(options, 'biasInitializer', 'zeros');
  options.end();
  const dilated = Math.max(...dilation) > 1;
  if (dilated && Math.max(...strides) > 1) {
    throw optionError(
      source,
      'dilation',
      `1 where strides are above 1 (${JSON.stringify(strides)})`,
      dilation,
    );
  }

  const windows: Windows = { size: kernelSize, strides, padding, dilation };
  const names = bias ? ['kernel', 'bias'] : ['kernel'];
  return frozenLayer<KernelParams, None>({
    spec: {
      layer: 'conv2d',
      version: 1,
      filters,
      kernelSize,
      strides,
      padding,
      dilation,
      bias,
      kernelInitializer,
      biasInitializer,
    },
    init(key, input: TensorSpec, path = '') {
      const where = path || 'conv2d';
      const [height, width] = slideOver(input, windows, where, 'kernelSize');
      const channels = channelsOf(input, where);
      const kernel = initialize(
        kernelInitializer,
        key.foldIn('kernel'),
        [...kernelSize, channels, filters],
        where,
      );
      const params = bias
        ? { kernel, bias: initialize(biasInitializer, key.foldIn('bias'), [filters], where) }
        : { kernel };
      return {
        params: params as { kernel: typeof kernel; bias: typeof kernel },
        state: {},
        output: { dtype: 'float32', shape: [input.shape[0], height, width, filters] },
      };
    },
    apply(params, state, input: Tensor, context) {
      const where = context.path || 'conv2d';
      const [kernel, offset] = leaves(params, names, where);
      slideOver(input, windows, where, 'kernelSize');
      channelsOf(input, where, kernel.shape[2]);
      const [, height, width] = input.shape;
      if (dilated) {
        const convolved = dilatedConv2d(input, kernel, dilation, padsOf(height, width, windows));
        return { output: bias ? add(convolved, offset) : convolved, state };
      }
      // One kernel for both: with no activation tfjs keeps it whole under a gradient tape too.
      const output = fused.conv2d({
        x: input as Tensor4D,
        filter: kernel as Tensor4D,
        strides: [...strides],
        pad: padding,
        bias: offset,
      });
      return { output, state };
    },
  });
}

/** The number of channels of an image; `known` is what the kernel was made for. */
function channelsOf(input: InputLike, where: string, known?: number): number {
  const channels = input.shape[3];
  const expected = `[batch, height, width, ${known ?? 'channels'}]`;
  if (channels === null) throw shapeError(where, `${expected} with a known number of channels`, input);
  if (known !== undefined && channels !== known) {
    throw shapeError(where, expected, input, 'Its kernel was made for images of that many channels.');
  }
  return channels;
}
