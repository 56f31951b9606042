import { defineLayer, type StatelessLayer, type TensorSpec } from '@tenon-ml/core';
import {
  mean as averageOver,
  avgPool,
  maxPool,
  mul,
  pad,
  reshape,
  type Tensor,
  type Tensor4D,
  tensor4d,
} from '@tensorflow/tfjs-core';
import { frozenLayer } from './frozen.js';
import {
  fromCall,
  fromSpec,
  type OptionSource,
  type Pair,
  type RawOptions,
  readOptions,
  specOptions,
} from './options.js';
import { type Padding, padsOf, slideOver, type Windows } from './windows.js';

export interface PoolingOptions {
  /** Steps from window to window (default: the pool size, so that windows tile the image). */
  readonly strides?: number | Pair;
  /** 'valid' (default) drops what doesn't fill a window; 'same' pads. */
  readonly padding?: Padding;
}

/**
 * The maximum over each window of each channel.
 *
 * Shapes: x float32 [batch, height, width, channels]; y [batch, ⌊(height − pool) / stride⌋ + 1, …, channels], with
 * 'same' ⌈height / stride⌉. Padding never wins. Where several elements of a window are the maximum, one of them has
 * the gradient.
 *
 * Throws `INVALID_ARGUMENT`, and `SHAPE_MISMATCH` for inputs that aren't images or are smaller than a window.
 *
 * Defaults are those of Keras and PyTorch. 'same' is TensorFlow's; PyTorch pads by a given number on both sides.
 */
export function maxPool2d(poolSize: number | Pair, options: PoolingOptions = {}): StatelessLayer {
  return poolingOf('maxPool2d', { ...options, poolSize }, fromCall('maxPool2d'));
}

/**
 * The mean over each window of each channel, of the elements that lie in the image: padding doesn't count.
 *
 * Shapes and errors as `maxPool2d`. Keras averages so too; PyTorch counts the padding unless told otherwise
 * (`count_include_pad=False`). tfjs's gradient divides by the whole window even at padded edges; this one doesn't.
 */
export function avgPool2d(poolSize: number | Pair, options: PoolingOptions = {}): StatelessLayer {
  return poolingOf('avgPool2d', { ...options, poolSize }, fromCall('avgPool2d'));
}

/**
 * The mean of each channel over the whole image: [batch, height, width, channels] becomes [batch, channels]. What
 * residual networks have before their last layer, so that it takes images of any size.
 *
 * Throws `SHAPE_MISMATCH` for inputs that aren't images. Keras's `GlobalAveragePooling2D`, PyTorch's
 * `AdaptiveAvgPool2d(1)` and a flatten. Lin, Chen and Yan 2013, "Network in network".
 */
export function globalAvgPool2d(): StatelessLayer {
  return globalAvgPool2dOf({}, fromCall('globalAvgPool2d'));
}

/** Rebuilds `globalAvgPool2d` from its spec. */
export const globalAvgPool2dDefinition = /* @__PURE__ */ defineLayer({
  name: 'globalAvgPool2d',
  version: 1,
  build: (spec, _registry, path) => globalAvgPool2dOf(specOptions(spec), fromSpec(path, 'globalAvgPool2d')),
});

/** Rebuilds `maxPool2d` from its spec. */
export const maxPool2dDefinition = /* @__PURE__ */ defineLayer({
  name: 'maxPool2d',
  version: 1,
  build: (spec, _registry, path) => poolingOf('maxPool2d', specOptions(spec), fromSpec(path, 'maxPool2d')),
});

/** Rebuilds `avgPool2d` from its spec. */
export const avgPool2dDefinition = /* @__PURE__ */ defineLayer({
  name: 'avgPool2d',
  version: 1,
  build: (spec, _registry, path) => poolingOf('avgPool2d', specOptions(spec), fromSpec(path, 'avgPool2d')),
});

function poolingOf(layer: 'maxPool2d' | 'avgPool2d', raw: RawOptions, source: OptionSource): StatelessLayer {
  const options = readOptions(raw, source);
  const poolSize = options.pair('poolSize');
  const strides = options.pair('strides', poolSize);
  const padding = options.choice('padding', ['valid', 'same'], 'valid');
  options.end();

  const windows: Windows = { size: poolSize, strides, padding, dilation: [1, 1] };
  const pool = layer === 'maxPool2d' ? maximum : mean;
  return frozenLayer({
    spec: { layer, version: 1, poolSize, strides, padding },
    init(_key, input: TensorSpec, path = '') {
      const [height, width] = slideOver(input, windows, path || layer, 'poolSize');
      const shape = [input.shape[0], height, width, input.shape[3]];
      return { params: {}, state: {}, output: { dtype: 'float32', shape } };
    },
    apply(_params, state, input: Tensor, context) {
      slideOver(input, windows, context.path || layer, 'poolSize');
      return { output: pool(input as Tensor4D, windows), state };
    },
  });
}

function globalAvgPool2dOf(raw: RawOptions, source: OptionSource): StatelessLayer {
  readOptions(raw, source).end();
  const layer = 'globalAvgPool2d';
  const whole: Windows = { size: [1, 1], strides: [1, 1], padding: 'valid', dilation: [1, 1] };
  return frozenLayer({
    spec: { layer, version: 1 },
    init(_key, input: TensorSpec, path = '') {
      slideOver(input, whole, path || layer, 'poolSize');
      return { params: {}, state: {}, output: { dtype: 'float32', shape: [input.shape[0], input.shape[3]] } };
    },
    apply(_params, state, input: Tensor, context) {
      slideOver(input, whole, context.path || layer, 'poolSize');
      const [batch, height, width, channels] = input.shape;
      return { output: averageOver(reshape(input, [batch, height * width, channels]), 1), state };
    },
  });
}

function maximum(x: Tensor4D, { size, strides, padding }: Windows): Tensor {
  return maxPool(x, [...size], [...strides], padding);
}

function mean(x: Tensor4D, windows: Windows): Tensor {
  const { size, strides } = windows;
  const [, height, width] = x.shape;
  const [top, bottom, left, right] = padsOf(height, width, windows);
  if (top + bottom + left + right === 0) return avgPool(x, [...size], [...strides], 'valid');
  // tfjs's gradient of a padded avgPool is wrong at the edges. So pad by hand, and put right what the zeros took away.
  const padded = pad(x, [
    [0, 0],
    [top, bottom],
    [left, right],
    [0, 0],
  ]);
  const whole = avgPool(padded, [...size], [...strides], 'valid');
  const rows = countsOf(height, size[0], strides[0], top, whole.shape[1]);
  const columns = countsOf(width, size[1], strides[1], left, whole.shape[2]);
  const area = size[0] * size[1];
  const correction = rows.flatMap((row) => columns.map((column) => area / (row * column)));
  return mul(whole, tensor4d(correction, [1, rows.length, columns.length, 1]));
}

/** How many elements of an axis lie in each window. */
function countsOf(length: number, size: number, stride: number, before: number, windows: number): number[] {
  return Array.from({ length: windows }, (_, i) => {
    const start = i * stride - before;
    return Math.min(start + size, length) - Math.max(start, 0);
  });
}
