import '@tensorflow/tfjs-backend-cpu';
import { expectClose } from '@tenon-ml/testkit';
import { conv2d, mul, pad, reshape, slice, sum, type Tensor, type Tensor4D } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, test } from 'vitest';
import { compile, createKey, dilatedConv2d, read, tfjsBackend, valueAndGrad } from '../src/index.js';

const backend = tfjsBackend('cpu');
beforeAll(() => backend.init());

type Pads = readonly [number, number, number, number];
type Pair = readonly [number, number];
type Convolution = (x: Tensor, kernel: Tensor) => Tensor;

/** The kernel with zeros between its taps, along one axis: the same convolution without dilation. */
function spread(kernel: Tensor, axis: 0 | 1, step: number): Tensor {
  const { shape } = kernel;
  const split = [...shape.slice(0, axis + 1), 1, ...shape.slice(axis + 1)];
  const room = split.map((_, i): [number, number] => [0, i === axis + 1 ? step - 1 : 0]);
  const merged = shape.map((size, i) => (i === axis ? size * step : size));
  const cut = shape.map((size, i) => (i === axis ? (size - 1) * step + 1 : size));
  return slice(reshape(pad(reshape(kernel, split), room), merged), [0, 0, 0, 0], cut);
}

test('equals the convolution with zeros between the taps, and so do its gradients', () => {
  const size = (most: number): fc.Arbitrary<number> => fc.integer({ min: 1, max: most });
  const pair = (most: number): fc.Arbitrary<Pair> => fc.tuple(size(most), size(most));
  const pads: fc.Arbitrary<Pads> = fc.tuple(fc.nat(2), fc.nat(2), fc.nat(2), fc.nat(2));
  return fc.assert(
    fc.asyncProperty(
      fc.record({ batch: size(2), image: pair(9), taps: pair(3), step: pair(3), channels: pair(3), pads }),
      async ({ batch, image, taps, step, channels, pads: edges }) => {
        const extent = taps.map((count, axis) => (count - 1) * step[axis] + 1);
        const output = [image[0] + edges[0] + edges[1], image[1] + edges[2] + edges[3]].map(
          (length, axis) => length - extent[axis] + 1,
        );
        fc.pre(Math.min(...output) >= 1);

        const ours: Convolution = (x, kernel) => dilatedConv2d(x, kernel, step, edges);
        const plain: Convolution = (x, kernel) => {
          const padded = pad(x, [
            [0, 0],
            [edges[0], edges[1]],
            [edges[2], edges[3]],
            [0, 0],
          ]);
          return conv2d(
            padded as Tensor4D,
            spread(spread(kernel, 0, step[0]), 1, step[1]) as Tensor4D,
            1,
            'valid',
          );
        };
        const run = (f: Convolution) =>
          compile(
            (x: Tensor, kernel: Tensor, cotangent: Tensor) => {
              const { grads, aux } = valueAndGrad(
                (given: { x: Tensor; kernel: Tensor }) => {
                  const y = f(given.x, given.kernel);
                  return [sum(mul(y, cotangent)), y] as const;
                },
                { aux: true },
              )({ x, kernel });
              return { y: aux, ...grads };
            },
            { backend },
          )(
            key.foldIn('x').normal([batch, ...image, channels[0]]),
            key.foldIn('kernel').normal([...taps, ...channels]),
            key.foldIn('cotangent').normal([batch, ...output, channels[1]]),
          );
        const key = createKey(1);
        const [got, wanted] = await Promise.all([read(run(ours)), read(run(plain))]);
        const product = (reduction: number) => ({ op: 'product', reduction }) as const;
        const tapCount = taps[0] * taps[1];
        expectClose(got.y, wanted.y, { ...product(tapCount * channels[0]), name: 'output' });
        expectClose(got.x, wanted.x, { ...product(tapCount * channels[1]), name: 'gradient of x' });
        expectClose(got.kernel, wanted.kernel, {
          ...product(batch * output[0] * output[1]),
          name: 'of the kernel',
        });
      },
    ),
    { numRuns: 60 },
  );
});
