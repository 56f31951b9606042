import fc from 'fast-check';
import { expect, test } from 'vitest';
import { composeAccess } from '../src/compose.js';
import { type Access, broadcastAccess, stridedAccess } from '../src/graph.js';

/** What the WGSL of an access computes. */
function at(access: Access, i: number): number {
  if (access === 'same') return i;
  let rest = i;
  let sum = access.offset;
  for (let k = access.dims.length - 1; k >= 0; k--) {
    sum += (rest % access.dims[k]) * access.strides[k];
    rest = Math.floor(rest / access.dims[k]);
  }
  return sum;
}

const shapes = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 });
const size = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

function strides(shape: readonly number[]): number[] {
  const result: number[] = [];
  let stride = 1;
  for (let k = shape.length - 1; k >= 0; k--) {
    result.unshift(stride);
    stride *= shape[k];
  }
  return result;
}

/** A view of [shape]: permuted, cut, broadcast or reshaped; its shape and access. */
function view(shape: readonly number[], kind: number, seed: number): { shape: number[]; access: Access } {
  const own = strides(shape);
  if (kind === 0) {
    const order = shape.map((_, k) => (k + seed) % shape.length);
    const permuted = order.map((k) => shape[k]);
    return {
      shape: permuted,
      access: stridedAccess(
        permuted,
        order.map((k) => own[k]),
        0,
      ),
    };
  }
  if (kind === 1) {
    const begin = shape.map((dim, k) => (seed + k) % dim);
    const cut = shape.map((dim, k) => dim - begin[k]);
    return {
      shape: cut,
      access: stridedAccess(
        cut,
        own,
        begin.reduce((sum, b, k) => sum + b * own[k], 0),
      ),
    };
  }
  if (kind === 2) {
    const wide = [2 + (seed % 2), ...shape];
    return { shape: wide, access: broadcastAccess(wide, shape) };
  }
  const total = size(shape);
  const divisor = [2, 3, 4].find((d) => total % d === 0) ?? 1;
  return { shape: [divisor, total / divisor], access: 'same' };
}

test('a composed access finds what the access of a copy would find', () => {
  let composed = 0;
  fc.assert(
    fc.property(shapes, fc.nat(3), fc.nat(3), fc.nat(5), fc.nat(5), (shape, first, second, a, b) => {
      const inner = view(shape, first, a);
      const outer = view(inner.shape, second, b);
      const access = composeAccess(outer.access, inner.access);
      if (!access) return;
      composed++;
      for (let i = 0; i < size(outer.shape); i++) {
        expect(at(access, i)).toBe(at(inner.access, at(outer.access, i)));
      }
    }),
    { numRuns: 2000 },
  );
  expect(composed).toBeGreaterThan(1000);
});

test('heads of attention, cut out of a permuted product, are read where they lie', () => {
  const [batch, steps, heads, width] = [2, 5, 3, 4];
  const permuted = [3, batch, heads, steps, width];
  const own = [heads * width, steps * 3 * heads * width, width, 3 * heads * width, 1];
  const inner = stridedAccess(permuted, own, 0);
  const part = batch * heads * steps * width;
  for (const k of [0, 1, 2]) {
    const outer = stridedAccess([part], [1], k * part);
    const access = composeAccess(outer, inner) as Access;
    // One view of the product, with no copy between.
    expect((access as Exclude<Access, 'same'>).dims.slice(-4)).toEqual([batch, heads, steps, width]);
    for (let i = 0; i < part; i++) expect(at(access, i)).toBe(at(inner, at(outer, i)));
  }
});
