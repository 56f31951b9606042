import type { backend_util } from '@tensorflow/tfjs-core';
import { type Attribute, intAttribute, stringAttribute } from '../binding.js';

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
