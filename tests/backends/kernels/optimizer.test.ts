import { adamMomentsDefinition, allFiniteDefinition, type NdArray } from '@tenon-ml/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { expectSameBits, inPieces, mostParts } from './parts.js';
import { backendPair, randomArray, runDefinition, runKernelForAll } from './reference.js';

const { ours, reference } = backendPair();

function scalar(value: number): NdArray<'float32'> {
  return { dtype: 'float32', shape: [], data: Float32Array.of(value) };
}

function adam(shapes: readonly number[][], seed: number, biasCorrection: boolean) {
  const inputs: { [name: string]: NdArray } = {};
  for (const [i, shape] of shapes.entries()) {
    inputs[`update${i}`] = randomArray(seed + 3 * i, shape);
    inputs[`first${i}`] = randomArray(seed + 3 * i + 1, shape);
    const second = randomArray(seed + 3 * i + 2, shape);
    inputs[`second${i}`] = { ...second, data: second.data.map((value) => value * value) };
  }
  if (biasCorrection) Object.assign(inputs, { rootScale: scalar(0.3), epsilon: scalar(3e-8) });
  const attrs = { count: shapes.length, beta1: 0.9, beta2: 0.999, epsilon: 1e-6, biasCorrection };
  return { kernel: 'AdamMoments', inputs, attrs };
}

test('AdamMoments has the bits of its definition, of any number of parameters', () => {
  const shapes = fc.array(fc.array(fc.nat({ max: 7 }), { maxLength: 3 }), { maxLength: 6 });
  fc.assert(
    fc.property(shapes, fc.nat(), fc.boolean(), (list, seed, biasCorrection) => {
      const call = adam(list, seed, biasCorrection);
      const actual = runKernelForAll(ours, call);
      expect(actual).toEqual(runDefinition(reference, adamMomentsDefinition, call));
    }),
  );
});

test('parts that end inside a parameter give the same bits', () => {
  const call = adam([[5], [40_003], [0], [3, 7], [20_011], [1]], 1, true);
  const run = () => runKernelForAll(ours, call);
  expect(mostParts(ours, run)).toBeGreaterThan(2);
  const expected = runDefinition(reference, adamMomentsDefinition, call);
  for (const actual of [run(), inPieces(ours, 1, run), inPieces(ours, 2, run)]) {
    expect(actual.length).toBe(expected.length);
    for (const [i, array] of actual.entries()) expectSameBits(array, expected[i]);
  }
});

test('AllFinite finds one number that is not, wherever it stands', () => {
  const sizes = [0, 1, 3, 16, 17, 100, 33_000];
  const inputs = () => Object.fromEntries(sizes.map((size, i) => [`x${i}`, randomArray(i, [size])]));
  const attrs = { count: sizes.length };
  const verdict = (given: { [name: string]: NdArray }) => {
    const call = { kernel: 'AllFinite', inputs: given, attrs };
    const [result] = runKernelForAll(ours, call);
    expect(result.dtype).toBe('bool');
    expect(result.shape).toEqual([]);
    return result.data[0];
  };
  expect(verdict(inputs())).toBe(1);
  for (const [i, size] of sizes.entries()) {
    for (const place of [0, 1, size - 1, Math.floor(size / 2)].filter((at) => at >= 0 && at < size)) {
      for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
        const given = inputs();
        given[`x${i}`].data[place] = value;
        expect(verdict(given)).toBe(0);
      }
    }
  }
  const [none] = runKernelForAll(ours, { kernel: 'AllFinite', inputs: {}, attrs: { count: 0 } });
  expect(none).toEqual(runDefinition(reference, allFiniteDefinition, { inputs: {}, attrs: { count: 0 } })[0]);
});

test('AllFinite takes the largest numbers for what they are', () => {
  const x0: NdArray = { dtype: 'float32', shape: [40], data: new Float32Array(40).fill(3.4e38) };
  const call = { kernel: 'AllFinite', inputs: { x0 }, attrs: { count: 1 } };
  expect(runKernelForAll(ours, call)[0].data[0]).toBe(1);
});
