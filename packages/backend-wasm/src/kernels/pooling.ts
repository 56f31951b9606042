import {
  backend_util,
  MaxPool,
  type MaxPoolAttrs,
  MaxPoolGrad,
  type MaxPoolGradAttrs,
} from '@tensorflow/tfjs-core';
import { defineHostKernel, float32Tensor, float32Values } from './host.js';

/**
 * The largest element under each window, NHWC; padding doesn't take part, and NaN is passed over (tfjs's own suite
 * asks for that; PyTorch hands NaN on). float32; other dtypes go to tfjs-backend-cpu.
 */
export const maxPool = defineHostKernel<MaxPoolAttrs>(MaxPool, ({ inputs: { x }, attrs, backend }) => {
  if (x.dtype !== 'float32') return undefined;
  const { filterSize, strides, pad, dimRoundingMode } = attrs;
  const info = backend_util.computePool2DInfo(x.shape as Shape, filterSize, strides, 1, pad, dimRoundingMode);
  // A window of one element is the tensor itself, NaN included.
  if (info.filterHeight === 1 && info.filterWidth === 1) return undefined;
  const { batchSize, inHeight, inWidth, inChannels: channels, outHeight, outWidth } = info;
  const source = float32Values(backend, x);
  const out = new Float32Array(batchSize * outHeight * outWidth * channels).fill(Number.NEGATIVE_INFINITY);
  for (let image = 0, to = 0; image < batchSize; image++) {
    for (let row = 0; row < outHeight; row++) {
      const top = row * info.strideHeight - info.padInfo.top;
      for (let column = 0; column < outWidth; column++, to += channels) {
        const left = column * info.strideWidth - info.padInfo.left;
        for (let y = Math.max(0, top); y < Math.min(inHeight, top + info.filterHeight); y++) {
          for (let z = Math.max(0, left); z < Math.min(inWidth, left + info.filterWidth); z++) {
            const from = ((image * inHeight + y) * inWidth + z) * channels;
            for (let c = 0; c < channels; c++)
              if (source[from + c] > out[to + c]) out[to + c] = source[from + c];
          }
        }
      }
    }
  }
  return float32Tensor(backend, info.outShape, out);
});

/**
 * The gradient of `maxPool`: each ∂y goes to the largest element of its window, the first of them in row-major order
 * where several are equal, and nowhere where none is larger than −Inf.
 */
export const maxPoolGrad = defineHostKernel<MaxPoolGradAttrs>(
  MaxPoolGrad,
  ({ inputs: { dy, input }, attrs, backend }) => {
    if (input.dtype !== 'float32' || dy.dtype !== 'float32') return undefined;
    const { filterSize, strides, pad, dimRoundingMode } = attrs;
    const shape = input.shape as Shape;
    const info = backend_util.computePool2DInfo(shape, filterSize, strides, 1, pad, dimRoundingMode);
    const { batchSize, inHeight, inWidth, inChannels: channels, outHeight, outWidth } = info;
    const source = float32Values(backend, input);
    const gradient = float32Values(backend, dy);
    const out = new Float32Array(source.length);
    for (let image = 0, from = 0; image < batchSize; image++) {
      for (let row = 0; row < outHeight; row++) {
        const top = row * info.strideHeight - info.padInfo.top;
        const bottom = Math.min(inHeight, top + info.filterHeight);
        for (let column = 0; column < outWidth; column++) {
          const left = column * info.strideWidth - info.padInfo.left;
          const right = Math.min(inWidth, left + info.filterWidth);
          for (let c = 0; c < channels; c++, from++) {
            let largest = Number.NEGATIVE_INFINITY;
            let position = -1;
            for (let y = Math.max(0, top); y < bottom; y++) {
              for (let z = Math.max(0, left); z < right; z++) {
                const at = ((image * inHeight + y) * inWidth + z) * channels + c;
                if (source[at] > largest) {
                  largest = source[at];
                  position = at;
                }
              }
            }
            if (position >= 0) out[position] += gradient[from];
          }
        }
      }
    }
    return float32Tensor(backend, shape, out);
  },
);

type Shape = [number, number, number, number];
