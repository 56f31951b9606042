import {
  concat,
  conv2d,
  matMul,
  pad,
  reshape,
  reverse,
  slice,
  type Tensor,
  type Tensor4D,
  transpose,
} from '@tensorflow/tfjs-core';
import { defineOp, type OpDefinition } from '../op.js';

type Inputs = { readonly x: Tensor; readonly kernel: Tensor };
type Attrs = { readonly dilation: readonly number[]; readonly pads: readonly number[] };

/**
 * A convolution of stride 1 whose taps stand `dilation` apart, of images [batch, height, width, in] padded with zeros
 * by `pads` (top, bottom, left, right), with a kernel [rows, columns, in, out]:
 *
 *   y[n, h, w, o] = Σ_{i, j, c} x[n, h + i·d₀ − top, w + j·d₁ − left, c] · kernel[i, j, c, o]
 *
 * tfjs computes it forward, but its gradient refuses any dilation. That of x is the same convolution of dy, with the
 * kernel turned round; that of the kernel is one matrix product for each tap.
 */
export const dilatedConv2dDefinition: OpDefinition<Inputs, Attrs> = {
  name: 'DilatedConv2D',
  reference: ({ x, kernel }, { dilation, pads }) => convolve(x, kernel, dilation, pads),
  gradient(dy, { inputs: { x, kernel } }, { dilation, pads }) {
    const [rows, columns, channels, filters] = kernel.shape;
    const [rowStep, columnStep] = dilation;
    const [top, bottom, left, right] = pads;
    const [batch, height, width] = dy.shape;
    const rowReach = (rows - 1) * rowStep;
    const columnReach = (columns - 1) * columnStep;

    const turned = transpose(reverse(kernel, [0, 1]), [0, 1, 3, 2]);
    const padded = padImages(x, [top, bottom, left, right]);
    // dL/dpadded is a full convolution; the cut takes away what fell on the padding.
    const full = convolve(dy, turned, dilation, [rowReach, rowReach, columnReach, columnReach]);
    const cotangent = reshape(dy, [-1, filters]) as Tensor;
    const taps: Tensor[] = [];
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++) {
        const seen = slice(padded, [0, i * rowStep, j * columnStep, 0], [batch, height, width, channels]);
        taps.push(matMul(reshape(seen, [-1, channels]), cotangent, true, false));
      }
    }
    return {
      x: slice(full, [0, top, left, 0], [...x.shape]),
      kernel: reshape(concat(taps, 0), [rows, columns, channels, filters]),
    };
  },
};

const dilatedConv2dOp = defineOp(dilatedConv2dDefinition);

/** See `dilatedConv2dDefinition`. */
export function dilatedConv2d(
  x: Tensor,
  kernel: Tensor,
  dilation: readonly [number, number],
  pads: readonly [top: number, bottom: number, left: number, right: number],
): Tensor {
  return dilatedConv2dOp({ x, kernel }, { dilation, pads });
}

function convolve(x: Tensor, kernel: Tensor, dilation: readonly number[], pads: readonly number[]): Tensor {
  const padded = padImages(x, pads) as Tensor4D;
  return conv2d(padded, kernel as Tensor4D, 1, 'valid', 'NHWC', [dilation[0], dilation[1]]);
}

function padImages(x: Tensor, [top, bottom, left, right]: readonly number[]): Tensor {
  if (top + bottom + left + right === 0) return x;
  return pad(x, [
    [0, 0],
    [top, bottom],
    [left, right],
    [0, 0],
  ]);
}
