import {
  _FusedMatMul,
  type _FusedMatMulAttrs,
  BatchMatMul,
  type BatchMatMulAttrs,
  broadcast_util,
  type TensorInfo,
  util,
} from '@tensorflow/tfjs-core';
import { defineFusedKernel } from './epilogue.js';
import { defineKernel, type Engine, type Kernel } from './kernel.js';
import { type BatchAxis, product } from './product.js';

/**
 * The product of the last two axes, the ones before them broadcast: [..., rows, inner] · [..., inner, columns], each
 * transposed on request; float32 sums. Other dtypes go to tfjs-backend-cpu, whose broadcast of batches is right only
 * where one operand has a single matrix or both have the same batch.
 */
const batchMatMul = defineKernel<BatchMatMulAttrs>(BatchMatMul, ({ inputs: { a, b }, attrs, engine }) =>
  multiply(engine, a, b, attrs, undefined, false),
);

/** A product, its bias and its activation: the bits of the ops one after another. */
const fusedMatMul = defineFusedKernel<_FusedMatMulAttrs>(
  _FusedMatMul,
  ({ a, b }, { transposeB }) => (isOurs(a, b) ? b.shape[b.shape.length - (transposeB ? 2 : 1)] : undefined),
  ({ inputs: { a, b }, attrs, engine }, bias, relu) => multiply(engine, a, b, attrs, bias, relu),
);

export const matmulKernels: readonly Kernel[] = [batchMatMul, fusedMatMul];

function multiply(
  engine: Engine,
  a: TensorInfo,
  b: TensorInfo,
  { transposeA, transposeB }: { readonly transposeA: boolean; readonly transposeB: boolean },
  bias: TensorInfo | undefined,
  relu: boolean,
): TensorInfo | undefined {
  const aRank = a.shape.length;
  const bRank = b.shape.length;
  if (!isOurs(a, b)) return undefined;
  const rows = a.shape[aRank - (transposeA ? 1 : 2)];
  const inner = a.shape[aRank - (transposeA ? 2 : 1)];
  const columns = b.shape[bRank - (transposeB ? 2 : 1)];
  util.assert(
    inner === b.shape[bRank - (transposeB ? 1 : 2)],
    () =>
      `Error in matMul: inner shapes (${inner}) and (${b.shape[bRank - (transposeB ? 1 : 2)]}) of Tensors with shapes ` +
      `${a.shape} and ${b.shape} and transposeA=${transposeA} and transposeB=${transposeB} must match.`,
  );
  const aBatch = a.shape.slice(0, -2);
  const bBatch = b.shape.slice(0, -2);
  const batch = broadcast_util.assertAndGetBroadcastShape(aBatch, bBatch);
  const out = engine.allocate([...batch, rows, columns], 'float32');
  product(engine, {
    a: engine.block(a),
    b: engine.block(b),
    out: engine.block(out),
    rows,
    inner,
    columns,
    transposeA,
    transposeB,
    axes: batchAxes(batch, aBatch, bBatch, rows * inner, inner * columns, rows * columns),
    bias: bias && engine.block(bias),
    activation: relu ? 'relu' : 'linear',
  });
  return out;
}

/** Whether we multiply them. Of a vector, tfjs-backend-cpu says what is wrong with it. */
function isOurs(a: TensorInfo, b: TensorInfo): boolean {
  return a.dtype === 'float32' && b.dtype === 'float32' && a.shape.length > 1 && b.shape.length > 1;
}

/** The axes of a broadcast batch; those that lie one after another in both operands become one. */
function batchAxes(
  batch: readonly number[],
  aBatch: readonly number[],
  bBatch: readonly number[],
  aSize: number,
  bSize: number,
  outSize: number,
): BatchAxis[] {
  const axes: BatchAxis[] = [];
  let aNext = aSize;
  let bNext = bSize;
  let outNext = outSize;
  for (let i = 1; i <= batch.length; i++) {
    const length = batch[batch.length - i];
    const aLength = i <= aBatch.length ? aBatch[aBatch.length - i] : 1;
    const bLength = i <= bBatch.length ? bBatch[bBatch.length - i] : 1;
    const axis = {
      length,
      aStride: aLength === 1 ? 0 : aNext,
      bStride: bLength === 1 ? 0 : bNext,
      outStride: outNext,
    };
    aNext *= aLength;
    bNext *= bLength;
    outNext *= length;
    if (length === 1) continue;
    const last = axes[0];
    if (last && axis.aStride === last.aStride * last.length && axis.bStride === last.bStride * last.length) {
      axes[0] = { ...last, length: length * last.length };
    } else {
      axes.unshift(axis);
    }
  }
  return axes;
}
