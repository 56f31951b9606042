import { backend_util, Mean, type MeanAttrs, Sum, type SumAttrs, util } from '@tensorflow/tfjs-core';
import { defineHostKernel, float32Tensor, float32Values } from './host.js';
import type { Kernel } from './kernel.js';

/**
 * Σ x over axes that adjoin (all, the first ones, the last ones, one in the middle), in float64 and in row-major
 * order. float32; other dtypes, and axes with others between them, go to tfjs-backend-cpu, which transposes first.
 */
export const sum: Kernel = reduction<SumAttrs>(Sum, (total) => total);

/** Σ x / count over axes, as `sum`. Over no elements it is 0, as in tfjs-backend-cpu (NaN in PyTorch and NumPy). */
export const mean: Kernel = reduction<MeanAttrs>(Mean, (total, count) => (count === 0 ? 0 : total / count));

function reduction<A extends SumAttrs | MeanAttrs>(
  kernelName: string,
  finish: (total: number, count: number) => number,
): Kernel {
  return defineHostKernel<A>(kernelName, ({ inputs: { x }, attrs, backend }) => {
    if (x.dtype !== 'float32') return undefined;
    const axes = util.parseAxisParam(attrs.axis, x.shape);
    const block = reducedBlock(x.shape, axes);
    if (!block) return undefined;
    const { outer, count, inner } = block;
    const source = float32Values(backend, x);
    const out = new Float32Array(outer * inner);
    const totals = new Float64Array(inner);
    for (let row = 0, from = 0; row < outer; row++) {
      totals.fill(0);
      for (let k = 0; k < count; k++, from += inner) {
        for (let column = 0; column < inner; column++) totals[column] += source[from + column];
      }
      for (let column = 0; column < inner; column++)
        out[row * inner + column] = finish(totals[column], count);
    }
    const [shape] = backend_util.computeOutAndReduceShapes(x.shape, axes);
    return float32Tensor(
      backend,
      attrs.keepDims ? backend_util.expandShapeToKeepDim(shape, axes) : shape,
      out,
    );
  });
}

/** x as [outer, count, inner] with the axes to reduce in the middle; undefined where they don't adjoin. */
function reducedBlock(
  shape: readonly number[],
  axes: readonly number[],
): { outer: number; count: number; inner: number } | undefined {
  const sizes = [1, 1, 1];
  let part = 0;
  for (const [axis, length] of shape.entries()) {
    // An axis of one element is in nobody's way.
    if (length === 1) continue;
    const reduced = axes.includes(axis);
    if (part === 0 && reduced) part = 1;
    else if (part === 1 && !reduced) part = 2;
    else if (part === 2 && reduced) return undefined;
    sizes[part] *= length;
  }
  return { outer: sizes[0], count: sizes[1], inner: sizes[2] };
}
