import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Graph } from '../src/graph.js';
import { joinParts, literalOf, PARTS, wordsOf } from '../src/parts.js';
import { sourceOf } from '../src/program.js';

const ARENA = 1000;

/** p − rate·g, of a parameter at 2k and its gradient at 2k + 1. */
function update(k: number, count: number, rate: string): Graph<number> {
  const same = { element: 'f32', access: 'same' } as const;
  return {
    count,
    operands: [
      { buffer: 2 * k, ...same },
      { buffer: 2 * k + 1, ...same },
    ],
    nodes: [
      { code: rate, element: 'f32', args: [] },
      { code: '$0 - $1 * $2', element: 'f32', args: [-1, 0, -2] },
    ],
    outputs: [{ node: 1, buffer: 2 * k }],
  };
}

const join = (counts: readonly number[], region = (buffer: number) => buffer) =>
  joinParts(
    counts.map((count, k) => update(k, count, `${k + 1}f`)),
    ARENA,
    'f32',
    (buffer) =>
      buffer % 2 === 0 ? { region: ARENA, offset: 100 * buffer } : { region: region(buffer), offset: buffer },
  );

test('the code is as long for many parts as for two', () => {
  const length = (parts: number): number => {
    const { joined } = join(Array(parts).fill(10), () => 7);
    return sourceOf(PARTS, joined).replace(/\d+/g, '').length;
  };
  expect(length(50)).toBe(length(2));
});

test('every part gets its workgroups, and its row says where it lies', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 2, maxLength: 30 }), (counts) => {
      const { words, groups, inputs, outputs } = join(counts, () => 7);
      expect([outputs, inputs]).toEqual([[ARENA], [7]]);
      const row = words.length / counts.length;
      expect(row).toBeLessThanOrEqual(wordsOf(update(0, 1, '1f')));
      let begin = 0;
      for (const [k, count] of counts.entries()) {
        const own = words.slice(row * k, row * (k + 1));
        expect(own.slice(0, 2)).toEqual([begin, count]);
        expect(own).toContain(100 * 2 * k);
        expect(own).toContain(2 * k + 1);
        expect(own).toContain(new Uint32Array(Float32Array.of(k + 1).buffer)[0]);
        begin += Math.ceil(count / 1024);
      }
      expect(groups[0] * groups[1] * groups[2]).toBeGreaterThanOrEqual(begin);
    }),
  );
});

test('what lies in buffers of its own is bound for each part', () => {
  expect(join([5, 6, 7]).inputs).toEqual([1, 3, 5]);
});

test('numbers are told from other code', () => {
  const literal = (code: string, ...args: number[]) => literalOf({ code, element: 'f32', args });
  expect(['1f', '0.5f', '5e-8f', '1.5e+20f', '(-2.5f)', '(-0.0f)'].map((code) => literal(code))).toEqual([
    1, 0.5, 5e-8, 1.5e20, -2.5, -0,
  ]);
  expect(['nan()', 'hostFloat(0u)', '1i', 'i32(3)', '1f + 2f'].map((code) => literal(code))).toEqual(
    Array(5).fill(undefined),
  );
  expect(literal('1f', 0)).toBeUndefined();
});

test('float16 is found where it lies, two a word, and converted', () => {
  const half = (graph: Graph<number>): Graph<number> => {
    const [p, g] = graph.operands;
    return { ...graph, operands: [p, { ...g, element: 'f16' }] };
  };
  const graphs = [5, 6].map((count, k) => half(update(k, count, '1f')));
  const joined = (region: (buffer: number) => number) =>
    joinParts(graphs, ARENA, 'f32', (buffer) =>
      buffer % 2 === 0
        ? { region: ARENA, offset: 100 * buffer }
        : { region: region(buffer), offset: 10 * buffer },
    );
  const together = joined(() => 7);
  expect(together.joined.inputs).toEqual(['f16']);
  // The gradients are buffers 1 and 3.
  const row = together.words.length / 2;
  expect(together.words.slice(0, row)).toContain(2 * 10 * 1);
  expect(together.words.slice(row)).toContain(2 * 10 * 3);
  expect(sourceOf(PARTS, together.joined)).toMatch(/let o1 = f32\(x0\[/);
  const apart = sourceOf(PARTS, joined((buffer) => buffer).joined);
  expect(apart).toMatch(/fn read1\(region: u32, i: u32\) -> f32 .* return f32\(x0\[i\]\);/);
  expect(apart.startsWith('enable f16;')).toBe(true);
});

test('what isn’t in the arena may be kept in float16', () => {
  const [graph] = [5].map((count) => update(0, count, '1f'));
  const both = { ...graph, outputs: [...graph.outputs, { node: 1, buffer: 9, element: 'f16' as const }] };
  const { joined } = joinParts([both], ARENA, 'f32', (buffer) => ({
    region: buffer === 0 ? ARENA : buffer,
    offset: 0,
  }));
  expect(joined.outputs).toEqual(['f32', 'f16']);
  expect(sourceOf(PARTS, joined)).toContain('y1[i] = narrowed(n1);');
});
