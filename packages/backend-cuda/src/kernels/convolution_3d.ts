import {
  backend_util,
  Conv3D,
  type Conv3DAttrs,
  Conv3DBackpropFilterV2,
  type Conv3DBackpropFilterV2Attrs,
  Conv3DBackpropInputV2,
  type Conv3DBackpropInputV2Attrs,
  type TensorInfo,
} from '@tensorflow/tfjs-core';
import { type Attribute, stringAttribute, typeAttribute } from '../binding.js';
import { defineKernel, type Kernel } from './kernel.js';
import {
  along,
  dilated,
  framed,
  framedSize,
  frameOf3D,
  type Info3D,
  isEmpty,
  isPlain,
  unframed,
} from './windows.js';

type Shape = [number, number, number, number, number];

/** Convolutions of volumes [batch, depth, height, width, channels]. */
const conv3D = defineKernel<Conv3DAttrs>(Conv3D, ({ inputs: { x, filter }, attrs, ops }) => {
  const info = infoOf(x.shape, filter.shape, attrs, attrs.dilations);
  if (isEmpty(x.shape, filter.shape, info.outShape)) return ops.fill(info.outShape, 0);
  const frame = frameOf3D(info);
  const dilations = [info.dilationDepth, info.dilationHeight, info.dilationWidth];
  const convolve = (images: TensorInfo, padding: string): TensorInfo =>
    ops.one('Conv3D', attributesOf(info, padding), [images, filter]);
  if (dilations.some((dilation) => dilation > 1)) {
    return dilated(ops, x, frame, dilations, info.outShape, (parts) => convolve(parts, 'VALID'));
  }
  return isPlain(frame) ? convolve(x, frame.padding) : convolve(framed(ops, x, frame, 0), 'VALID');
});

const filterGradient = defineKernel<Conv3DBackpropFilterV2Attrs>(
  Conv3DBackpropFilterV2,
  ({ inputs: { x, dy }, attrs, ops }) => {
    const { filterShape } = attrs;
    if (isEmpty(x.shape, filterShape, dy.shape)) return ops.fill(filterShape, 0);
    const info = infoOf(x.shape, filterShape, attrs);
    const frame = frameOf3D(info);
    const [images, padding] = isPlain(frame) ? [x, frame.padding] : [framed(ops, x, frame, 0), 'VALID'];
    const { strideDepth, strideHeight, strideWidth } = info;
    const filterShapes = ops.integers(filterShape);
    if (
      filterShape[0] * filterShape[1] * filterShape[2] > 1 ||
      strideDepth * strideHeight * strideWidth === 1
    ) {
      return ops.one('Conv3DBackpropFilterV2', attributesOf(info, padding), [images, filterShapes, dy]);
    }
    // oneDNN writes past the end where such filters take strides. They only see what the strides meet.
    const met = ops.stride(images, [1, strideDepth, strideHeight, strideWidth, 1]);
    const attributes = attributesOf({ ...info, strideDepth: 1, strideHeight: 1, strideWidth: 1 }, 'VALID');
    return ops.one('Conv3DBackpropFilterV2', attributes, [met, filterShapes, dy]);
  },
);

const inputGradient = defineKernel<Conv3DBackpropInputV2Attrs>(
  Conv3DBackpropInputV2,
  ({ inputs: { dy, filter }, attrs, ops }) => {
    const { inputShape } = attrs;
    if (isEmpty(inputShape, filter.shape, dy.shape)) return ops.fill(inputShape, 0);
    const info = infoOf(inputShape, filter.shape, attrs);
    const frame = frameOf3D(info);
    let weights = filter;
    let output = dy;
    if (info.inChannels === 1 && info.outChannels === 1) {
      // oneDNN gives wrong numbers for one channel on both sides.
      weights = ops.pad(weights, [NONE, NONE, NONE, NONE, [0, 1]]);
      output = ops.pad(output, [NONE, NONE, NONE, NONE, [0, 1]]);
    }
    const gradient = (shape: readonly number[], padding: string): TensorInfo => {
      const attributes = [...attributesOf(info, padding), typeAttribute('Tshape', 'int32')];
      return ops.one('Conv3DBackpropInputV2', attributes, [ops.integers(shape), weights, output]);
    };
    if (isPlain(frame)) return gradient(inputShape, frame.padding);
    return unframed(ops, gradient(framedSize(inputShape, frame), 'VALID'), inputShape, frame);
  },
);

const NONE = [0, 0] as const;

export const convolution3DKernels: readonly Kernel[] = [conv3D, filterGradient, inputGradient];

function infoOf(
  shape: readonly number[],
  filterShape: readonly number[],
  { strides, pad }: Pick<Conv3DAttrs, 'strides' | 'pad'>,
  dilations: Conv3DAttrs['dilations'] = 1,
): Info3D {
  return backend_util.computeConv3DInfo(shape as Shape, filterShape as Shape, strides, dilations, pad);
}

/** Dilation is dealt with otherwise: TensorFlow's kernels for processors have none. */
function attributesOf({ strideDepth, strideHeight, strideWidth }: Info3D, padding: string): Attribute[] {
  return [
    typeAttribute('T', 'float32'),
    along('strides', strideDepth, strideHeight, strideWidth),
    along('dilations', 1, 1, 1),
    stringAttribute('data_format', 'NDHWC'),
    stringAttribute('padding', padding),
  ];
}
