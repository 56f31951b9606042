import { backend_util, Conv2D, Conv2DBackpropFilter, Conv2DBackpropInput } from '@tensorflow/tfjs-core';
import { type Call, randomArray } from './reference.js';

export type Shape4 = [number, number, number, number];
export type Pad = 'same' | 'valid' | number | [[0, 0], [number, number], [number, number], [0, 0]];

export interface Convolution {
  readonly x: Shape4;
  readonly filter: Shape4;
  readonly strides: [number, number];
  readonly dilations: [number, number];
  readonly pad: Pad;
  readonly seed: number;
}

export function outputShape({ x, filter, strides, dilations, pad }: Convolution): Shape4 {
  return backend_util.computeConv2DInfo(x, filter, strides, dilations, pad).outShape as Shape4;
}

export function attributes({ strides, dilations, pad }: Convolution, dataFormat = 'NHWC'): object {
  return { strides, dilations, pad, dataFormat };
}

/** How many products an element of the output sums. */
export function termsOf({ filter }: Convolution): number {
  return Math.max(1, filter[0] * filter[1] * filter[2]);
}

/** Larger than what passes at a time: several blocks and chunks of positions, rows of the window apart, whole images. */
export const large: readonly (Omit<Convolution, 'seed' | 'dilations'> & { readonly name: string })[] = [
  { name: 'blocks of lines', x: [2, 30, 30, 12], filter: [5, 5, 12, 10], strides: [1, 1], pad: 'same' },
  {
    name: 'windows of more than a cache',
    x: [1, 9, 9, 160],
    filter: [3, 3, 160, 9],
    strides: [2, 1],
    pad: 'same',
  },
  { name: 'whole images', x: [40, 6, 5, 8], filter: [3, 3, 8, 16], strides: [1, 1], pad: 'valid' },
  { name: '1 × 1, stride 2', x: [3, 20, 20, 16], filter: [1, 1, 16, 24], strides: [2, 2], pad: 'valid' },
  { name: '1 × 1', x: [3, 20, 20, 16], filter: [1, 1, 16, 24], strides: [1, 1], pad: 'valid' },
];

/** The calls of a large convolution, forward and backward, each with the number of terms of its sums. */
export function largeCalls({
  x,
  filter,
  strides,
  pad,
}: (typeof large)[number]): (Call & { readonly reduction: number })[] {
  const convolution: Convolution = { x, filter, strides, dilations: [1, 1], pad, seed: 0 };
  const output = outputShape(convolution);
  const inputs = { x: randomArray(1, x), filter: randomArray(2, filter), dy: randomArray(3, output) };
  const attrs = attributes(convolution);
  return [
    {
      kernel: Conv2D,
      inputs: { x: inputs.x, filter: inputs.filter },
      attrs,
      reduction: termsOf(convolution),
    },
    {
      kernel: Conv2DBackpropFilter,
      inputs: { x: inputs.x, dy: inputs.dy },
      attrs: { ...attrs, filterShape: filter },
      reduction: output[0] * output[1] * output[2],
    },
    {
      kernel: Conv2DBackpropInput,
      inputs: { dy: inputs.dy, filter: inputs.filter },
      attrs: { ...attrs, inputShape: x },
      reduction: filter[0] * filter[1] * filter[3],
    },
  ];
}
