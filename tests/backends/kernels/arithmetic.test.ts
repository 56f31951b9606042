import { Add, Maximum, Minimum, Multiply, RealDiv, SquaredDifference, Sub } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { test } from 'vitest';
import { testedDevice } from '../../hosts/tested_backend.js';
import {
  backendPair,
  expectAgreement,
  expectSame,
  manyRuns,
  randomArray,
  runKernel,
  withPositiveZeros,
} from './reference.js';

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

test.each([Add, Sub, Multiply, RealDiv])('%s gives what the reference gives', async (kernel) => {
  await fc.assert(
    fc.asyncProperty(broadcasts, fc.boolean(), async ({ a, b, seed }, special) => {
      const divisor = randomArray(seed + 1, b, special);
      const inputs = {
        a: randomArray(seed, a, special),
        // The sign of what is divided by 0 is a GPU's matter.
        b: kernel === RealDiv && testedDevice === 'gpu' ? withPositiveZeros(divisor) : divisor,
      };
      const call = { kernel, inputs };
      expectSame(await runKernel(ours, call), await runKernel(reference, call), { op: 'elementwise' });
    }),
    manyRuns(300),
  );
});

test('SquaredDifference is the reference, which rounds once', async () => {
  await fc.assert(
    fc.asyncProperty(broadcasts, fc.boolean(), async ({ a, b, seed }, special) => {
      const call = {
        kernel: SquaredDifference,
        inputs: { a: randomArray(seed, a, special), b: randomArray(seed + 1, b, special) },
      };
      expectAgreement(await runKernel(ours, call), await runKernel(reference, call), { op: 'elementwise' });
    }),
  );
});

test.each([Maximum, Minimum])('%s is the reference, but for the sign of 0', async (kernel) => {
  await fc.assert(
    fc.asyncProperty(broadcasts, fc.boolean(), async ({ a, b, seed }, special) => {
      const call = {
        kernel,
        inputs: { a: randomArray(seed, a, special), b: randomArray(seed + 1, b, special) },
      };
      // tfjs-backend-cpu's is JavaScript's max, which tells the zeros apart.
      const [result, expected] = [await runKernel(ours, call), await runKernel(reference, call)];
      expectSame(withPositiveZeros(result), withPositiveZeros(expected), { op: 'exact' });
    }),
  );
});

test('rows of many lengths, and columns, give what the reference gives', async () => {
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
    expectSame(await runKernel(ours, call), await runKernel(reference, call), { op: 'elementwise' });
  }
});
