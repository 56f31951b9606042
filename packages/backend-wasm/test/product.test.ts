import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { EngineBackend } from '../src/engine_backend.js';
import type { Block } from '../src/kernels/kernel.js';
import { type Product, product } from '../src/kernels/product.js';
import { Memory } from '../src/memory.js';
import { compileKernels, instantiateKernels } from '../src/module/load.js';

let engine: EngineBackend;

beforeAll(async () => {
  const pool = new Memory({ poison: true });
  engine = new EngineBackend(pool, instantiateKernels(await compileKernels(), pool.memory));
});

/** A block of these values; a block beyond its padding belongs to others. */
function blockOf(values: Float32Array): { block: Block; values: Float32Array } {
  const entry = engine.take(values.byteLength, 'float32');
  entry.values = values;
  return { block: entry, values: entry.values as Float32Array };
}

/** A product of matrices that lie anywhere in their blocks, by the kernel; every number of `out` that it leaves is 5. */
function run(call: Omit<Product, 'a' | 'b' | 'out'>, operands: Operands): Float32Array {
  const mark = engine.enter();
  const a = blockOf(operands.a);
  const b = blockOf(operands.b);
  const bias = operands.bias && blockOf(operands.bias);
  const out = blockOf(new Float32Array(operands.size).fill(5));
  product(engine, { ...call, a: a.block, b: b.block, out: out.block, bias: bias?.block ?? null });
  const result = out.values.slice();
  engine.leave(mark, false);
  return result;
}

interface Operands {
  readonly a: Float32Array;
  readonly b: Float32Array;
  readonly bias?: Float32Array;
  /** Elements of `out`. */
  readonly size: number;
}

const size = fc.oneof(fc.integer({ min: 0, max: 13 }), fc.integer({ min: 14, max: 70 }));
const axis = fc.record({
  length: fc.integer({ min: 0, max: 3 }),
  sharedA: fc.boolean(),
  sharedB: fc.boolean(),
});
const gap = fc.nat({ max: 3 });
const layouts = fc.record({
  rows: size,
  inner: fc.oneof(
    { arbitrary: size, weight: 9 },
    { arbitrary: fc.integer({ min: 380, max: 800 }), weight: 1 },
  ),
  columns: size,
  transposeA: fc.boolean(),
  transposeB: fc.boolean(),
  gaps: fc.tuple(gap, gap, gap),
  offsets: fc.tuple(gap, gap, gap),
  axes: fc.array(axis, { maxLength: 2 }),
  biased: fc.boolean(),
  relu: fc.boolean(),
  seed: fc.nat(),
});

/** Small integers: every order of summation gives the same. */
function integers(length: number, seed: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => ((Math.imul(i + seed, 2654435761) >>> 8) % 17) - 8);
}

test('product is the sum of products, wherever the matrices lie, and writes nothing outside of them', () => {
  fc.assert(
    fc.property(layouts, (layout) => {
      const { rows, inner, columns, transposeA, transposeB, gaps, offsets, seed, relu } = layout;
      const aRowStride = (transposeA ? rows : inner) + gaps[0];
      const bRowStride = (transposeB ? inner : columns) + gaps[1];
      const outRowStride = columns + gaps[2];
      let aStride = (transposeA ? inner : rows) * aRowStride;
      let bStride = (transposeB ? columns : inner) * bRowStride;
      let outStride = rows * outRowStride;
      const axes = layout.axes.map(({ length, sharedA, sharedB }) => {
        const strides = { length, aStride: sharedA ? 0 : aStride, bStride: sharedB ? 0 : bStride, outStride };
        if (!sharedA) aStride *= length;
        if (!sharedB) bStride *= length;
        outStride *= length;
        return strides;
      });
      const operands = {
        a: integers(offsets[0] + aStride, seed),
        b: integers(offsets[1] + bStride, seed + 1),
        size: offsets[2] + outStride + 3,
        ...(layout.biased && { bias: integers(columns, seed + 2) }),
      };
      const out = run(
        {
          rows,
          inner,
          columns,
          transposeA,
          transposeB,
          aRowStride,
          bRowStride,
          outRowStride,
          aOffset: offsets[0],
          bOffset: offsets[1],
          outOffset: offsets[2],
          axes,
          activation: relu ? 'relu' : 'linear',
        },
        operands,
      );

      const expected = new Float32Array(operands.size).fill(5);
      const visit = (depth: number, a: number, b: number, to: number): void => {
        if (depth < axes.length) {
          const { length, ...strides } = axes[depth];
          for (let i = 0; i < length; i++)
            visit(depth + 1, a + i * strides.aStride, b + i * strides.bStride, to + i * strides.outStride);
          return;
        }
        for (let i = 0; i < rows; i++) {
          for (let j = 0; j < columns; j++) {
            let sum = operands.bias?.[j] ?? 0;
            for (let k = 0; k < inner; k++) {
              const left = operands.a[a + (transposeA ? k * aRowStride + i : i * aRowStride + k)];
              sum += left * operands.b[b + (transposeB ? j * bRowStride + k : k * bRowStride + j)];
            }
            expected[to + i * outRowStride + j] = relu ? Math.max(0, sum) : sum;
          }
        }
      };
      visit(0, offsets[0], offsets[1], offsets[2]);
      expect(out).toEqual(expected.map((value) => value + 0));
    }),
  );
});

test('matrices of a batch lie one after another, or are shared, unless strides say otherwise', () => {
  const a = Float32Array.of(1, 2, 3, 4);
  const b = Float32Array.of(10, 100);
  const out = run({ rows: 1, inner: 2, columns: 1, batch: 2, bStride: 0 }, { a, b, size: 2 });
  expect([...out]).toEqual([210, 430]);
});

test('a row has the same bits alone, among others, and as a column of the transposed product', () => {
  const values = (length: number, seed: number): Float32Array =>
    Float32Array.from({ length }, (_, i) => Math.sin(i * 12.9898 + seed) * 3);
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 900 }),
      fc.integer({ min: 1, max: 40 }),
      fc.nat(99),
      (rows, inner, columns, seed) => {
        const a = values(rows * inner, seed);
        const b = values(inner * columns, seed + 1);
        const whole = run({ rows, inner, columns }, { a, b, size: rows * columns });
        const swapped = run(
          { rows: columns, inner, columns: rows, transposeA: true, transposeB: true },
          { a: b, b: a, size: rows * columns },
        );
        for (let i = 0; i < rows; i++) {
          const row = whole.slice(i * columns, (i + 1) * columns);
          const alone = run({ rows: 1, inner, columns, aOffset: i * inner }, { a, b, size: columns });
          expect(alone).toEqual(row);
          expect(row).toEqual(Float32Array.from(row, (_, j) => swapped[j * rows + i]));
        }
      },
    ),
    { numRuns: 40 },
  );
});

test('NaN and Inf stay in their own row and column', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 40 }),
      fc.nat(),
      (rows, columns, at) => {
        const a = new Float32Array(rows).fill(1);
        a[at % rows] = Number.NaN;
        const b = new Float32Array(columns).fill(1);
        const out = run({ rows, inner: 1, columns }, { a, b, size: rows * columns });
        for (const [i, value] of out.entries()) {
          if (Math.floor(i / columns) === at % rows) expect(value).toBeNaN();
          else expect(value).toBe(1);
        }
      },
    ),
  );
});
