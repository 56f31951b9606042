import { sameBits } from '@tenon-ml/core';
import { Add, Maximum, Minimum, Multiply, RealDiv, SquaredDifference, Sub } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { backendPair, expectAgreement, randomArray, runKernel } from './reference.js';

const { ours, reference } = backendPair();

/** Two shapes that broadcast: any axis of either may be 1, and either may lack the first ones. */
const broadcasts = fc
  .record({
    axes: fc.array(
      fc.record({ length: fc.nat({ max: 4 }), kind: fc.constantFrom('both', 'a', 'b', 'neither') }),
      { maxLength: 5 },
    ),
    dropped: fc.nat(),
    drop: fc.constantFrom('a', 'b'),
    seed: fc.nat(),
  })
  .map(({ axes, dropped, drop, seed }) => {
    const a = axes.map(({ length, kind }) => (kind === 'both' || kind === 'a' ? length : 1));
    const b = axes.map(({ length, kind }) => (kind === 'both' || kind === 'b' ? length : 1));
    const count = dropped % (axes.length + 1);
    return { a: drop === 'a' ? a.slice(count) : a, b: drop === 'b' ? b.slice(count) : b, seed };
  });

test.each([Add, Sub, Multiply, RealDiv])('%s gives the bits of the reference', (kernel) => {
  fc.assert(
    fc.property(broadcasts, fc.boolean(), ({ a, b, seed }, special) => {
      const call = {
        kernel,
        inputs: { a: randomArray(seed, a, special), b: randomArray(seed + 1, b, special) },
      };
      expect(runKernel(ours, call)).toEqual(runKernel(reference, call));
    }),
    { numRuns: 300 },
  );
});

test('SquaredDifference is the reference, which rounds once', () => {
  fc.assert(
    fc.property(broadcasts, fc.boolean(), ({ a, b, seed }, special) => {
      const call = {
        kernel: SquaredDifference,
        inputs: { a: randomArray(seed, a, special), b: randomArray(seed + 1, b, special) },
      };
      expectAgreement(runKernel(ours, call), runKernel(reference, call), { op: 'elementwise' });
    }),
  );
});

test.each([Maximum, Minimum])('%s is the reference, but for the sign of 0', (kernel) => {
  fc.assert(
    fc.property(broadcasts, fc.boolean(), ({ a, b, seed }, special) => {
      const call = {
        kernel,
        inputs: { a: randomArray(seed, a, special), b: randomArray(seed + 1, b, special) },
      };
      // tfjs-backend-cpu's is JavaScript's max, which tells the zeros apart; −0 + 0 is 0.
      const positive = ({ shape, data }: ReturnType<typeof runKernel>) => [
        shape,
        Array.from(data as Float32Array, (value) => value + 0),
      ];
      expect(positive(runKernel(ours, call))).toEqual(positive(runKernel(reference, call)));
    }),
  );
});

test('rows of many lengths, and columns, give the bits of the reference', () => {
  for (const [a, b] of [
    [[300, 70], [70]],
    [[70], [300, 70]],
    [
      [300, 70],
      [300, 1],
    ],
    [
      [3, 1, 50, 9],
      [3, 40, 1, 9],
    ],
    [
      [2, 3, 4],
      [2, 1, 4],
    ],
    [[200_001], [1]],
    [[1], [200_001]],
    [[200_001], [200_001]],
  ]) {
    const call = { kernel: Sub, inputs: { a: randomArray(1, a), b: randomArray(2, b) } };
    const [result, expected] = [runKernel(ours, call), runKernel(reference, call)];
    // To look through so many elements for a difference takes seconds.
    if (!sameBits(result, expected)) expect(result).toEqual(expected);
  }
});
