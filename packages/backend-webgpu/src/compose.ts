import { type Access, stridedAccess } from './graph.js';

/**
 * How element i of a result finds its element in x, where it reads element `outer(i)` of a copy that `inner` made of x:
 * inner(outer(i)), without the copy. Undefined where that isn't a sum of strides again.
 *
 * Each digit of i is a stride in the copy, and so a step along one of the copy's own dimensions; a digit that steps over
 * the end of one has to fill it, and goes on along the next.
 */
export function composeAccess(outer: Access, inner: Access): Access | undefined {
  if (outer === 'same') return inner;
  if (inner === 'same') return outer;
  const digits = new Digits(inner);
  const base = digits.place(outer.offset);
  if (base === undefined) return undefined;
  const dims: number[] = [];
  const strides: number[] = [];
  for (let k = outer.dims.length - 1; k >= 0; k--) {
    const steps = digits.steps(outer.dims[k], outer.strides[k]);
    if (!steps) return undefined;
    for (const { dim, stride } of steps) {
      dims.unshift(dim);
      strides.unshift(stride);
    }
  }
  return stridedAccess(dims, strides, inner.offset + base);
}

/** The dimensions of a copy: how far each of its digits can still go. */
class Digits {
  /** Innermost first: how far apart neighbours lie in the copy, and in what it was made of, and how many there are. */
  readonly #axes: { readonly unit: number; readonly dim: number; readonly stride: number; room: number }[] =
    [];

  constructor({ dims, strides }: Exclude<Access, 'same'>) {
    let unit = 1;
    for (let k = dims.length - 1; k >= 0; k--) {
      this.#axes.push({ unit, dim: dims[k], stride: strides[k], room: dims[k] - 1 });
      unit *= dims[k];
    }
    // What lies beyond is the same again: leading dimensions that are broadcast aren't listed.
    this.#axes.push({ unit, dim: Infinity, stride: 0, room: Infinity });
  }

  /** Where an element of the copy lies in what it was made of. Its digits are taken from the room that there is. */
  place(offset: number): number | undefined {
    let rest = offset;
    let base = 0;
    for (const axis of this.#axes) {
      const digit = axis.dim === Infinity ? rest : rest % axis.dim;
      base += digit * axis.stride;
      axis.room -= digit;
      rest = (rest - digit) / (axis.dim === Infinity ? 1 : axis.dim);
      if (axis.dim === Infinity) break;
    }
    return base;
  }

  /** A digit of `count` values that are `stride` apart in the copy, as such digits of what it was made of, innermost first. */
  steps(count: number, stride: number): { dim: number; stride: number }[] | undefined {
    if (stride === 0) return [{ dim: count, stride: 0 }];
    if (stride < 0) return undefined;
    const steps: { dim: number; stride: number }[] = [];
    let left = count;
    let at = stride;
    for (const axis of this.#axes) {
      const end = axis.unit * axis.dim;
      if (at >= end) continue;
      if (at % axis.unit !== 0) return undefined;
      const step = at / axis.unit;
      if ((left - 1) * step <= axis.room) {
        axis.room -= (left - 1) * step;
        steps.push({ dim: left, stride: step * axis.stride });
        return steps;
      }
      // It goes over the end: all of this axis has to be its own.
      const values = axis.dim / step;
      if (!Number.isInteger(values) || left % values !== 0 || axis.room !== axis.dim - 1) return undefined;
      axis.room -= (values - 1) * step;
      steps.push({ dim: values, stride: step * axis.stride });
      left /= values;
      at = end;
    }
    return undefined;
  }
}
