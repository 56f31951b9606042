import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkSpec, formatSpec, matchesSpec, type TensorSpec, zeros } from '../src/index.js';
import { anyNdArray } from './arbitraries.js';
import { expectError } from './support.js';

describe('specs', () => {
  it('describe arrays whose sizes they leave free, and no others', () => {
    fc.assert(
      fc.property(
        anyNdArray(),
        fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
        fc.nat(),
        (array, free, at) => {
          const { dtype, shape } = array;
          const spec: TensorSpec = { dtype, shape: shape.map((n, axis) => (free[axis] ? null : n)) };
          expect(matchesSpec(array, spec)).toBe(true);
          expect(() => checkSpec(array, spec, 'here')).not.toThrow();
          expect(matchesSpec(array, { dtype, shape: [...spec.shape, null] })).toBe(false);
          expect(matchesSpec(array, { ...spec, dtype: dtype === 'bool' ? 'int8' : 'bool' })).toBe(false);
          if (shape.length === 0) return;
          const axis = at % shape.length;
          const other = shape.map((n, i) => (i === axis ? n + 1 : n));
          expect(matchesSpec(array, { dtype, shape: other })).toBe(false);
          expect(matchesSpec({ dtype, shape: spec.shape }, { dtype, shape })).toBe(
            !free.slice(0, shape.length).some(Boolean),
          );
        },
      ),
    );
  });

  it('say what they expect', async () => {
    const spec: TensorSpec = { dtype: 'float32', shape: [null, 8, null] };
    expect(formatSpec(spec)).toBe('float32 [batch, 8, any]');
    await expectError(
      () => checkSpec(zeros([2, 7, 1]), spec, 'input', 'Resize it.'),
      'SHAPE_MISMATCH',
      'input: expected float32 [batch, 8, any], got float32 [2, 7, 1]. Resize it.',
    );
    await expectError(
      () => checkSpec(zeros([2, 8, 1], 'int32'), spec, 'input'),
      'DTYPE_MISMATCH',
      'int32 [2, 8, 1]',
    );
  });
});
