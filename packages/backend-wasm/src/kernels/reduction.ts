import {
  ArgMax,
  type ArgMaxAttrs,
  ArgMin,
  backend_util,
  Max,
  type MaxAttrs,
  Mean,
  type MeanAttrs,
  Min,
  Sum,
  type SumAttrs,
  type TensorInfo,
  util,
} from '@tensorflow/tfjs-core';
import { LIGHT } from './elementwise.js';
import { type Block, defineKernel, type Engine, type Kernel } from './kernel.js';

/** x as [outer, count, inner], with the axes to reduce in the middle. */
interface Reduced {
  readonly outer: number;
  readonly count: number;
  readonly inner: number;
}

/** x as [outer, count, inner]; undefined where the axes don't adjoin. */
function reduced(shape: readonly number[], axes: readonly number[]): Reduced | undefined {
  let outer = 1;
  let count = 1;
  let inner = 1;
  let part = 0;
  for (let axis = 0; axis < shape.length; axis++) {
    const length = shape[axis];
    // An axis of one element is in nobody's way.
    if (length === 1) continue;
    if (axes.includes(axis)) {
      if (part === 2) return undefined;
      part = 1;
      count *= length;
    } else if (part === 0) {
      outer *= length;
    } else {
      part = 2;
      inner *= length;
    }
  }
  return { outer, count, inner };
}

/** How a reduction is cut up: see assembly/reduction.ts. By shapes alone. */
function cut({ outer, count, inner }: Reduced): {
  chunk: number;
  chunks: number;
  columns: number;
  itemsPerPart: number;
  parts: number;
} {
  const columns = Math.min(inner, 512);
  const blocks = Math.ceil(inner / Math.max(1, columns));
  // Where there are many results, no need to cut each.
  const many = outer * blocks >= 8 || count * columns <= LIGHT;
  const chunk = many ? Math.max(1, count) : Math.max(1, Math.ceil(LIGHT / columns));
  const chunks = Math.max(1, Math.ceil(count / chunk));
  const itemsPerPart = Math.max(1, Math.floor(LIGHT / Math.max(1, chunk * columns)));
  const parts = Math.ceil((outer * chunks * blocks) / itemsPerPart);
  return { chunk, chunks, columns, itemsPerPart, parts };
}

/** out [outer, inner] ← Σ x / divisor over the middle axis; in float64, in an order that depends on shapes only. */
export function sumInto(engine: Engine, x: Block, out: Block, shape: Reduced, divisor = 1): void {
  const { outer, count, inner } = shape;
  const { chunk, chunks, columns, itemsPerPart, parts } = cut(shape);
  const target = chunks > 1 ? engine.scratch(outer * chunks * inner * 8) : out;
  const words = [outer, count, inner, chunk, chunks, columns, itemsPerPart, divisor];
  engine.launch('sum', parts, [x], [target], words);
  if (chunks === 1) return;
  const perPart = Math.max(1, Math.floor(LIGHT / chunks));
  const finish = [outer, chunks, inner, divisor, perPart];
  engine.launch('addPartials', Math.ceil((outer * inner) / perPart), [target], [out], finish);
}

/** What is left of a shape. */
function remaining(shape: number[], axes: number[], keepDims: boolean): number[] {
  const [left] = backend_util.computeOutAndReduceShapes(shape, axes);
  return keepDims ? backend_util.expandShapeToKeepDim(left, axes) : left;
}

/**
 * Σ x over axes that adjoin (all, the first ones, the last ones, one in the middle). float32; other dtypes, and axes with
 * others between them, go to tfjs-backend-cpu, which transposes first.
 */
const sum = defineKernel<SumAttrs>(Sum, ({ inputs: { x }, attrs, engine }) => total(engine, x, attrs, false));

/** Σ x / count over axes, as `sum`. Over no elements it is 0, as in tfjs-backend-cpu (NaN in PyTorch and NumPy). */
const mean = defineKernel<MeanAttrs>(Mean, ({ inputs: { x }, attrs, engine }) =>
  total(engine, x, attrs, true),
);

function total(
  engine: Engine,
  x: TensorInfo,
  attrs: SumAttrs | MeanAttrs,
  average: boolean,
): TensorInfo | undefined {
  if (x.dtype !== 'float32') return undefined;
  const axes = util.parseAxisParam(attrs.axis, x.shape);
  const shape = reduced(x.shape, axes);
  if (!shape) return undefined;
  const out = engine.allocate(remaining(x.shape, axes, attrs.keepDims), 'float32');
  sumInto(engine, engine.block(x), engine.block(out), shape, average ? Math.max(1, shape.count) : 1);
  return out;
}

/** The largest (or least) over axes that adjoin; NaN where there is one. */
function extremum(kernelName: string, kernel: 'largest' | 'least'): Kernel {
  return defineKernel<MaxAttrs>(kernelName, ({ inputs: { x }, attrs, engine }) => {
    if (x.dtype !== 'float32') return undefined;
    const axes = util.parseAxisParam((attrs as unknown as SumAttrs).axis ?? attrs.reductionIndices, x.shape);
    const shape = reduced(x.shape, axes);
    if (!shape || shape.count === 0) return undefined;
    const { outer, count, inner } = shape;
    const out = engine.allocate(remaining(x.shape, axes, attrs.keepDims), 'float32');
    const { chunk, chunks, columns, itemsPerPart, parts } = cut(shape);
    const target = chunks > 1 ? engine.scratch(outer * chunks * inner * 4) : engine.block(out);
    const words = [outer, count, inner, chunk, chunks, columns, itemsPerPart];
    engine.launch(kernel, parts, [engine.block(x)], [target], words);
    if (chunks > 1) {
      const rest = cut({ outer, count: chunks, inner });
      const items = Math.ceil(outer * Math.ceil(inner / rest.columns));
      engine.launch(
        kernel,
        1,
        [target],
        [engine.block(out)],
        [outer, chunks, inner, chunks, 1, rest.columns, items],
      );
    }
    return out;
  });
}

/** Where the first of the largest (or least) stands along an axis; one after a NaN in the first place is never found. */
function position(kernelName: string, kernel: 'positionOfLargest' | 'positionOfLeast'): Kernel {
  return defineKernel<ArgMaxAttrs>(kernelName, ({ inputs: { x }, attrs, engine }) => {
    if (x.dtype !== 'float32') return undefined;
    const [axis] = util.parseAxisParam(attrs.axis, x.shape);
    const count = x.shape[axis];
    if (!count) return undefined;
    const outer = util.sizeFromShape(x.shape.slice(0, axis));
    const inner = util.sizeFromShape(x.shape.slice(axis + 1));
    const shape = x.shape.slice();
    shape.splice(axis, 1);
    const out = engine.allocate(shape, 'int32');
    const perPart = Math.max(1, Math.floor(LIGHT / count));
    engine.launch(
      kernel,
      Math.ceil((outer * inner) / perPart),
      [engine.block(x)],
      [engine.block(out)],
      [outer, count, inner, perPart],
    );
    return out;
  });
}

export const reductionKernels: readonly Kernel[] = [
  sum,
  mean,
  extremum(Max, 'largest'),
  extremum(Min, 'least'),
  position(ArgMax, 'positionOfLargest'),
  position(ArgMin, 'positionOfLeast'),
];
