import {
  backend_util,
  Max,
  type MaxAttrs,
  Mean,
  type MeanAttrs,
  Min,
  type MinAttrs,
  Sum,
  type SumAttrs,
  type TensorInfo,
  util,
} from '@tensorflow/tfjs-core';
import { defineKernel, type Engine, type Kernel } from './kernel.js';
import { rowsInPart } from './parts.js';

/** Elements of a row that are summed in one piece. */
const PIECE = 1 << 15;
/** Rows that are summed in one chunk, at the least, and how many chunks there are at the most. */
const CHUNK_ROWS = 256;
const MOST_CHUNKS = 32;

/**
 * Σ x over axes that adjoin (all, the first ones, the last ones, one in the middle); float64 over all but a few rows, in
 * an order that the shape decides. Axes with others between them, and other dtypes, go to tfjs-backend-cpu.
 */
const sum = defineKernel<SumAttrs>(Sum, ({ inputs: { x }, attrs, engine }) =>
  sumOver(engine, x, attrs, false),
);

/** Σ x / count over axes, as `Sum`. Over no elements it is 0, as in tfjs-backend-cpu (NaN in PyTorch and NumPy). */
const mean = defineKernel<MeanAttrs>(Mean, ({ inputs: { x }, attrs, engine }) =>
  sumOver(engine, x, attrs, true),
);

function sumOver(
  engine: Engine,
  x: TensorInfo,
  attrs: SumAttrs | MeanAttrs,
  average: boolean,
): TensorInfo | undefined {
  const block = x.dtype === 'float32' ? reducedBlock(x, attrs.axis) : undefined;
  if (!block) return undefined;
  const { outer, count, inner, axes } = block;
  const out = engine.allocate(shapeOf(x, axes, attrs.keepDims), 'float32');
  const divisor = average && count > 0 ? count : 1;
  const [from, to] = [[engine.block(x)], [engine.block(out)]];
  if (inner === 1 && count <= PIECE) {
    const perPart = rowsInPart(count);
    engine.launch('sumRows', Math.ceil(outer / perPart), from, to, [outer, count, perPart, divisor]);
    return out;
  }
  const pieces =
    inner === 1
      ? Math.ceil(count / PIECE)
      : Math.max(1, Math.min(MOST_CHUNKS, Math.ceil(count / CHUNK_ROWS)));
  const totals = engine.scratch(8 * outer * pieces * inner);
  if (inner === 1) {
    engine.launch('sumPieces', outer * pieces, from, [totals], [outer, count, pieces, PIECE]);
  } else {
    engine.launch(
      'sumColumns',
      outer * pieces,
      from,
      [totals],
      [count, inner, Math.ceil(count / pieces), pieces],
    );
  }
  engine.launch('finishSums', outer * inner > 0 ? 1 : 0, [totals], to, [outer, pieces, inner, divisor]);
  return out;
}

/** The largest along the last axes; NaN where there is one. Other axes go to tfjs-backend-cpu. */
const max = extreme<MaxAttrs>(Max, 'maxRows');
/** The smallest, as `Max`. */
const min = extreme<MinAttrs>(Min, 'minRows');

function extreme<A extends MaxAttrs | MinAttrs>(kernelName: string, kernel: 'maxRows' | 'minRows'): Kernel {
  return defineKernel<A>(kernelName, ({ inputs: { x }, attrs, engine }) => {
    // tfjs's names for the axes differ.
    const axis = (attrs as MaxAttrs).reductionIndices ?? (attrs as MinAttrs).axis;
    const block = x.dtype === 'float32' ? reducedBlock(x, axis) : undefined;
    if (block?.inner !== 1 || block.count === 0) return undefined;
    const { outer, count, axes } = block;
    const out = engine.allocate(shapeOf(x, axes, attrs.keepDims), 'float32');
    const perPart = rowsInPart(count);
    const parts = Math.ceil(outer / perPart);
    engine.launch(kernel, parts, [engine.block(x)], [engine.block(out)], [outer, count, perPart]);
    return out;
  });
}

function shapeOf(x: TensorInfo, axes: number[], keepDims: boolean): number[] {
  const [shape] = backend_util.computeOutAndReduceShapes(x.shape, axes);
  return keepDims ? backend_util.expandShapeToKeepDim(shape, axes) : shape;
}

interface Reduced {
  readonly outer: number;
  readonly count: number;
  readonly inner: number;
  readonly axes: number[];
}

/** x as [outer, count, inner] with the axes to reduce in the middle; undefined where they don't adjoin. */
function reducedBlock({ shape }: TensorInfo, axis: number | number[]): Reduced | undefined {
  const axes = util.parseAxisParam(axis, shape);
  const sizes = [1, 1, 1];
  let part = 0;
  for (const [i, length] of shape.entries()) {
    // An axis of one element is in nobody's way.
    if (length === 1) continue;
    const reduced = axes.includes(i);
    if (part === 0 && reduced) part = 1;
    else if (part === 1 && !reduced) part = 2;
    else if (part === 2 && reduced) return undefined;
    sizes[part] *= length;
  }
  return { outer: sizes[0], count: sizes[1], inner: sizes[2], axes };
}

export const reductionKernels: readonly Kernel[] = [sum, mean, max, min];
