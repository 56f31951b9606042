import { Conv2D, Conv2DBackpropFilter, Conv2DBackpropInput, FusedConv2D } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { test } from 'vitest';
import { testedName } from '../../hosts/tested_backend.js';
import {
  attributes,
  type Convolution,
  large,
  largeCalls,
  outputShape,
  type Pad,
  type Shape4,
  termsOf,
} from './convolution_cases.js';
import { backendPair, expectAgreement, expectSame, randomArray, runKernel } from './reference.js';

const { ours, reference } = backendPair();

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

test.each([
  { name: 'finite', special: false },
  { name: 'NaN, Inf and denormals', special: true },
])('Conv2D is the reference: $name', async ({ special }) => {
  await fc.assert(
    fc.asyncProperty(convolutions(true), async (convolution) => {
      const call = {
        kernel: Conv2D,
        inputs: {
          x: randomArray(convolution.seed, convolution.x, special),
          filter: randomArray(convolution.seed + 1, convolution.filter),
        },
        attrs: attributes(convolution),
      };
      const options = { op: 'product', reduction: termsOf(convolution) } as const;
      expectAgreement(await runKernel(ours, call), await runKernel(reference, call), options);
    }),
  );
});

test('Conv2D with NaN and Inf in the kernel: NaN at the padding, the reference elsewhere', async () => {
  await fc.assert(
    fc.asyncProperty(convolutions(true), async (convolution) => {
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
      expectAgreement(await runKernel(ours, call), await runKernel(reference, call), options);
    }),
  );
});

test.each([
  { name: 'finite', special: false },
  { name: 'NaN, Inf and denormals in x', special: true },
])('Conv2DBackpropFilter is the reference: $name', async ({ special }) => {
  await fc.assert(
    fc.asyncProperty(convolutions(false), async (convolution) => {
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
      expectAgreement(await runKernel(ours, call), await runKernel(reference, call), options);
    }),
  );
});

test('Conv2DBackpropFilter with NaN and Inf in dy: NaN at the padding, the reference elsewhere', async () => {
  await fc.assert(
    fc.asyncProperty(convolutions(false), async (convolution) => {
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
      expectAgreement(await runKernel(ours, call), await runKernel(reference, call), options);
    }),
  );
});

test.each([
  { name: 'finite', special: false },
  { name: 'NaN, Inf and denormals', special: true },
])('Conv2DBackpropInput is the reference: $name', async ({ special }) => {
  await fc.assert(
    fc.asyncProperty(convolutions(false), async (convolution) => {
      const call = {
        kernel: Conv2DBackpropInput,
        inputs: {
          dy: randomArray(convolution.seed, outputShape(convolution), special),
          filter: randomArray(convolution.seed + 1, convolution.filter, special),
        },
        attrs: { ...attributes(convolution), inputShape: convolution.x },
      };
      const [height, width, , outputs] = convolution.filter;
      // oneDNN, TensorFlow's on processors, multiplies the kernel by zeros where no window is.
      const moreNaN = testedName === 'cuda' && special;
      const options = { op: 'product', reduction: Math.max(1, height * width * outputs), moreNaN } as const;
      expectAgreement(await runKernel(ours, call), await runKernel(reference, call), options);
    }),
  );
});

test.each(large)('$name: the reference', async (convolution) => {
  for (const { reduction, ...call } of largeCalls(convolution)) {
    const result = await runKernel(ours, call);
    expectAgreement(result, await runKernel(reference, call), { op: 'product', reduction });
  }
});

test.each(['NHWC', 'NCHW'])('FusedConv2D gives what its parts give: %s', async (dataFormat) => {
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
  await fc.assert(
    fc.asyncProperty(convolutions(false), activation, fc.boolean(), async (convolution, name, biased) => {
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
      const result = await runKernel(ours, fused);
      const options = { op: 'product', reduction: termsOf(convolution) } as const;
      expectAgreement(result, await runKernel(reference, fused), options);
      if (!biased && (name === 'linear' || name === undefined)) {
        expectSame(result, await runKernel(ours, { kernel: Conv2D, inputs, attrs }), options);
      }
    }),
  );
});

test('NCHW: Conv2D and its gradients are the reference', async () => {
  const turned = ([batch, height, width, channels]: readonly number[]) => [batch, channels, height, width];
  await fc.assert(
    fc.asyncProperty(convolutions(false), async (convolution) => {
      fc.pre(typeof convolution.pad !== 'object');
      const { seed, filter } = convolution;
      const x = turned(convolution.x);
      const output = outputShape(convolution);
      const attrs = attributes(convolution, 'NCHW');
      const images = randomArray(seed, x);
      const kernel = randomArray(seed + 1, filter);
      const dy = randomArray(seed + 2, turned(output));
      const calls = [
        { kernel: Conv2D, inputs: { x: images, filter: kernel }, attrs, reduction: termsOf(convolution) },
        {
          kernel: Conv2DBackpropFilter,
          inputs: { x: images, dy },
          attrs: { ...attrs, filterShape: filter },
          reduction: output[0] * output[1] * output[2],
        },
        {
          kernel: Conv2DBackpropInput,
          inputs: { dy, filter: kernel },
          attrs: { ...attrs, inputShape: x },
          reduction: filter[0] * filter[1] * filter[3],
        },
      ];
      for (const { reduction, ...call } of calls) {
        const options = { op: 'product', reduction: Math.max(1, reduction) } as const;
        expectAgreement(await runKernel(ours, call), await runKernel(reference, call), options);
      }
    }),
  );
});
