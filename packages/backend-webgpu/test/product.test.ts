import fc from 'fast-check';
import { expect, test } from 'vitest';
import { planOf } from '../src/kernels/product.js';

const size = fc.oneof(fc.integer({ min: 1, max: 70 }), fc.integer({ min: 1, max: 20_000 }));
const sizes = fc.record({
  batch: fc.integer({ min: 1, max: 64 }),
  rows: size,
  columns: size,
  inner: fc.integer({ min: 1, max: 200_000 }),
});

/** Workgroups of a product. */
function groupsOf(
  { batch, rows, columns }: { batch: number; rows: number; columns: number },
  plan: Plan,
): number {
  const { tile, chunks } = plan;
  return batch * Math.ceil(rows / tile.rows) * Math.ceil(columns / tile.columns) * chunks;
}

type Plan = ReturnType<typeof planOf>;

test('both tiles fit into the workgroup memory that every GPU has, and one read of each invocation fills them', () => {
  fc.assert(
    fc.property(sizes, (product) => {
      const { tile } = planOf(product);
      expect(4 * tile.depth * (tile.rows + tile.columns)).toBeLessThanOrEqual(16_384);
      expect((Math.max(tile.rows, tile.columns) * tile.depth) / 4).toBe(256);
      expect(tile.depth % 4).toBe(0);
    }),
  );
});

test('sums are cut only where results are few, into chunks of at least 16 steps', () => {
  fc.assert(
    fc.property(sizes, (product) => {
      const plan = planOf(product);
      const { tile, chunks } = plan;
      if (chunks === 1) return;
      expect(product.inner / chunks).toBeGreaterThanOrEqual(16 * tile.depth);
      expect(groupsOf(product, { tile, chunks: 1 })).toBeLessThan(128);
    }),
  );
});

test('a large result has large tiles; the gradient of a filter keeps many workgroups busy', () => {
  expect(planOf({ batch: 1, rows: 1024, columns: 1024, inner: 64 })).toEqual({
    tile: { rows: 64, columns: 64, depth: 16 },
    chunks: 1,
  });
  const filter = { batch: 1, rows: 288, columns: 64, inner: 128 * 28 * 28 };
  const plan = planOf(filter);
  expect(plan.tile).toEqual({ rows: 64, columns: 64, depth: 16 });
  expect(groupsOf(filter, plan)).toBeGreaterThanOrEqual(128);
});
