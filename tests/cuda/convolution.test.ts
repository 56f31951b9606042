import type { NdArray } from '@tenon-ml/core';
import {
  AvgPool3D,
  AvgPool3DGrad,
  backend_util,
  Conv3D,
  Conv3DBackpropFilterV2,
  Conv3DBackpropInputV2,
  DepthwiseConv2dNative,
  DepthwiseConv2dNativeBackpropFilter,
  DepthwiseConv2dNativeBackpropInput,
  FusedDepthwiseConv2D,
  MaxPool3D,
  MaxPool3DGrad,
  MaxPoolWithArgmax,
} from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { test } from 'vitest';
import {
  type Agreement,
  backendPair,
  type Call,
  expectAgreement,
  expectSame,
  randomArray,
  runKernel,
  runKernelForAll,
} from '../backends/kernels/reference.js';

/** What no other backend of ours has kernels of its own for: TensorFlow's against tfjs-backend-cpu's. */
const { ours, reference } = backendPair();

async function expectReference(call: Call, options: Agreement): Promise<void> {
  expectAgreement(await runKernel(ours, call), await runKernel(reference, call), options);
}

const size = (min: number, max: number) => fc.integer({ min, max });
const pairs = (max: number) => fc.tuple(size(1, max), size(1, max));
const triples = (max: number) => fc.tuple(size(1, max), size(1, max), size(1, max));

const depthwise = fc
  .record({
    x: fc.tuple(size(0, 2), size(1, 8), size(1, 8), size(1, 4)),
    window: pairs(3),
    multiplier: size(1, 3),
    // TensorFlow has none of different strides: those are computed on the host.
    strides: fc.oneof(
      size(1, 3).map((stride): [number, number] => [stride, stride]),
      pairs(3),
    ),
    dilations: pairs(3),
    pad: fc.oneof(
      fc.constantFrom('same', 'valid'),
      size(0, 2),
      fc.tuple(size(0, 2), size(0, 2), size(0, 2), size(0, 2)).map(([a, b, c, d]) => [
        [0, 0],
        [a, b],
        [c, d],
        [0, 0],
      ]),
    ),
    seed: fc.nat(),
  })
  .map(({ x, window, multiplier, strides, dilations, ...rest }) => ({
    x,
    filter: [...window, x[3], multiplier],
    strides,
    // tfjs has no strides where there is dilation.
    dilations: strides[0] * strides[1] === 1 ? dilations : [1, 1],
    ...rest,
  }));

function depthwiseShape({
  x,
  filter,
  strides,
  dilations,
  pad,
}: typeof depthwise extends fc.Arbitrary<infer T> ? T : never) {
  const [images, weights] = [x, filter as typeof x];
  const { outShape } = backend_util.computeConv2DInfo(
    images,
    weights,
    strides,
    dilations as [number, number],
    pad as 'same',
    undefined,
    true,
  );
  return outShape;
}

test('depthwise convolutions and their gradients are the reference', async () => {
  await fc.assert(
    fc.asyncProperty(
      depthwise,
      fc.constantFrom('relu', 'prelu', undefined),
      async (convolution, activation) => {
        const { x, filter, strides, dilations, pad, seed } = convolution;
        const outShape = depthwiseShape(convolution);
        fc.pre(outShape[1] > 0 && outShape[2] > 0);
        const inputs = { x: randomArray(seed, x), filter: randomArray(seed + 1, filter) };
        const dy = randomArray(seed + 2, outShape);
        const attrs = { strides, dilations, pad };
        const product = { op: 'product', reduction: filter[0] * filter[1] * filter[3] } as const;
        await expectReference({ kernel: DepthwiseConv2dNative, inputs, attrs }, product);
        const weights = {
          bias: randomArray(seed + 3, outShape.slice(3)),
          preluActivationWeights: randomArray(seed + 4, outShape.slice(3)),
        };
        await expectReference(
          {
            kernel: FusedDepthwiseConv2D,
            inputs: { ...inputs, ...weights },
            attrs: { ...attrs, activation },
          },
          product,
        );
        if (dilations.some((dilation) => dilation > 1)) return;
        const { x: images, filter: kernel } = inputs;
        await expectReference(
          {
            kernel: DepthwiseConv2dNativeBackpropInput,
            inputs: { dy, filter: kernel },
            attrs: { ...attrs, inputShape: x },
          },
          product,
        );
        await expectReference(
          {
            kernel: DepthwiseConv2dNativeBackpropFilter,
            inputs: { x: images, dy },
            attrs: { ...attrs, filterShape: filter },
          },
          { op: 'product', reduction: Math.max(1, outShape[0] * outShape[1] * outShape[2]) },
        );
      },
    ),
  );
});

/** 'same' with strides longer than the window has tfjs begin inside of the image. */
const volumes = fc
  .record({
    x: fc.tuple(size(0, 2), size(1, 6), size(1, 6), size(1, 6), size(1, 3)),
    window: triples(3),
    strides: triples(3),
    dilations: triples(2),
    pad: fc.oneof(fc.constantFrom('same', 'valid'), size(0, 2)),
    seed: fc.nat(),
  })
  .filter(
    ({ pad, strides, window }) => pad !== 'same' || strides.every((stride, axis) => stride <= window[axis]),
  );

test('convolutions of volumes and their gradients are the reference', async () => {
  await fc.assert(
    fc.asyncProperty(volumes, size(1, 3), async ({ x, window, strides, pad, seed, ...rest }, outputs) => {
      const filter: typeof x = [...window, x[4], outputs];
      const dilations = strides.every((stride) => stride === 1)
        ? rest.dilations
        : ([1, 1, 1] as [number, number, number]);
      const { outShape } = backend_util.computeConv3DInfo(x, filter, strides, dilations, pad as 'same');
      fc.pre(outShape.slice(1).every((length) => length > 0));
      const inputs = { x: randomArray(seed, x), filter: randomArray(seed + 1, filter) };
      const dy = randomArray(seed + 2, outShape);
      const attrs = { strides, pad };
      const product = {
        op: 'product',
        reduction: window[0] * window[1] * window[2] * Math.max(x[4], outputs),
      } as const;
      await expectReference({ kernel: Conv3D, inputs, attrs: { ...attrs, dilations } }, product);
      if (dilations.some((dilation) => dilation > 1)) return;
      await expectReference(
        {
          kernel: Conv3DBackpropInputV2,
          inputs: { dy, filter: inputs.filter },
          attrs: { ...attrs, inputShape: x },
        },
        product,
      );
      const positions = Math.max(
        1,
        outShape.slice(0, 4).reduce((a, b) => a * b, 1),
      );
      await expectReference(
        {
          kernel: Conv3DBackpropFilterV2,
          inputs: { x: inputs.x, dy },
          attrs: { ...attrs, filterShape: filter },
        },
        { op: 'product', reduction: positions },
      );
    }),
  );
});

/** The same order of numbers, 0.1 from one to the next. */
function apart(data: Float32Array): void {
  const order = [...data.keys()].sort((i, j) => data[i] - data[j]);
  for (const [rank, i] of order.entries()) data[i] = (rank - data.length / 2) / 10;
}

test('pools of volumes and their gradients are the reference', async () => {
  await fc.assert(
    fc.asyncProperty(volumes, async ({ x, window, strides, pad, seed }) => {
      const attrs = { filterSize: window, strides, pad };
      const { outShape } = backend_util.computePool3DInfo(x, window, strides, 1, pad as 'same');
      fc.pre(outShape.slice(1).every((length) => length > 0));
      const input = randomArray(seed, x);
      const dy = randomArray(seed + 1, outShape);
      const sum = { op: 'sum', reduction: window[0] * window[1] * window[2] } as const;
      await expectReference({ kernel: AvgPool3D, inputs: { x: input }, attrs }, sum);
      await expectReference({ kernel: AvgPool3DGrad, inputs: { dy, input }, attrs }, sum);
      // TensorFlow's gradient takes numbers for equal that are 1e-5 apart; of equal ones tfjs takes the last.
      apart(input.data);
      const pooling = { kernel: MaxPool3D, inputs: { x: input }, attrs };
      const output = await runKernel(reference, pooling);
      expectSame(await runKernel(ours, pooling), output, { op: 'exact' });
      // The reference takes the width for the height where it looks for a maximum.
      if (window[1] !== window[2]) return;
      await expectReference({ kernel: MaxPool3DGrad, inputs: { dy, input, output }, attrs }, sum);
    }),
  );
});

test('MaxPoolWithArgmax says where each maximum is, as the reference', async () => {
  const pools = fc.record({
    x: fc.tuple(size(1, 3), size(1, 7), size(1, 7), size(1, 3)),
    filterSize: pairs(3),
    strides: pairs(3),
    pad: fc.oneof(fc.constantFrom('same', 'valid'), size(0, 1)),
    includeBatchInIndex: fc.boolean(),
    seed: fc.nat(),
  });
  await fc.assert(
    fc.asyncProperty(pools, async ({ x, seed, ...attrs }) => {
      const { outShape } = backend_util.computePool2DInfo(
        x,
        attrs.filterSize,
        attrs.strides,
        1,
        attrs.pad as 'same',
      );
      fc.pre(outShape[1] > 0 && outShape[2] > 0);
      const call = { kernel: MaxPoolWithArgmax, inputs: { x: randomArray(seed, x) }, attrs };
      const [largest, positions] = await runKernelForAll(reference, call);
      // The reference forgets the class of their array.
      const whole = { ...positions, data: Int32Array.from(positions.data as Float32Array) } as NdArray;
      expectSame(await runKernelForAll(ours, call), [largest, whole], { op: 'exact' });
    }),
  );
});
