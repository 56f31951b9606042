import {
  _FusedMatMul,
  type _FusedMatMulAttrs,
  BatchMatMul,
  type BatchMatMulAttrs,
  broadcast_util,
  type TensorInfo,
  util,
} from '@tensorflow/tfjs-core';
import type { GpuBackend } from '../gpu_backend.js';
import { epilogueOf, finish } from './epilogue.js';
import { defineKernel, type Kernel } from './kernel.js';
import { type BatchAxis, matrixFactor } from './matrix.js';
import { multiply } from './product.js';

/**
 * The product of the last two axes, the ones before them broadcast: [..., rows, inner] · [..., inner, columns], each
 * transposed on request; float32 sums. Other dtypes go to tfjs's kernel.
 */
const batchMatMul = defineKernel<BatchMatMulAttrs>(BatchMatMul, ({ inputs: { a, b }, attrs, gpu }) =>
  isOurs(a, b) ? matMul(gpu, a, b, attrs) : undefined,
);

/** A product, its bias and its activation. */
const fusedMatMul = defineKernel<_FusedMatMulAttrs>(_FusedMatMul, ({ inputs, attrs, gpu }) => {
  const { a, b } = inputs;
  const epilogue = epilogueOf(inputs, attrs);
  return isOurs(a, b) && epilogue ? finish(gpu, matMul(gpu, a, b, attrs), epilogue) : undefined;
});

export const matmulKernels: readonly Kernel[] = [batchMatMul, fusedMatMul];

/** Whether we multiply them. Of a vector, tfjs says what is wrong with it. */
function isOurs(a: TensorInfo, b: TensorInfo): boolean {
  return a.dtype === 'float32' && b.dtype === 'float32' && a.shape.length > 1 && b.shape.length > 1;
}

function matMul(
  gpu: GpuBackend,
  a: TensorInfo,
  b: TensorInfo,
  { transposeA, transposeB }: { readonly transposeA: boolean; readonly transposeB: boolean },
): TensorInfo {
  const [rows, inner] = matrixOf(a, transposeA);
  const [innerOfB, columns] = matrixOf(b, transposeB);
  util.assert(
    inner === innerOfB,
    () =>
      `Error in matMul: inner shapes (${inner}) and (${innerOfB}) of Tensors with shapes ` +
      `${a.shape} and ${b.shape} and transposeA=${transposeA} and transposeB=${transposeB} must match.`,
  );
  const aBatch = a.shape.slice(0, -2);
  const bBatch = b.shape.slice(0, -2);
  const batch = broadcast_util.assertAndGetBroadcastShape(aBatch, bBatch);
  const axes = batchAxes(batch, aBatch, bBatch, rows * inner, inner * columns);
  // Matrices that all meet the same one on the right are the rows of one.
  const joined = axes.length === 1 && axes[0].b.stride === 0 && !transposeA;
  return multiply(gpu, {
    left: matrixFactor('left', a, rows, inner, transposeA, joined ? [] : axes.map((axis) => axis.a)),
    right: matrixFactor('right', b, columns, inner, !transposeB, joined ? [] : axes.map((axis) => axis.b)),
    batch: joined ? 1 : util.sizeFromShape(batch),
    rows: joined ? rows * axes[0].a.length : rows,
    columns,
    inner,
    shape: [...batch, rows, columns],
  });
}

function matrixOf({ shape }: TensorInfo, transposed: boolean): [rows: number, columns: number] {
  const [rows, columns] = shape.slice(-2);
  return transposed ? [columns, rows] : [rows, columns];
}

/** The axes of a broadcast batch, outermost first; those that lie one after another in both operands become one. */
function batchAxes(
  batch: readonly number[],
  aBatch: readonly number[],
  bBatch: readonly number[],
  aSize: number,
  bSize: number,
): { a: BatchAxis; b: BatchAxis }[] {
  const axes: { a: BatchAxis; b: BatchAxis }[] = [];
  let aNext = aSize;
  let bNext = bSize;
  for (let i = 1; i <= batch.length; i++) {
    const length = batch[batch.length - i];
    const aLength = i <= aBatch.length ? aBatch[aBatch.length - i] : 1;
    const bLength = i <= bBatch.length ? bBatch[bBatch.length - i] : 1;
    const a = { length, stride: aLength === 1 ? 0 : aNext };
    const b = { length, stride: bLength === 1 ? 0 : bNext };
    aNext *= aLength;
    bNext *= bLength;
    if (length === 1) continue;
    const last = axes[0];
    if (last && follows(a, last.a) && follows(b, last.b)) {
      const both = length * last.a.length;
      axes[0] = { a: { ...last.a, length: both }, b: { ...last.b, length: both } };
    } else axes.unshift({ a, b });
  }
  return axes;
}

function follows(outer: BatchAxis, inner: BatchAxis): boolean {
  return outer.stride === inner.stride * inner.length;
}
