import { Add, broadcast_util, Multiply, RealDiv, Sub } from '@tensorflow/tfjs-core';
import { defineHostKernel, float32Tensor, float32Values } from './host.js';
import type { Kernel } from './kernel.js';

/**
 * One run of a broadcast operation: out[k] from a[i + k·aStep] and b[j + k·bStep], for k < count. Every operation has
 * a loop of its own, since a loop that calls a function is not compiled into arithmetic.
 */
type Run = (
  count: number,
  out: Float32Array,
  to: number,
  a: Float32Array,
  i: number,
  aStep: number,
  b: Float32Array,
  j: number,
  bStep: number,
) => void;

/** a + b, broadcast as in NumPy. float32, as for the other three; other dtypes go to tfjs-backend-cpu. */
export const add = broadcastKernel(Add, (count, out, to, a, i, aStep, b, j, bStep) => {
  for (let k = 0; k < count; k++) out[to + k] = a[i + k * aStep] + b[j + k * bStep];
});

/** a − b, broadcast. */
export const sub = broadcastKernel(Sub, (count, out, to, a, i, aStep, b, j, bStep) => {
  for (let k = 0; k < count; k++) out[to + k] = a[i + k * aStep] - b[j + k * bStep];
});

/** a · b, broadcast. */
export const multiply = broadcastKernel(Multiply, (count, out, to, a, i, aStep, b, j, bStep) => {
  for (let k = 0; k < count; k++) out[to + k] = a[i + k * aStep] * b[j + k * bStep];
});

/** a / b, broadcast. */
export const realDiv = broadcastKernel(RealDiv, (count, out, to, a, i, aStep, b, j, bStep) => {
  for (let k = 0; k < count; k++) out[to + k] = a[i + k * aStep] / b[j + k * bStep];
});

function broadcastKernel(kernelName: string, run: Run): Kernel {
  return defineHostKernel(kernelName, ({ inputs: { a, b }, backend }) => {
    if (a.dtype !== 'float32' || b.dtype !== 'float32') return undefined;
    const shape = broadcast_util.assertAndGetBroadcastShape(a.shape, b.shape);
    const left = float32Values(backend, a);
    const right = float32Values(backend, b);
    const out = new Float32Array(shape.reduce((size, length) => size * length, 1));
    if (out.length > 0) {
      const axes = mergedAxes(a.shape, b.shape, shape);
      const { length, aStride, bStride } = axes[axes.length - 1];
      let to = 0;
      forEachStart(axes.slice(0, -1), (i, j) => {
        run(length, out, to, left, i, aStride, right, j, bStride);
        to += length;
      });
    }
    return float32Tensor(backend, shape, out);
  });
}

/** An axis of the result: its length, and how far a step along it goes in each operand (0 where it is broadcast). */
interface Axis {
  readonly length: number;
  readonly aStride: number;
  readonly bStride: number;
}

/** The axes of a broadcast, as few as possible: neighbours that step alike are one. At least one. */
function mergedAxes(aShape: readonly number[], bShape: readonly number[], shape: readonly number[]): Axis[] {
  const axes: Axis[] = [];
  let aSize = 1;
  let bSize = 1;
  for (let fromEnd = 1; fromEnd <= shape.length; fromEnd++) {
    const length = shape[shape.length - fromEnd];
    if (length === 1) continue;
    const aLength = aShape[aShape.length - fromEnd] ?? 1;
    const bLength = bShape[bShape.length - fromEnd] ?? 1;
    const axis = { length, aStride: aLength === 1 ? 0 : aSize, bStride: bLength === 1 ? 0 : bSize };
    aSize *= aLength;
    bSize *= bLength;
    const inner = axes[0];
    const continues =
      inner && axis.aStride === inner.aStride * inner.length && axis.bStride === inner.bStride * inner.length;
    if (continues) axes[0] = { ...inner, length: inner.length * length };
    else axes.unshift(axis);
  }
  return axes.length > 0 ? axes : [{ length: 1, aStride: 0, bStride: 0 }];
}

/** Calls `visit` with the place in each operand, for every index of the outer axes in row-major order. */
function forEachStart(
  axes: readonly Axis[],
  visit: (i: number, j: number) => void,
  depth = 0,
  i = 0,
  j = 0,
): void {
  if (depth === axes.length) {
    visit(i, j);
    return;
  }
  const { length, aStride, bStride } = axes[depth];
  for (let n = 0; n < length; n++) forEachStart(axes, visit, depth + 1, i + n * aStride, j + n * bStride);
}
