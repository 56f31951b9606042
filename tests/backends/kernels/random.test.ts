import { compile, type NdArray, philoxUniformDefinition, randomUniform, read } from '@tenon-ml/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { keyOf } from './inputs.js';
import { backendPair, runKernel } from './reference.js';

const { ours } = backendPair();

const word = fc.oneof(
  fc.constantFrom(0, 1, 0x7fffffff, 0x80000000, 0xffffffff),
  fc.integer({ min: 0, max: 0xffffffff }),
);

test('PhiloxUniform has the bits of its definition, for every key, site and shape', async () => {
  const shapes = fc.array(fc.nat({ max: 7 }), { maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(word, word, word, shapes, async (k0, k1, site, shape) => {
      const key = keyOf([k0, k1]);
      const actual = await runKernel(ours, {
        kernel: 'PhiloxUniform',
        inputs: { key },
        attrs: { site, shape },
      });
      const expected = philoxUniformDefinition.host?.({ key }, { site, shape });
      expect(actual.shape).toEqual(shape);
      expect(actual.data).toEqual(expected?.data);
    }),
  );
});

test('many numbers are those of the definition', async () => {
  const key = keyOf([0x9e3779b9, 0x243f6a88]);
  const attrs = { site: 0xdeadbeef, shape: [3, 16411] };
  const { data } = await runKernel(ours, { kernel: 'PhiloxUniform', inputs: { key }, attrs });
  expect(data).toEqual(philoxUniformDefinition.host?.({ key }, attrs)?.data);
});

test('a recorded step draws by the key that it is given', async () => {
  const draw = compile((key: Tensor) => randomUniform({ key, site: 7 }, [5, 3]), { backend: ours });
  for (let step = 0; step < 5; step++) {
    const key = keyOf([step, 12]);
    const expected = philoxUniformDefinition.host?.({ key }, { site: 7, shape: [5, 3] });
    expect(((await read(draw(key))) as NdArray).data).toEqual(expected?.data);
  }
  expect(draw.explain().mode).toBe('replayed');
});
