import {
  backend_util,
  Conv2D,
  type Conv2DAttrs,
  Conv2DBackpropFilter,
  type Conv2DBackpropFilterAttrs,
  Conv2DBackpropInput,
  type Conv2DBackpropInputAttrs,
  FusedConv2D,
  type FusedConv2DAttrs,
  type TensorInfo,
  util,
} from '@tensorflow/tfjs-core';
import { type Attribute, stringAttribute, typeAttribute } from '../binding.js';
import { finish } from './epilogue.js';
import { defineKernel, type Kernel } from './kernel.js';
import type { Ops } from './ops.js';
import {
  along,
  type Frame,
  frameOf2D,
  type Info2D,
  isEmpty,
  paddingAttributes,
  visible,
  visibleSize,
  withUnseen,
} from './windows.js';

type Shape = [number, number, number, number];

/**
 * Two-dimensional convolutions: one op of TensorFlow's for images [batch, height, width, channels]. Those that have their
 * channels first are transposed, as TensorFlow needs on a processor.
 */
const TO_LAST = [0, 2, 3, 1];
const TO_FIRST = [0, 3, 1, 2];

function convolve(ops: Ops, x: TensorInfo, filter: TensorInfo, attrs: Conv2DAttrs): TensorInfo {
  const { strides, pad, dataFormat, dilations, dimRoundingMode } = attrs;
  const info = backend_util.computeConv2DInfo(
    x.shape as Shape,
    filter.shape as Shape,
    strides,
    dilations,
    pad,
    dimRoundingMode,
    false,
    backend_util.convertConv2DDataFormat(dataFormat),
  );
  if (isEmpty(x.shape, filter.shape, info.outShape)) return ops.fill(info.outShape, 0);
  const frame = frameOf2D(info);
  const images = visible(ops, channelsLast(ops, x, info), frame);
  const out = ops.one('Conv2D', attributesOf(info, frame, x.dtype), [images, filter]);
  return channelsAsGiven(ops, out, info);
}

const conv2D = defineKernel<Conv2DAttrs>(Conv2D, ({ inputs: { x, filter }, attrs, ops }) =>
  convolve(ops, x, filter, attrs),
);

const fusedConv2D = defineKernel<FusedConv2DAttrs>(FusedConv2D, ({ inputs, attrs, ops }) => {
  const { x, filter, bias, preluActivationWeights } = inputs;
  const { activation, leakyreluAlpha } = attrs;
  // Where channels come first, a vector belongs to them; whatever else is given is broadcast as it is.
  const placed = (weights: TensorInfo | undefined): TensorInfo | undefined =>
    weights && attrs.dataFormat === 'NCHW' && weights.shape.length === 1
      ? ops.reshape(weights, [weights.shape[0], 1, 1])
      : weights;
  return finish(ops, convolve(ops, x, filter, attrs), {
    bias: placed(bias),
    preluActivationWeights: placed(preluActivationWeights),
    activation,
    leakyreluAlpha,
  });
});

/** The gradient for the filter, without dilation, as tfjs's gradient of a convolution has it. */
const conv2DBackpropFilter = defineKernel<Conv2DBackpropFilterAttrs>(
  Conv2DBackpropFilter,
  ({ inputs: { x, dy }, attrs, ops }) => {
    const { strides, pad, dataFormat, dimRoundingMode, filterShape } = attrs;
    const info = gradientInfo(x.shape, filterShape, strides, pad, dimRoundingMode, dataFormat);
    if (isEmpty(x.shape, filterShape, dy.shape)) return ops.fill(filterShape, 0);
    const frame = frameOf2D(info);
    const { filterHeight, filterWidth, strideHeight, strideWidth } = info;
    let images = visible(ops, channelsLast(ops, x, info), frame);
    let attributes = attributesOf(info, frame);
    if (filterHeight * filterWidth === 1 && strideHeight * strideWidth > 1) {
      // oneDNN writes past the end where such filters take strides. They only see what the strides meet.
      if (frame.padding === 'EXPLICIT') images = ops.pad(images, [NONE, ...frame.pads, NONE]);
      images = ops.stride(images, [1, strideHeight, strideWidth, 1]);
      attributes = attributesOf({ ...info, strideHeight: 1, strideWidth: 1 }, { ...frame, padding: 'VALID' });
    }
    const inputs = [images, ops.integers(filterShape), channelsLast(ops, dy, info)];
    return ops.one('Conv2DBackpropFilter', attributes, inputs);
  },
);

/** The gradient for the images; without dilation too. */
const conv2DBackpropInput = defineKernel<Conv2DBackpropInputAttrs>(
  Conv2DBackpropInput,
  ({ inputs: { dy, filter }, attrs, ops }) => {
    const { strides, pad, dataFormat, dimRoundingMode, inputShape } = attrs;
    const info = gradientInfo(inputShape, filter.shape, strides, pad, dimRoundingMode, dataFormat);
    if (isEmpty(inputShape, filter.shape, dy.shape)) return ops.fill(inputShape, 0);
    const frame = frameOf2D(info);
    const { inHeight, inWidth, batchSize, inChannels, outHeight, outWidth, outChannels } = info;
    const outShape = [batchSize, outHeight, outWidth, outChannels];
    let output = channelsLast(ops, dy, info);
    // tfjs's transposed convolution may be given more of dy than the sizes say.
    if (!util.arraysEqual(output.shape, outShape)) output = ops.slice(output, [0, 0, 0, 0], outShape);
    const shape = [batchSize, inHeight, inWidth, inChannels];
    let weights = filter;
    if (inChannels === 1 && outChannels === 1) {
      // oneDNN gives wrong numbers for one channel on both sides.
      weights = ops.pad(weights, [NONE, NONE, NONE, [0, 1]]);
      output = ops.pad(output, [NONE, NONE, NONE, [0, 1]]);
    }
    const inputs = [ops.integers(visibleSize(shape, frame)), weights, output];
    const seen = ops.one('Conv2DBackpropInput', attributesOf(info, frame), inputs);
    return channelsAsGiven(ops, withUnseen(ops, seen, shape, frame), info);
  },
);

const NONE = [0, 0] as const;

export const convolutionKernels: readonly Kernel[] = [
  conv2D,
  fusedConv2D,
  conv2DBackpropFilter,
  conv2DBackpropInput,
];

function gradientInfo(
  inputShape: readonly number[],
  filterShape: readonly number[],
  strides: Conv2DAttrs['strides'],
  pad: Conv2DAttrs['pad'],
  roundingMode: Conv2DAttrs['dimRoundingMode'],
  dataFormat: Conv2DAttrs['dataFormat'],
): Info2D {
  return backend_util.computeConv2DInfo(
    inputShape as Shape,
    filterShape as Shape,
    strides,
    1,
    pad,
    roundingMode,
    false,
    backend_util.convertConv2DDataFormat(dataFormat),
  );
}

function attributesOf(info: Info2D, frame: Frame, dtype: TensorInfo['dtype'] = 'float32'): Attribute[] {
  return [
    typeAttribute('T', dtype as 'float32'),
    along('strides', info.strideHeight, info.strideWidth),
    along('dilations', info.dilationHeight, info.dilationWidth),
    stringAttribute('data_format', 'NHWC'),
    ...paddingAttributes(frame),
  ];
}

function channelsLast(ops: Ops, images: TensorInfo, { dataFormat }: Info2D): TensorInfo {
  return dataFormat === 'channelsLast' ? images : ops.transpose(images, TO_LAST);
}

function channelsAsGiven(ops: Ops, images: TensorInfo, { dataFormat }: Info2D): TensorInfo {
  return dataFormat === 'channelsLast' ? images : ops.transpose(images, TO_FIRST);
}
