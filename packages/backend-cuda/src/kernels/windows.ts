import type { backend_util, TensorInfo } from '@tensorflow/tfjs-core';
import { type Attribute, intAttribute, stringAttribute, typeAttribute } from '../binding.js';
import type { Ops } from './ops.js';

export type Info2D = ReturnType<typeof backend_util.computeConv2DInfo>;
export type Info3D = ReturnType<typeof backend_util.computeConv3DInfo>;

/** How windows lie along one axis of an image. */
interface Axis {
  readonly input: number;
  readonly output: number;
  /** From a window's first element to its last, both counted. */
  readonly reach: number;
  readonly stride: number;
  readonly before: number;
}

/**
 * How TensorFlow is to be told what tfjs means by a padding. By 'same' and 'valid' they mean the same. Otherwise tfjs pads by
 * numbers, and then its rounding mode (or, of windows that aren't square, its formula) may give other sizes than TensorFlow's:
 * so images are padded as far as the last window reaches, and cut where TensorFlow would find room for another one.
 */
export interface Frame {
  readonly padding: 'SAME' | 'VALID' | 'EXPLICIT';
  /** What lies before and after the image, along each axis; for 'SAME' too. */
  readonly pads: readonly (readonly [before: number, after: number])[];
  /** The sizes that windows see of the image, where they don't see all of it. */
  readonly seen: readonly number[] | undefined;
}

export function frameOf2D(info: Info2D): Frame {
  const { padInfo } = info;
  return frameOf(padInfo.type, [
    {
      input: info.inHeight,
      output: info.outHeight,
      reach: info.effectiveFilterHeight,
      stride: info.strideHeight,
      before: padInfo.top,
    },
    {
      input: info.inWidth,
      output: info.outWidth,
      reach: info.effectiveFilterWidth,
      stride: info.strideWidth,
      before: padInfo.left,
    },
  ]);
}

export function frameOf3D(info: Info3D): Frame {
  const { padInfo } = info;
  return frameOf(padInfo.type, [
    {
      input: info.inDepth,
      output: info.outDepth,
      reach: info.effectiveFilterDepth,
      stride: info.strideDepth,
      before: padInfo.front,
    },
    {
      input: info.inHeight,
      output: info.outHeight,
      reach: info.effectiveFilterHeight,
      stride: info.strideHeight,
      before: padInfo.top,
    },
    {
      input: info.inWidth,
      output: info.outWidth,
      reach: info.effectiveFilterWidth,
      stride: info.strideWidth,
      before: padInfo.left,
    },
  ]);
}

function frameOf(type: string, axes: readonly Axis[]): Frame {
  const pads: [number, number][] = [];
  const seen: number[] = [];
  for (const { input, output, reach, stride, before } of axes) {
    const end = (output - 1) * stride + reach;
    pads.push([Math.max(0, Math.min(before, end)), Math.max(0, end - before - input)]);
    const fits = Math.floor((input + before - reach) / stride) + 1 <= output;
    seen.push(fits ? input : Math.max(0, end - before));
  }
  if (type === 'SAME') return { padding: 'SAME', pads, seen: undefined };
  const cut = axes.some(({ input }, i) => seen[i] !== input);
  const padded = pads.flat().some((size) => size > 0);
  return { padding: padded ? 'EXPLICIT' : 'VALID', pads, seen: cut ? seen : undefined };
}

/** Whether TensorFlow's 'SAME' or 'VALID' say all of it. */
export function isPlain({ padding, seen }: Frame): boolean {
  return padding !== 'EXPLICIT' && !seen;
}

/** Whether anything is padded. */
export function isPadded({ pads }: Frame): boolean {
  return pads.flat().some((size) => size > 0);
}

/** Numbers along the axes of an image as attributes have them: for the batch and for the channels it is 1. */
export function along(name: string, ...sizes: readonly number[]): Attribute {
  return intAttribute(name, [1, ...sizes, 1]);
}

/** The padding as an attribute of ops that can pad by numbers. */
export function paddingAttributes({ padding, pads }: Frame): Attribute[] {
  const attribute = stringAttribute('padding', padding);
  if (padding !== 'EXPLICIT') return [attribute];
  return [attribute, intAttribute('explicit_paddings', [0, 0, ...pads.flat(), 0, 0])];
}

/** Whether there is nothing to compute: TensorFlow refuses some of that. */
export function isEmpty(...shapes: readonly (readonly number[])[]): boolean {
  return shapes.some((shape) => shape.includes(0));
}

const NONE = [0, 0] as const;

/** What windows see of images, [batch, …, channels]. */
export function visible(ops: Ops, images: TensorInfo, frame: Frame): TensorInfo {
  if (!frame.seen) return images;
  const zeros = images.shape.map(() => 0);
  return ops.slice(images, zeros, visibleSize(images.shape, frame));
}

/** The shape of `visible`. */
export function visibleSize(shape: readonly number[], { seen }: Frame): readonly number[] {
  return seen ? [shape[0], ...seen, shape[shape.length - 1]] : shape;
}

/** A gradient of what windows see as one of the images, of a shape: zeros for the rest. */
export function withUnseen(ops: Ops, dx: TensorInfo, shape: readonly number[], { seen }: Frame): TensorInfo {
  if (!seen) return dx;
  const rest = seen.map((size, axis) => [0, shape[axis + 1] - size] as const);
  return ops.pad(dx, [NONE, ...rest, NONE]);
}

/** Images with what lies around them, for ops that can't pad by numbers: they are then to pad by 'VALID'. */
export function framed(ops: Ops, images: TensorInfo, frame: Frame, border: number): TensorInfo {
  const seen = visible(ops, images, frame);
  return isPadded(frame) ? ops.pad(seen, [NONE, ...frame.pads, NONE], border) : seen;
}

/** The shape of `framed`. */
export function framedSize(shape: readonly number[], frame: Frame): readonly number[] {
  const pads = [NONE, ...frame.pads, NONE];
  return visibleSize(shape, frame).map((size, axis) => size + pads[axis][0] + pads[axis][1]);
}

/** A gradient of `framed` as one of the images, of a shape. */
export function unframed(ops: Ops, dx: TensorInfo, shape: readonly number[], frame: Frame): TensorInfo {
  const begin = [0, ...frame.pads.map(([before]) => before), 0];
  const inside = isPadded(frame) ? ops.slice(dx, begin, visibleSize(shape, frame)) : dx;
  return withUnseen(ops, inside, shape, frame);
}

/**
 * A dilated convolution of stride 1 where TensorFlow has none on a processor: the taps of `dilations` apart are neighbours in
 * a part of the images, of which each part is a batch of its own. `convolve` is given the parts, and pads by 'VALID'.
 */
export function dilated(
  ops: Ops,
  images: TensorInfo,
  frame: Frame,
  dilations: readonly number[],
  outShape: readonly number[],
  convolve: (parts: TensorInfo) => TensorInfo,
): TensorInfo {
  const whole = framedSize(images.shape, frame);
  const missing = dilations.map((dilation, axis) => (dilation - (whole[axis + 1] % dilation)) % dilation);
  const pads = frame.pads.map(([before, after], axis) => [before, after + missing[axis]]);
  const block = ops.integers(dilations);
  const attributes = (name: string): Attribute[] => [
    typeAttribute('T', 'float32'),
    typeAttribute('Tblock_shape', 'int32'),
    typeAttribute(name, 'int32'),
  ];
  const rows = [dilations.length, 2];
  const parts = ops.one('SpaceToBatchND', attributes('Tpaddings'), [
    visible(ops, images, frame),
    block,
    ops.integers(pads.flat(), rows),
  ]);
  const made = convolve(parts);
  const crops = dilations.map((dilation, axis) => [0, made.shape[axis + 1] * dilation - outShape[axis + 1]]);
  return ops.one('BatchToSpaceND', attributes('Tcrops'), [made, block, ops.integers(crops.flat(), rows)]);
}
