import type { TensorInfo } from '@tensorflow/tfjs-core';
import type { Block, Engine } from './kernel.js';

/** Bytes that make a part: some 20 µs. */
const PART_BYTES = 2 ** 17;
/** What beginning a run costs, in bytes that are copied in that time. */
const RUN_COST = 32;
/** Columns of a strip in `transposeBlocks`. */
const STRIP = 16;

/** Whether its elements are numbers in a block. */
export function isMovable({ dtype }: TensorInfo): boolean {
  return dtype === 'float32' || dtype === 'int32' || dtype === 'bool';
}

/** Bytes of an element. */
export function widthOf({ dtype }: TensorInfo): number {
  return dtype === 'bool' ? 1 : 4;
}

/** Elements from one index to the next along each axis, in row-major order. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis];
  }
  return strides;
}

/** How work on rows of so many bytes is cut: long rows into chunks, short ones into groups. */
export function cut(rows: number, bytes: number): { chunk: number; perPart: number; parts: number } {
  const chunk = Math.min(Math.max(1, bytes), PART_BYTES);
  const chunks = Math.ceil(bytes / chunk);
  const perPart = chunks > 1 ? 1 : Math.ceil(PART_BYTES / (bytes + RUN_COST));
  return { chunk, perPart, parts: chunks * Math.ceil(rows / perPart) };
}

/**
 * Copies every element of a box of axes from where it lies in one block to where it shall lie in another. `width` is in
 * bytes; strides and offsets are in elements, and may be 0 in `from`.
 */
export function move(
  engine: Engine,
  source: Block,
  target: Block,
  width: number,
  lengths: readonly number[],
  from: readonly number[],
  to: readonly number[],
  fromOffset = 0,
  toOffset = 0,
): void {
  // As few axes as possible, the innermost first: those that step alike on both sides are one.
  const axes: Axis[] = [];
  for (let i = lengths.length - 1; i >= 0; i--) {
    const length = lengths[i];
    if (length === 0) return;
    if (length === 1) continue;
    const inner = axes[axes.length - 1];
    if (inner && from[i] === inner.from * inner.length && to[i] === inner.to * inner.length) {
      inner.length *= length;
    } else {
      axes.push({ length, from: from[i], to: to[i] });
    }
  }
  const column = axes.findIndex((axis) => axis.from === 1);
  if (width === 4 && column > 0 && axes[0].to === 1 && axes[0].from > 1 && fromOffset + toOffset === 0) {
    transposeMatrices(engine, source, target, axes, column);
    return;
  }
  const contiguous = axes.length > 0 && axes[0].from === 1 && axes[0].to === 1;
  const run = contiguous ? axes[0].length * width : width;
  const outer = contiguous ? axes.slice(1) : axes;
  let runs = 1;
  for (const axis of outer) runs *= axis.length;
  const { chunk, perPart, parts } = cut(runs, run);
  const integers = [run, chunk, runs, perPart, fromOffset * width, toOffset * width];
  engine.launch('copyRuns', parts, [source], [target], pushAxes(integers, outer, width));
}

interface Axis {
  length: number;
  readonly from: number;
  readonly to: number;
}

/** Matrices whose rows are `axes[0]` and whose columns are `axes[column]`, for every index of the others. */
function transposeMatrices(
  engine: Engine,
  source: Block,
  target: Block,
  axes: readonly Axis[],
  column: number,
): void {
  const [rows] = axes;
  const columns = axes[column];
  const batch = axes.filter((_, i) => i !== 0 && i !== column);
  let units = Math.ceil(columns.length / STRIP);
  for (const axis of batch) units *= axis.length;
  const perPart = Math.ceil(PART_BYTES / (4 * rows.length * Math.min(STRIP, columns.length) + RUN_COST));
  const integers = [rows.length, columns.length, rows.from * 4, columns.to * 4, units, perPart];
  const parts = Math.ceil(units / perPart);
  engine.launch('transposeBlocks', parts, [source], [target], pushAxes(integers, batch, 4));
}

/** Axes as the kernels take them: how many, and the outermost first. */
function pushAxes(integers: number[], axes: readonly Axis[], width: number): number[] {
  integers.push(axes.length);
  for (let i = axes.length - 1; i >= 0; i--) {
    integers.push(axes[i].length, axes[i].from * width, axes[i].to * width);
  }
  return integers;
}
