import { adamMomentsDefinition, allFiniteDefinition, type NdArray } from '@tenon-ml/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { adamCall } from './inputs.js';
import { backendPair, expectSame, randomArray, runDefinition, runKernelForAll } from './reference.js';

const { ours, reference } = backendPair();

test('AdamMoments is its definition, of any number of parameters', async () => {
  const shapes = fc.array(fc.array(fc.nat({ max: 7 }), { maxLength: 3 }), { maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(shapes, fc.nat(), fc.boolean(), async (list, seed, biasCorrection) => {
      const call = adamCall(list, seed, biasCorrection);
      const expected = await runDefinition(reference, adamMomentsDefinition, call);
      expectSame(await runKernelForAll(ours, call), expected, { op: 'optimizer' });
    }),
  );
});

test('AdamMoments of long parameters, which end anywhere, is its definition', async () => {
  const call = adamCall([[5], [40_003], [0], [3, 7], [20_011], [1]], 1, true);
  const expected = await runDefinition(reference, adamMomentsDefinition, call);
  expectSame(await runKernelForAll(ours, call), expected, { op: 'optimizer' });
});

test('AllFinite finds one number that is not, wherever it stands', async () => {
  const sizes = [0, 1, 3, 16, 17, 100, 33_000];
  const inputs = () => Object.fromEntries(sizes.map((size, i) => [`x${i}`, randomArray(i, [size])]));
  const attrs = { count: sizes.length };
  const verdict = async (given: { [name: string]: NdArray }) => {
    const call = { kernel: 'AllFinite', inputs: given, attrs };
    const [result] = await runKernelForAll(ours, call);
    expect(result.dtype).toBe('bool');
    expect(result.shape).toEqual([]);
    return result.data[0];
  };
  expect(await verdict(inputs())).toBe(1);
  for (const [i, size] of sizes.entries()) {
    for (const place of [0, 1, size - 1, Math.floor(size / 2)].filter((at) => at >= 0 && at < size)) {
      for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
        const given = inputs();
        given[`x${i}`].data[place] = value;
        expect(await verdict(given)).toBe(0);
      }
    }
  }
  const [none] = await runKernelForAll(ours, { kernel: 'AllFinite', inputs: {}, attrs: { count: 0 } });
  expect(none).toEqual(
    (await runDefinition(reference, allFiniteDefinition, { inputs: {}, attrs: { count: 0 } }))[0],
  );
});

test('AllFinite takes the largest numbers for what they are', async () => {
  const x0: NdArray = { dtype: 'float32', shape: [40], data: new Float32Array(40).fill(3.4e38) };
  const call = { kernel: 'AllFinite', inputs: { x0 }, attrs: { count: 1 } };
  expect((await runKernelForAll(ours, call))[0].data[0]).toBe(1);
});
