import { type AnyLayer, defineLayer, type Layer, reluElements, type TensorSpec } from '@tenon-ml/core';
import { add, type Tensor } from '@tensorflow/tfjs-core';
import { applyChildren, initChildren } from './children.js';
import { conv2d } from './convolution.js';
import type { KernelParams } from './dense.js';
import { frozenLayer } from './frozen.js';
import { type Initializer, readInitializer } from './initializers.js';
import { type InputLike, shapeError } from './inputs.js';
import { type BatchNormParams, type BatchNormState, batchNorm } from './normalization.js';
import {
  fromCall,
  fromSpec,
  type OptionSource,
  type Pair,
  type RawOptions,
  readOptions,
  specOptions,
} from './options.js';
import { slideOver, type Windows } from './windows.js';

/** Parameters of `resnetBlock`, but for those of its shortcut, which is there only where it changes the shape. */
export type ResnetBlockParams = {
  readonly conv1: KernelParams<false>;
  readonly norm1: BatchNormParams;
  readonly conv2: KernelParams<false>;
  readonly norm2: BatchNormParams;
};

/** State of `resnetBlock`, but for that of its shortcut. */
export type ResnetBlockState = { readonly norm1: BatchNormState; readonly norm2: BatchNormState };

export interface ResnetBlockOptions {
  /** Steps of the first convolution, and of the shortcut's (default 1). */
  readonly strides?: number | Pair;
  /** Of the convolutions' kernels (default 'heNormal'). */
  readonly kernelInitializer?: Initializer;
}

/**
 * The basic block of a residual network, of two 3×3 convolutions without bias:
 *
 *   y = relu(shortcut(x) + norm2(conv2(relu(norm1(conv1(x))))))
 *
 * The shortcut is the identity where strides are 1 and x has `filters` channels, otherwise a 1×1 convolution with these
 * strides and batch normalization (He et al.'s option B), below `shortcutConv` and `shortcutNorm`.
 *
 * Shapes: x float32 [batch, height, width, channels]; y [batch, ⌈height / strides⌉, ⌈width / strides⌉, filters]. Throws
 * `INVALID_ARGUMENT`, `SHAPE_MISMATCH` for inputs that aren't images, and what `batchNorm` throws.
 *
 * Padding is 'same' as TensorFlow's: with strides of 2 and even sizes it puts the zeros at the end, where torchvision's
 * `BasicBlock` has them at both. torchvision's initial kernels are of fan-out, and not truncated.
 *
 * He et al. 2016, "Deep residual learning for image recognition".
 */
export function resnetBlock(
  filters: number,
  options: ResnetBlockOptions = {},
): Layer<ResnetBlockParams, ResnetBlockState> {
  return resnetBlockOf({ ...options, filters }, fromCall('resnetBlock'));
}

/** Rebuilds `resnetBlock` from its spec. */
export const resnetBlockDefinition = /* @__PURE__ */ defineLayer({
  name: 'resnetBlock',
  version: 1,
  build: (spec, _registry, path) => resnetBlockOf(specOptions(spec), fromSpec(path, 'resnetBlock')),
});

function resnetBlockOf(raw: RawOptions, source: OptionSource): Layer<ResnetBlockParams, ResnetBlockState> {
  const options = readOptions(raw, source);
  const filters = options.positiveInteger('filters');
  const strides = options.pair('strides', [1, 1]);
  const kernelInitializer = readInitializer(options, 'kernelInitializer', 'heNormal');
  options.end();

  const convolution = { padding: 'same', bias: false, kernelInitializer } as const;
  const children = {
    conv1: conv2d(filters, 3, { ...convolution, strides }),
    norm1: batchNorm(),
    conv2: conv2d(filters, 3, convolution),
    norm2: batchNorm(),
    shortcutConv: conv2d(filters, 1, { ...convolution, strides }),
    shortcutNorm: batchNorm(),
  } as unknown as { readonly [name: string]: AnyLayer };
  const whole: Windows = { size: [3, 3], strides, padding: 'same', dilation: [1, 1] };
  /** Whether the shortcut has to change the shape. */
  const changes = (input: InputLike, where: string): boolean => {
    slideOver(input, whole, where, 'kernelSize');
    const channels = input.shape[3];
    if (channels === null) {
      throw shapeError(where, '[batch, height, width, channels] with a known number of channels', input);
    }
    return channels !== filters || Math.max(...strides) > 1;
  };

  // No `children`: which of them there are is known from the input only.
  return frozenLayer({
    spec: { layer: 'resnetBlock', version: 1, filters, strides, kernelInitializer },
    init(key, input: TensorSpec, path = '') {
      const withShortcut = changes(input, path || 'resnetBlock');
      const run = initChildren(children, key, path);
      const chain = (...names: string[]): TensorSpec =>
        names.reduce((spec, name) => run.child(name, spec) as TensorSpec, input);
      const output = chain('conv1', 'norm1', 'conv2', 'norm2');
      if (withShortcut) chain('shortcutConv', 'shortcutNorm');
      return { ...run.done(), output };
    },
    apply(params, state, input: Tensor, context) {
      const withShortcut = changes(input, context.path || 'resnetBlock');
      const run = applyChildren(children, params, state, context);
      const normalized = (x: Tensor, conv: string, norm: string): Tensor =>
        run.child(norm, run.child(conv, x)) as Tensor;
      const inner = reluElements(normalized(input, 'conv1', 'norm1'));
      const body = normalized(inner, 'conv2', 'norm2');
      const shortcut = withShortcut ? normalized(input, 'shortcutConv', 'shortcutNorm') : input;
      const output = reluElements(add(shortcut, body));
      return { ...run.done(), output };
    },
  }) as unknown as Layer<ResnetBlockParams, ResnetBlockState>;
}
