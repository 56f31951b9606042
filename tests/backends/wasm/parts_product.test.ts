import { BatchMatMul } from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { large, largeCalls } from '../kernels/convolution_cases.js';
import { backendPair, expectBits, randomArray, runKernelForAll } from '../kernels/reference.js';
import { expectCut, inPieces, mostParts } from './parts.js';

const { ours } = backendPair({ poison: true });

test('pieces of a product give the same bits', async () => {
  const shapes = [
    { a: [150, 700], b: [700, 130] },
    { a: [3, 70, 33], b: [33, 65] },
    { a: [2, 1, 9, 300], b: [3, 300, 260] },
  ];
  for (const { a, b } of shapes) {
    for (const transposeA of [false, true]) {
      for (const transposeB of [false, true]) {
        const turned = (shape: number[], turn: boolean): number[] =>
          turn ? [...shape.slice(0, -2), shape[shape.length - 1], shape[shape.length - 2]] : shape;
        const call = {
          kernel: BatchMatMul,
          inputs: { a: randomArray(1, turned(a, transposeA)), b: randomArray(2, turned(b, transposeB)) },
          attrs: { transposeA, transposeB },
        };
        await expectCut(ours, () => runKernelForAll(ours, call), { parts: 2 });
      }
    }
  }
});

test.each(large)('$name: the same bits in pieces', async (convolution) => {
  let most = 0;
  for (const call of largeCalls(convolution)) {
    const run = () => runKernelForAll(ours, call);
    most = Math.max(most, await mostParts(ours, run));
    expectBits(await inPieces(ours, 1, run), await run());
  }
  expect(most).toBeGreaterThan(1);
});
