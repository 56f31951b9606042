import type { NdArray } from '@tenon-ml/core';
import { Cumprod, Cumsum } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { backendPair, expectAgreement, randomArray, runKernel, runKernelForAll } from './reference.js';

const { ours, reference } = backendPair();

const attributes = fc.record({ exclusive: fc.boolean(), reverse: fc.boolean() });

test.each([Cumsum, Cumprod])('%s is the reference, along the last axis', async (kernel) => {
  const shapes = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(shapes, attributes, fc.nat(), async (shape, attrs, seed) => {
      const call = {
        kernel,
        inputs: { x: randomArray(seed, shape) },
        attrs: { axis: shape.length - 1, ...attrs },
      };
      const options = { op: 'sum', reduction: shape[shape.length - 1] } as const;
      expectAgreement(await runKernel(ours, call), await runKernel(reference, call), options);
    }),
  );
});

test('long lines, of several lengths, along any axis', async () => {
  for (const [shape, axis] of [
    [[1000], 0],
    [[256], 0],
    [[257, 3], 0],
    [[2, 513, 3], 1],
    [[3, 2, 255], 2],
    [[0, 4], 1],
  ] as const) {
    for (const exclusive of [false, true]) {
      for (const reverse of [false, true]) {
        const call = {
          kernel: Cumsum,
          inputs: { x: randomArray(1, shape) },
          attrs: { axis, exclusive, reverse },
        };
        const expected = cumulated(call.inputs.x, call.attrs);
        const options = { op: 'sum', reduction: shape[axis] } as const;
        expectAgreement(await runKernel(ours, call), expected, options);
      }
    }
  }
});

test('Cumsum of int32 is exact', async () => {
  const x: NdArray = {
    dtype: 'int32',
    shape: [300],
    data: Int32Array.from({ length: 300 }, (_, i) => i * 12345),
  };
  const call = { kernel: Cumsum, inputs: { x }, attrs: { axis: 0, exclusive: false, reverse: false } };
  expect(await runKernelForAll(ours, call)).toEqual(await runKernelForAll(reference, call));
});

/** By the definition, in float64: tfjs-backend-cpu knows the last axis alone. */
function cumulated(
  x: NdArray<'float32'>,
  { axis, exclusive, reverse }: { axis: number; exclusive: boolean; reverse: boolean },
): NdArray<'float32'> {
  const length = x.shape[axis];
  const inner = x.shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  const data = new Float32Array(x.data.length);
  for (const at of data.keys()) {
    const place = Math.floor(at / inner) % length;
    let sum = 0;
    for (let k = 0; k < length; k++) {
      const before = reverse ? k > place : k < place;
      if (before || (k === place && !exclusive)) sum += x.data[at + (k - place) * inner];
    }
    data[at] = sum;
  }
  return { ...x, data };
}
