import {
  backend_util,
  DepthwiseConv2dNative,
  type DepthwiseConv2dNativeAttrs,
  DepthwiseConv2dNativeBackpropFilter,
  type DepthwiseConv2dNativeBackpropFilterAttrs,
  DepthwiseConv2dNativeBackpropInput,
  type DepthwiseConv2dNativeBackpropInputAttrs,
  FusedDepthwiseConv2D,
  type FusedDepthwiseConv2DAttrs,
  type TensorInfo,
} from '@tensorflow/tfjs-core';
import { type Attribute, stringAttribute, typeAttribute } from '../binding.js';
import { finish } from './epilogue.js';
import { onHostWhere } from './host_kernel.js';
import { defineKernel, type Kernel } from './kernel.js';
import type { Ops } from './ops.js';
import {
  along,
  dilated,
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
type DepthwiseAttrs = Pick<DepthwiseConv2dNativeAttrs, 'strides' | 'pad' | 'dimRoundingMode'> & {
  readonly dilations?: [number, number] | number | null;
};

/** Convolutions of each channel by itself, NHWC. */
function depthwise(ops: Ops, x: TensorInfo, filter: TensorInfo, attrs: DepthwiseAttrs): TensorInfo {
  const info = infoOf(x.shape, filter.shape, attrs);
  if (isEmpty(x.shape, filter.shape, info.outShape)) return ops.fill(info.outShape, 0);
  const frame = frameOf2D(info);
  const convolve = (images: TensorInfo, framing: Frame): TensorInfo =>
    ops.one('DepthwiseConv2dNative', attributesOf(info, framing), [images, filter]);
  const { dilationHeight, dilationWidth } = info;
  if (dilationHeight * dilationWidth === 1) return convolve(visible(ops, x, frame), frame);
  return dilated(ops, x, frame, [dilationHeight, dilationWidth], info.outShape, (parts) =>
    convolve(parts, { ...frame, padding: 'VALID' }),
  );
}

const depthwiseConv2D = defineKernel<DepthwiseConv2dNativeAttrs>(
  DepthwiseConv2dNative,
  ({ inputs: { x, filter }, attrs, ops }) => depthwise(ops, x, filter, attrs),
);

const fusedDepthwiseConv2D = defineKernel<FusedDepthwiseConv2DAttrs>(
  FusedDepthwiseConv2D,
  ({ inputs: { x, filter, bias, preluActivationWeights }, attrs, ops }) => {
    const { activation, leakyreluAlpha } = attrs;
    const convolved = depthwise(ops, x, filter, attrs);
    return finish(ops, convolved, { bias, preluActivationWeights, activation, leakyreluAlpha });
  },
);

/** The gradient for the filter, without dilation, as tfjs's gradient has it. */
const filterGradient = defineKernel<DepthwiseConv2dNativeBackpropFilterAttrs>(
  DepthwiseConv2dNativeBackpropFilter,
  ({ inputs: { x, dy }, attrs, ops }) => {
    const { filterShape } = attrs;
    if (isEmpty(x.shape, filterShape, dy.shape)) return ops.fill(filterShape, 0);
    const info = infoOf(x.shape, filterShape, attrs);
    const frame = frameOf2D(info);
    const inputs = [visible(ops, x, frame), ops.integers(filterShape), dy];
    return ops.one('DepthwiseConv2dNativeBackpropFilter', attributesOf(info, frame), inputs);
  },
);

/** The gradient for the images; without dilation too. */
const inputGradient = defineKernel<DepthwiseConv2dNativeBackpropInputAttrs>(
  DepthwiseConv2dNativeBackpropInput,
  ({ inputs: { dy, filter }, attrs, ops }) => {
    const { inputShape } = attrs;
    if (isEmpty(inputShape, filter.shape, dy.shape)) return ops.fill(inputShape, 0);
    const info = infoOf(inputShape, filter.shape, attrs);
    const frame = frameOf2D(info);
    const inputs = [ops.integers(visibleSize(inputShape, frame)), filter, dy];
    const seen = ops.one('DepthwiseConv2dNativeBackpropInput', attributesOf(info, frame), inputs);
    return withUnseen(ops, seen, inputShape, frame);
  },
);

/** TensorFlow has none whose strides differ. */
export const depthwiseKernels: readonly Kernel[] = [
  depthwiseConv2D,
  fusedDepthwiseConv2D,
  filterGradient,
  inputGradient,
].map((kernel) =>
  onHostWhere(kernel, ({ attrs }) => {
    const { strides } = attrs as unknown as DepthwiseAttrs;
    return Array.isArray(strides) && strides[0] !== strides[1];
  }),
);

function infoOf(
  shape: readonly number[],
  filterShape: readonly number[],
  { strides, dilations, pad, dimRoundingMode }: DepthwiseAttrs,
): Info2D {
  const [x, filter] = [shape as Shape, filterShape as Shape];
  return backend_util.computeConv2DInfo(x, filter, strides, dilations ?? 1, pad, dimRoundingMode, true);
}

/** Dilation is dealt with otherwise: none of TensorFlow's kernels for processors has any. */
function attributesOf({ strideHeight, strideWidth }: Info2D, frame: Frame): Attribute[] {
  return [
    typeAttribute('T', 'float32'),
    along('strides', strideHeight, strideWidth),
    along('dilations', 1, 1),
    stringAttribute('data_format', 'NHWC'),
    ...paddingAttributes(frame),
  ];
}
