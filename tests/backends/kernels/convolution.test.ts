import {
  backend_util,
  Conv2D,
  Conv2DBackpropFilter,
  Conv2DBackpropInput,
  FusedConv2D,
} from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { expectSameBits, inPieces, mostParts } from './parts.js';
import { backendPair, expectAgreement, randomArray, runKernel } from './reference.js';

const { ours, reference } = backendPair();

type Shape4 = [number, number, number, number];
type Pad = 'same' | 'valid' | number | [[0, 0], [number, number], [number, number], [0, 0]];

interface Convolution {
  readonly x: Shape4;
  readonly filter: Shape4;
  readonly strides: [number, number];
  readonly dilations: [number, number];
  readonly pad: Pad;
  readonly seed: number;
}

const small = fc.integer({ min: 0, max: 2 });

function convolutions(dilated: boolean): fc.Arbitrary<Convolution> {
  const one = fc.constant(1);
  const dilation = dilated ? fc.integer({ min: 1, max: 3 }) : one;
  return fc
    .record({
      batch: fc.integer({ min: 0, max: 3 }),
      height: fc.integer({ min: 1, max: 9 }),
      width: fc.integer({ min: 1, max: 9 }),
      inputs: fc.integer({ min: 0, max: 5 }),
      outputs: fc.integer({ min: 0, max: 6 }),
      kernel: fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 })),
      strides: fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 })),
      dilations: fc.tuple(dilation, dilation),
      pad: fc.oneof(
        fc.constantFrom<Pad>('same', 'valid'),
        small,
        fc.tuple(small, small, small, small).map(
          ([a, b, c, d]): Pad => [
            [0, 0],
            [a, b],
            [c, d],
            [0, 0],
          ],
        ),
      ),
      seed: fc.nat(),
    })
    .map(({ batch, height, width, inputs, outputs, kernel, strides, dilations, pad, seed }) => ({
      x: [batch, height, width, inputs] as Shape4,
      filter: [...kernel, inputs, outputs] as Shape4,
      strides,
      dilations,
      pad,
      seed,
    }))
    .filter((convolution) => {
      const [, height, width] = outputShape(convolution);
      return height > 0 && width > 0;
    });
}

function outputShape({ x, filter, strides, dilations, pad }: Convolution): Shape4 {
  return backend_util.computeConv2DInfo(x, filter, strides, dilations, pad).outShape as Shape4;
}

function attributes({ strides, dilations, pad }: Convolution, dataFormat = 'NHWC'): object {
  return { strides, dilations, pad, dataFormat };
}

function termsOf({ filter }: Convolution): number {
  return Math.max(1, filter[0] * filter[1] * filter[2]);
}

test.each([
  { name: 'finite', special: false },
  { name: 'NaN, Inf and denormals', special: true },
])('Conv2D is the reference: $name', ({ special }) => {
  fc.assert(
    fc.property(convolutions(true), (convolution) => {
      const call = {
        kernel: Conv2D,
        inputs: {
          x: randomArray(convolution.seed, convolution.x, special),
          filter: randomArray(convolution.seed + 1, convolution.filter),
        },
        attrs: attributes(convolution),
      };
      const options = { op: 'product', reduction: termsOf(convolution) } as const;
      expectAgreement(runKernel(ours, call), runKernel(reference, call), options);
    }),
  );
});

test('Conv2D with NaN and Inf in the kernel: NaN at the padding, the reference elsewhere', () => {
  fc.assert(
    fc.property(convolutions(true), (convolution) => {
      const call = {
        kernel: Conv2D,
        inputs: {
          x: randomArray(convolution.seed, convolution.x),
          filter: randomArray(convolution.seed + 1, convolution.filter, true),
        },
        attrs: attributes(convolution),
      };
      const moreNaN = convolution.pad !== 'valid';
      const options = { op: 'product', reduction: termsOf(convolution), moreNaN } as const;
      expectAgreement(runKernel(ours, call), runKernel(reference, call), options);
    }),
  );
});

test.each([
  { name: 'finite', special: false },
  { name: 'NaN, Inf and denormals in x', special: true },
])('Conv2DBackpropFilter is the reference: $name', ({ special }) => {
  fc.assert(
    fc.property(convolutions(false), (convolution) => {
      const dy = outputShape(convolution);
      const call = {
        kernel: Conv2DBackpropFilter,
        inputs: {
          x: randomArray(convolution.seed, convolution.x, special),
          dy: randomArray(convolution.seed + 1, dy),
        },
        attrs: { ...attributes(convolution), filterShape: convolution.filter },
      };
      const options = { op: 'product', reduction: Math.max(1, dy[0] * dy[1] * dy[2]) } as const;
      expectAgreement(runKernel(ours, call), runKernel(reference, call), options);
    }),
  );
});

test('Conv2DBackpropFilter with NaN and Inf in dy: NaN at the padding, the reference elsewhere', () => {
  fc.assert(
    fc.property(convolutions(false), (convolution) => {
      const dy = outputShape(convolution);
      const call = {
        kernel: Conv2DBackpropFilter,
        inputs: {
          x: randomArray(convolution.seed, convolution.x),
          dy: randomArray(convolution.seed + 1, dy, true),
        },
        attrs: { ...attributes(convolution), filterShape: convolution.filter },
      };
      const moreNaN = convolution.pad !== 'valid';
      const options = { op: 'product', reduction: Math.max(1, dy[0] * dy[1] * dy[2]), moreNaN } as const;
      expectAgreement(runKernel(ours, call), runKernel(reference, call), options);
    }),
  );
});

test.each([
  { name: 'finite', special: false },
  { name: 'NaN, Inf and denormals', special: true },
])('Conv2DBackpropInput is the reference: $name', ({ special }) => {
  fc.assert(
    fc.property(convolutions(false), (convolution) => {
      const call = {
        kernel: Conv2DBackpropInput,
        inputs: {
          dy: randomArray(convolution.seed, outputShape(convolution), special),
          filter: randomArray(convolution.seed + 1, convolution.filter, special),
        },
        attrs: { ...attributes(convolution), inputShape: convolution.x },
      };
      const [height, width, , outputs] = convolution.filter;
      const options = { op: 'product', reduction: Math.max(1, height * width * outputs) } as const;
      expectAgreement(runKernel(ours, call), runKernel(reference, call), options);
    }),
  );
});

/** Larger than what passes at a time: several blocks and chunks of positions, rows of the window apart, whole images. */
const large: (Omit<Convolution, 'seed' | 'dilations'> & { readonly name: string })[] = [
  { name: 'blocks of lines', x: [2, 30, 30, 12], filter: [5, 5, 12, 10], strides: [1, 1], pad: 'same' },
  {
    name: 'windows of more than a cache',
    x: [1, 9, 9, 160],
    filter: [3, 3, 160, 9],
    strides: [2, 1],
    pad: 'same',
  },
  { name: 'whole images', x: [40, 6, 5, 8], filter: [3, 3, 8, 16], strides: [1, 1], pad: 'valid' },
  { name: '1 × 1, stride 2', x: [3, 20, 20, 16], filter: [1, 1, 16, 24], strides: [2, 2], pad: 'valid' },
  { name: '1 × 1', x: [3, 20, 20, 16], filter: [1, 1, 16, 24], strides: [1, 1], pad: 'valid' },
];

test.each(large)('$name: the reference, and the same bits in pieces', ({ x, filter, strides, pad }) => {
  const convolution = { x, filter, strides, dilations: [1, 1] as [number, number], pad, seed: 0 };
  const output = outputShape(convolution);
  const inputs = { x: randomArray(1, x), filter: randomArray(2, filter), dy: randomArray(3, output) };
  const attrs = attributes(convolution);
  const calls = [
    {
      kernel: Conv2D,
      inputs: { x: inputs.x, filter: inputs.filter },
      attrs,
      reduction: termsOf(convolution),
    },
    {
      kernel: Conv2DBackpropFilter,
      inputs: { x: inputs.x, dy: inputs.dy },
      attrs: { ...attrs, filterShape: filter },
      reduction: output[0] * output[1] * output[2],
    },
    {
      kernel: Conv2DBackpropInput,
      inputs: { dy: inputs.dy, filter: inputs.filter },
      attrs: { ...attrs, inputShape: x },
      reduction: filter[0] * filter[1] * filter[3],
    },
  ];
  let most = 0;
  for (const { reduction, ...call } of calls) {
    const result = runKernel(ours, call);
    expectAgreement(result, runKernel(reference, call), { op: 'product', reduction });
    most = Math.max(
      most,
      mostParts(ours, () => runKernel(ours, call)),
    );
    expectSameBits(
      inPieces(ours, 1, () => runKernel(ours, call)),
      result,
    );
  }
  expect(most).toBeGreaterThan(1);
});

test.each(['NHWC', 'NCHW'])('FusedConv2D gives the bits of its parts: %s', (dataFormat) => {
  const activation = fc.constantFrom(
    'linear',
    'relu',
    'relu6',
    'elu',
    'sigmoid',
    'leakyrelu',
    'prelu',
    undefined,
  );
  fc.assert(
    fc.property(convolutions(false), activation, fc.boolean(), (convolution, name, biased) => {
      fc.pre(convolution.x[3] > 0 && convolution.filter[3] > 0 && convolution.x[0] > 0);
      if (dataFormat === 'NCHW') fc.pre(typeof convolution.pad !== 'object' && name !== 'prelu');
      const [batch, height, width, channels] = convolution.x;
      const shape = dataFormat === 'NCHW' ? [batch, channels, height, width] : convolution.x;
      const inputs = {
        x: randomArray(convolution.seed, shape),
        filter: randomArray(convolution.seed + 1, convolution.filter),
      };
      const outputs = convolution.filter[3];
      const bias = biased ? { bias: randomArray(convolution.seed + 2, [outputs]) } : {};
      const alpha =
        name === 'prelu' ? { preluActivationWeights: randomArray(convolution.seed + 3, [outputs]) } : {};
      const attrs = attributes(convolution, dataFormat);
      const fused = {
        kernel: FusedConv2D,
        inputs: { ...inputs, ...bias, ...alpha },
        attrs: { ...attrs, activation: name, leakyreluAlpha: 0.3 },
      };
      const result = runKernel(ours, fused);
      expectAgreement(result, runKernel(reference, fused), {
        op: 'product',
        reduction: termsOf(convolution),
      });
      if (!biased && (name === 'linear' || name === undefined)) {
        expect(result).toEqual(runKernel(ours, { kernel: Conv2D, inputs, attrs }));
      }
    }),
  );
});
