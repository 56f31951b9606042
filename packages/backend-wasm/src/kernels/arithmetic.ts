import {
  Add,
  broadcast_util,
  Maximum,
  Minimum,
  Multiply,
  RealDiv,
  SquaredDifference,
  Sub,
  type TensorInfo,
  util,
} from '@tensorflow/tfjs-core';
import type { KernelName } from '../module/kernels.js';
import { defineKernel, type Engine, type Kernel } from './kernel.js';
import { PART_VECTORS, partsOf, rowsInPart, vectorsOf } from './parts.js';

/** The kernels of an operation: how its operands lie decides which of them runs. */
interface Variants {
  readonly same: KernelName;
  readonly scalar: KernelName;
  readonly scalarFirst: KernelName;
  readonly rows: KernelName;
}

/** An axis of the result: its length, and how far a step along it goes in each operand (0 where it is broadcast). */
interface Axis {
  length: number;
  readonly aStride: number;
  readonly bStride: number;
}

function binary(kernelName: string, name: string): Kernel {
  const variants = {
    same: `${name}Same`,
    scalar: `${name}Scalar`,
    scalarFirst: `${name}ScalarFirst`,
    rows: `${name}Rows`,
  } as Variants;
  return defineKernel(kernelName, ({ inputs: { a, b }, engine }) => {
    if (a.dtype !== 'float32' || b.dtype !== 'float32') return undefined;
    return broadcast(engine, variants, a, b);
  });
}

function broadcast(engine: Engine, variants: Variants, a: TensorInfo, b: TensorInfo): TensorInfo {
  const shape = util.arraysEqual(a.shape, b.shape)
    ? a.shape
    : broadcast_util.assertAndGetBroadcastShape(a.shape, b.shape);
  const size = util.sizeFromShape(shape);
  const out = engine.allocate(shape, 'float32');
  if (size === 0) return out;
  const operands = [engine.block(a), engine.block(b)];
  const aSize = util.sizeFromShape(a.shape);
  const bSize = util.sizeFromShape(b.shape);
  if ((aSize === size && bSize === size) || aSize === 1 || bSize === 1) {
    const vectors = vectorsOf(size);
    const kernel =
      aSize === size && bSize === size ? variants.same : bSize === 1 ? variants.scalar : variants.scalarFirst;
    engine.launch(kernel, partsOf(vectors), operands, [engine.block(out)], [vectors, PART_VECTORS]);
    return out;
  }
  const axes = mergedAxes(a.shape, b.shape, shape);
  const { length, aStride, bStride } = axes[0];
  const rows = size / length;
  const perPart = rowsInPart(length);
  const integers = [axes.length - 1, rows, perPart, length, aStride, bStride];
  for (const axis of axes.slice(1)) integers.push(axis.length, axis.aStride, axis.bStride);
  engine.launch(variants.rows, Math.ceil(rows / perPart), operands, [engine.block(out)], integers);
  return out;
}

/** The axes of a broadcast, the innermost first, as few as possible: neighbours that step alike are one. */
function mergedAxes(aShape: readonly number[], bShape: readonly number[], shape: readonly number[]): Axis[] {
  const axes: Axis[] = [];
  let aSize = 1;
  let bSize = 1;
  for (let fromEnd = 1; fromEnd <= shape.length; fromEnd++) {
    const length = shape[shape.length - fromEnd];
    if (length === 1) continue;
    const aLength = aShape[aShape.length - fromEnd] ?? 1;
    const bLength = bShape[bShape.length - fromEnd] ?? 1;
    const aStride = aLength === 1 ? 0 : aSize;
    const bStride = bLength === 1 ? 0 : bSize;
    aSize *= aLength;
    bSize *= bLength;
    const inner = axes[axes.length - 1];
    const continues =
      inner && aStride === inner.aStride * inner.length && bStride === inner.bStride * inner.length;
    if (continues) inner.length *= length;
    else axes.push({ length, aStride, bStride });
  }
  return axes;
}

/** Broadcast as in NumPy; float32, other dtypes go to tfjs-backend-cpu. */
export const arithmeticKernels: readonly Kernel[] = [
  binary(Add, 'add'),
  binary(Sub, 'sub'),
  binary(Multiply, 'multiply'),
  binary(RealDiv, 'divide'),
  binary(Maximum, 'maximum'),
  binary(Minimum, 'minimum'),
  binary(SquaredDifference, 'squaredDifference'),
];
