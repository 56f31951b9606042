import { BatchMatMul, type BatchMatMulAttrs, broadcast_util, util } from '@tensorflow/tfjs-core';
import { multiply } from '../product.js';
import { defineHostKernel, float32Tensor, float32Values } from './host.js';

/**
 * The product of the last two axes, the ones before them broadcast: [..., rows, inner] · [..., inner, columns], each
 * transposed on request. float32; other dtypes go to tfjs-backend-cpu, whose broadcast of batches is right only where
 * one operand has a single matrix or both have the same batch.
 */
export const batchMatMul = defineHostKernel<BatchMatMulAttrs>(
  BatchMatMul,
  ({ inputs: { a, b }, attrs, backend }) => {
    if (a.dtype !== 'float32' || b.dtype !== 'float32') return undefined;
    // The original says what is wrong with a vector.
    if (a.shape.length < 2 || b.shape.length < 2) return undefined;
    const [aRows, aColumns] = a.shape.slice(-2);
    const [bRows, bColumns] = b.shape.slice(-2);
    const [rows, inner] = attrs.transposeA ? [aColumns, aRows] : [aRows, aColumns];
    const [innerB, columns] = attrs.transposeB ? [bColumns, bRows] : [bRows, bColumns];
    util.assert(
      inner === innerB,
      () =>
        `Error in matMul: inner shapes (${inner}) and (${innerB}) of Tensors with shapes ${a.shape} and ` +
        `${b.shape} and transposeA=${attrs.transposeA} and transposeB=${attrs.transposeB} must match.`,
    );
    const batch = broadcast_util.assertAndGetBroadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
    const left = float32Values(backend, a);
    const right = float32Values(backend, b);
    const aOffsets = matrixOffsets(a.shape, batch);
    const bOffsets = matrixOffsets(b.shape, batch);
    const out = new Float32Array(aOffsets.length * rows * columns);
    for (const [i, offset] of aOffsets.entries()) {
      const aMatrix = { data: left, offset, rowStride: aColumns, columnStride: 1 };
      const bMatrix = { data: right, offset: bOffsets[i], rowStride: bColumns, columnStride: 1 };
      multiply(
        attrs.transposeA ? transposed(aMatrix) : aMatrix,
        attrs.transposeB ? transposed(bMatrix) : bMatrix,
        rows,
        inner,
        columns,
        out,
        i * rows * columns,
      );
    }
    return float32Tensor(backend, [...batch, rows, columns], out);
  },
);

function transposed<M extends { rowStride: number; columnStride: number }>(matrix: M): M {
  return { ...matrix, rowStride: matrix.columnStride, columnStride: matrix.rowStride };
}

/** Where the matrix of each element of the broadcast `batch` begins in a tensor of `shape`. */
function matrixOffsets(shape: readonly number[], batch: readonly number[]): number[] {
  const size = shape[shape.length - 2] * shape[shape.length - 1];
  const own = shape.slice(0, -2);
  let offsets = [0];
  let stride = size * util.sizeFromShape(own);
  for (const [axis, length] of batch.entries()) {
    const ownLength = own[axis - batch.length + own.length] ?? 1;
    stride = ownLength === 0 ? 0 : stride / ownLength;
    const step = ownLength === 1 ? 0 : stride;
    offsets = offsets.flatMap((offset) => Array.from({ length }, (_, i) => offset + i * step));
  }
  return offsets;
}
