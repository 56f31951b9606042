import { PadV2, type PadV2Attrs, util } from '@tensorflow/tfjs-core';
import { defineKernel, floatBits, type Kernel } from './kernel.js';
import { cut, isMovable, widthOf } from './runs.js';

/** An axis of the result. */
interface Axis {
  readonly before: number;
  readonly length: number;
  readonly after: number;
  /** In the input, in elements. */
  readonly stride: number;
}

/** An array with a constant around it. */
const pad = defineKernel<PadV2Attrs>(PadV2, ({ inputs: { x }, attrs, engine }) => {
  const { paddings, constantValue } = attrs;
  if (!isMovable(x) || paddings.length !== x.shape.length) return undefined;
  if (paddings.some(([before, after]) => before < 0 || after < 0)) return undefined;
  const shape = paddings.map(([before, after], i) => before + x.shape[i] + after);
  if (util.arraysEqual(shape, x.shape)) return engine.alias(x, shape);
  const out = engine.allocate(shape, x.dtype);
  // Without padding inside of it, an axis and the one around it are one.
  const axes: Axis[] = [];
  let inner: Axis = { before: 0, length: 1, after: 0, stride: 1 };
  for (let i = shape.length - 1; i >= 0; i--) {
    const [before, after] = paddings[i];
    if (inner.before + inner.after === 0) {
      const { length } = inner;
      const { stride } = inner;
      inner = { before: before * length, length: x.shape[i] * length, after: after * length, stride };
    } else {
      axes.push(inner);
      inner = { before, length: x.shape[i], after, stride: inner.stride * inner.length };
    }
  }
  axes.push(inner);
  const width = widthOf(x);
  const [{ before, length, after }, ...outer] = axes;
  const bytes = (before + length + after) * width;
  let rows = 1;
  for (const axis of outer) rows *= axis.before + axis.length + axis.after;
  if (rows * bytes === 0) return out;
  const { chunk, perPart, parts } = cut(rows, bytes);
  const integers = [patternOf(constantValue, x.dtype), before * width, length * width, after * width];
  integers.push(chunk, rows, perPart, outer.length);
  for (const axis of outer.reverse()) {
    integers.push(axis.before, axis.length, axis.after, axis.stride * width);
  }
  engine.launch('padRows', parts, [engine.block(x)], [engine.block(out)], integers);
  return out;
});

/** Four bytes of a constant, converted as a typed array of the dtype does. */
function patternOf(value: number, dtype: string): number {
  if (dtype === 'float32') return floatBits(value);
  return dtype === 'bool' ? Math.imul(value & 0xff, 0x01010101) : value | 0;
}

export const paddingKernels: readonly Kernel[] = [pad];
