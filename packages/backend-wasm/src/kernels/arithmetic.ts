import {
  Add,
  AddN,
  broadcast_util,
  type DataType,
  Equal,
  Greater,
  GreaterEqual,
  Less,
  LessEqual,
  LogicalAnd,
  LogicalNot,
  LogicalOr,
  Maximum,
  Minimum,
  Multiply,
  NotEqual,
  RealDiv,
  Select,
  SquaredDifference,
  Sub,
  type TensorInfo,
  util,
} from '@tensorflow/tfjs-core';
import type { KernelName } from '../module/kernels.js';
import { LIGHT } from './elementwise.js';
import { defineKernel, type Engine, type Kernel } from './kernel.js';

/** Modes of the kernels, as in assembly/broadcast.ts. */
const BOTH = 0;
const RIGHT_SCALAR = 1;
const LEFT_SCALAR = 2;
const ROWS = 3;

/** Runs a kernel of two inputs, broadcast as in NumPy; throws for shapes that don't broadcast. */
export function broadcast(
  engine: Engine,
  kernel: KernelName,
  a: TensorInfo,
  b: TensorInfo,
  dtype: DataType,
): TensorInfo {
  const alike = util.arraysEqual(a.shape, b.shape);
  const shape = alike ? a.shape : broadcast_util.assertAndGetBroadcastShape(a.shape, b.shape);
  const out = engine.allocate(shape, dtype);
  const size = util.sizeFromShape(shape);
  const aSize = alike ? size : util.sizeFromShape(a.shape);
  const bSize = alike ? size : util.sizeFromShape(b.shape);
  const inputs = [engine.block(a), engine.block(b)];
  const outputs = [engine.block(out)];
  let mode = ROWS;
  if (aSize === size && bSize === size) mode = BOTH;
  else if (aSize === size && bSize === 1) mode = RIGHT_SCALAR;
  else if (bSize === size && aSize === 1) mode = LEFT_SCALAR;
  if (mode !== ROWS) {
    engine.launch(kernel, Math.ceil(size / LIGHT), inputs, outputs, [mode, size, LIGHT]);
    return out;
  }
  if (size === 0) return out;
  const [inner, ...axes] = mergedAxes(a.shape, b.shape, shape);
  const rows = size / inner.length;
  const rowsPerPart = Math.max(1, Math.floor(LIGHT / inner.length));
  const words = [ROWS, inner.length, rows, rowsPerPart, inner.aStride, inner.bStride, axes.length];
  for (let i = axes.length - 1; i >= 0; i--) words.push(axes[i].length, axes[i].aStride, axes[i].bStride);
  engine.launch(kernel, Math.ceil(rows / rowsPerPart), inputs, outputs, words);
  return out;
}

/** An axis of the result: its length, and how far a step along it goes in each operand (0 where it is broadcast). */
interface Axis {
  length: number;
  aStride: number;
  bStride: number;
}

/** The axes of a broadcast of more than one element, the last first, as few as possible: neighbours that step alike are one. */
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

/** An operation on two float32, and perhaps on two int32; other dtypes go to tfjs-backend-cpu. */
function binary(kernelName: string, kernel: KernelName, integer?: KernelName, dtype?: DataType): Kernel {
  return defineKernel(kernelName, ({ inputs: { a, b }, engine }) => {
    if (a.dtype !== b.dtype) return undefined;
    if (a.dtype === 'float32') return broadcast(engine, kernel, a, b, dtype ?? 'float32');
    if (a.dtype === 'int32' && integer) return broadcast(engine, integer, a, b, dtype ?? 'int32');
    return undefined;
  });
}

/** An operation on bools of one shape. */
function logical(kernelName: string, kernel: KernelName): Kernel {
  return defineKernel(kernelName, ({ inputs: { a, b }, engine }) => {
    if (a.dtype !== 'bool' || b.dtype !== 'bool' || !util.arraysEqual(a.shape, b.shape)) return undefined;
    const out = engine.allocate(a.shape, 'bool');
    const size = util.sizeFromShape(a.shape);
    engine.launch(
      kernel,
      Math.ceil(size / LIGHT),
      [engine.block(a), engine.block(b)],
      [engine.block(out)],
      [size, LIGHT],
    );
    return out;
  });
}

const logicalNot = defineKernel(LogicalNot, ({ inputs: { x }, engine }) => {
  if (x.dtype !== 'bool') return undefined;
  const out = engine.allocate(x.shape, 'bool');
  const size = util.sizeFromShape(x.shape);
  engine.launch('logicalNot', Math.ceil(size / LIGHT), [engine.block(x)], [engine.block(out)], [size, LIGHT]);
  return out;
});

/** t where the condition is true, e elsewhere; all of one shape, t and e of one dtype. */
const select = defineKernel(Select, ({ inputs: { condition, t, e }, engine }) => {
  const alike = util.arraysEqual(condition.shape, t.shape) && util.arraysEqual(t.shape, e.shape);
  const width = t.dtype === 'bool' ? 8 : t.dtype === 'float32' || t.dtype === 'int32' ? 32 : 0;
  if (!alike || condition.dtype !== 'bool' || t.dtype !== e.dtype || width === 0) return undefined;
  const out = engine.allocate(t.shape, t.dtype);
  const size = util.sizeFromShape(t.shape);
  engine.launch(
    width === 8 ? 'select8' : 'select32',
    Math.ceil(size / LIGHT),
    [engine.block(condition), engine.block(t), engine.block(e)],
    [engine.block(out)],
    [size, LIGHT],
  );
  return out;
});

/** Σ of tensors of one shape, from the first on. */
const addN = defineKernel(AddN, ({ inputs, engine }) => {
  // tfjs gives it an array.
  const tensors = Object.values(inputs);
  if (tensors.length < 2 || tensors.some(({ dtype }) => dtype !== 'float32')) return undefined;
  const out = engine.allocate(tensors[0].shape, 'float32');
  const size = util.sizeFromShape(out.shape);
  const total = engine.block(out);
  for (let i = 1; i < tensors.length; i++) {
    const left = i === 1 ? engine.block(tensors[0]) : total;
    engine.launch(
      'add',
      Math.ceil(size / LIGHT),
      [left, engine.block(tensors[i])],
      [total],
      [BOTH, size, LIGHT],
    );
  }
  return out;
});

export const arithmeticKernels: readonly Kernel[] = [
  binary(Add, 'add', 'addInteger'),
  binary(Sub, 'sub', 'subInteger'),
  binary(Multiply, 'multiply', 'multiplyInteger'),
  binary(RealDiv, 'divide'),
  binary(Maximum, 'maximum'),
  binary(Minimum, 'minimum'),
  binary(SquaredDifference, 'squaredDifference'),
  binary(Greater, 'greater', undefined, 'bool'),
  binary(GreaterEqual, 'greaterEqual', undefined, 'bool'),
  binary(Less, 'less', undefined, 'bool'),
  binary(LessEqual, 'lessEqual', undefined, 'bool'),
  binary(Equal, 'equal', undefined, 'bool'),
  binary(NotEqual, 'notEqual', undefined, 'bool'),
  logical(LogicalAnd, 'logicalAnd'),
  logical(LogicalOr, 'logicalOr'),
  logicalNot,
  select,
  addN,
];
