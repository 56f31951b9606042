import { expect, test } from 'vitest';
import { inFloat16 } from '../src/float16.js';
import { type Program, sourceOf } from '../src/program.js';

const program = (given: Partial<Program>): Program => ({
  key: 'test',
  outputs: ['f32'],
  inputs: ['f32', 'f32'],
  uniforms: [],
  workgroup: [64, 1, 1],
  body: '',
  ...given,
});

const body = (code: string, inputs: readonly number[], outputs: readonly number[], given = {}): string =>
  inFloat16(program({ body: code, ...given }), new Set(inputs), new Set(outputs)).body;

test('reads are converted, those in the index of another too', () => {
  expect(body('let a = x0[i] + x1[x0[j[2]] + 1u] * x10[i];', [0], [])).toBe(
    'let a = f32(x0[i]) + x1[f32(x0[j[2]]) + 1u] * x10[i];',
  );
  expect(body('let a = x0[x0[i]];', [0], [])).toBe('let a = f32(x0[f32(x0[i])]);');
});

test('vectors are vectors of float16', () => {
  const wide = program({ inputs: ['vec4f', 'i32'], body: 'return x0[i / 4u];' });
  const narrow = inFloat16(wide, new Set([0]), new Set());
  expect(narrow.inputs).toEqual(['vec4h', 'i32']);
  expect(narrow.body).toBe('return vec4f(x0[i / 4u]);');
});

test('writes are converted, with what is read for them', () => {
  expect(body('if (a) { y0[i] = x0[i] * 2f; }\ny0[i + 1u] = select(a, b, c == d);', [0], [0])).toBe(
    'if (a) { y0[i] = narrowed(f32(x0[i]) * 2f); }\ny0[i + 1u] = narrowed(select(a, b, c == d));',
  );
});

test('a program that reads what it writes is refused', () => {
  expect(() => body('if (y0[i] == 1f) { }', [], [0])).toThrow('reads what it writes');
});

test('declarations are rewritten as well, and what is kept as it was is not', () => {
  const wide = program({
    declarations: 'fn f(i: u32) -> f32 { return x0[i] + x1[i]; }',
    body: 'y0[0] = f(1u);',
  });
  const narrow = inFloat16(wide, new Set([1]), new Set());
  expect(narrow.declarations).toBe('fn f(i: u32) -> f32 { return x0[i] + f32(x1[i]); }');
  expect(narrow.body).toBe(wide.body);
  expect(inFloat16(wide, new Set(), new Set())).toBe(wide);
  expect(narrow.key).not.toBe(wide.key);
  expect(inFloat16(wide, new Set([0]), new Set()).key).not.toBe(narrow.key);
});

test('the hooks of a program convert', () => {
  const wide = program({ stores: true, loads: [0], body: 'store(0u, load0(1u));' });
  const source = sourceOf(inFloat16(wide, new Set([0]), new Set([0])));
  expect(source.startsWith('enable f16;')).toBe(true);
  expect(source).toContain('fn load0(i: u32) -> f32 { return f32(x0[i]); }');
  expect(source).toContain('fn store(i: u32, value: f32) { y0[i] = narrowed(value); }');
  expect(source).toContain('var<storage, read> x0: array<f16>');
  expect(source).toContain('var<storage, read_write> y0: array<f16>');
  expect(source).toContain('fn narrowed(x: f32) -> f16');
  expect(sourceOf(wide)).not.toContain('f16');
});
