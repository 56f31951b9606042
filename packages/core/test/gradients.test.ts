import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import {
  add,
  avgPool,
  conv2d,
  engine,
  getGradient,
  logSoftmax,
  matMul,
  maxPool,
  memory,
  mul,
  relu,
  type Scalar,
  setBackend,
  softmax,
  sum,
  type Tensor,
  type Tensor2D,
  type Tensor4D,
  tensor,
  grads as tfGrads,
  tidy,
} from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { beforeAll, describe, expect, it } from 'vitest';
import '../src/gradients.js';

const dist = dirname(
  createRequire(import.meta.url).resolve('@tensorflow/tfjs-core/dist/register_all_gradients.js'),
);

/** The kernels whose gradient the installed tfjs-core registers, read from its own files. */
function kernelsWithGradients(): string[] {
  const entry = readFileSync(join(dist, 'register_all_gradients.js'), 'utf8');
  const constants = new Map(
    [...readFileSync(join(dist, 'kernel_names.js'), 'utf8').matchAll(/export const (\w+) = '(\w+)';/g)].map(
      ([, name, value]) => [name, value],
    ),
  );
  return [...entry.matchAll(/from '\.\/(gradients\/\w+)';/g)].map(([, file]) => {
    const constant = /kernelName: (\w+)/.exec(readFileSync(join(dist, `${file}.js`), 'utf8'))?.[1];
    return constants.get(constant ?? '') ?? `(no kernel name in ${file})`;
  });
}

function values(shape: readonly number[], scale: number, offset: number): Tensor {
  const size = shape.reduce((product, n) => product * n, 1);
  return tensor(
    Float32Array.from({ length: size }, (_, i) => Math.sin(i * 2.3 + offset) * scale),
    [...shape],
  );
}

/** Every partial derivative against a central difference; the weights make every output count differently. */
function checkGradients(f: (...inputs: Tensor[]) => Tensor, ...shapes: (readonly number[])[]): void {
  tidy(() => {
    const inputs = shapes.map((shape, i) => values(shape, 0.8, i + 0.5));
    const weights = values(f(...inputs).shape, 1, 7);
    const scalar = (...xs: Tensor[]): Scalar => sum(mul(f(...xs), weights));
    const gradients = tfGrads(scalar)(inputs);
    const step = 1 / 64;
    inputs.forEach((input, which) => {
      const data = input.dataSync();
      const analytic = gradients[which]!.dataSync();
      expect(gradients[which]!.shape).toEqual(input.shape);
      for (let i = 0; i < data.length; i++) {
        const at = (delta: number): number => {
          const moved = Float32Array.from(data);
          moved[i]! += delta;
          const xs = inputs.map((x, j) => (j === which ? tensor(moved, input.shape) : x));
          return scalar(...xs).dataSync()[0]!;
        };
        expect(Math.abs(analytic[i]! - (at(step) - at(-step)) / (2 * step))).toBeLessThan(2e-3);
      }
    });
  });
}

beforeAll(async () => {
  await setBackend('cpu');
});

describe('gradients', () => {
  const kernels = kernelsWithGradients();

  it('reads the list of tfjs', () => {
    expect(kernels.length).toBeGreaterThan(95);
    expect(kernels).toContain('Conv2D');
  });

  it.each(kernels)('registers %s', (kernel) => {
    expect(getGradient(kernel)).toBeDefined();
  });

  it('shares one engine with the package', () => {
    expect((globalThis as unknown as { _tfengine: unknown })._tfengine).toBe(engine());
  });

  it('differentiates what networks are made of', () => {
    const before = memory().numTensors;
    checkGradients(
      (x, w) => conv2d(x as Tensor4D, w as Tensor4D, [2, 1], 'same'),
      [2, 5, 4, 2],
      [3, 3, 2, 3],
    );
    // Far apart, so that no step of the central difference changes which element is the largest.
    const apart = tensor(
      Array.from({ length: 32 }, (_, i) => 2.5 * ((i * 13) % 32)),
      [1, 4, 4, 2],
    );
    checkGradients((x) => maxPool(add(x, apart) as Tensor4D, 2, 2, 'valid'), [1, 4, 4, 2]);
    apart.dispose();
    // 'valid': at padded borders tfjs's own average-pool gradient divides by the window, not by what is in it.
    checkGradients((x) => avgPool(x as Tensor4D, 2, 1, 'valid'), [1, 3, 3, 2]);
    checkGradients((x, w) => softmax(matMul(x as Tensor2D, w as Tensor2D)), [3, 4], [4, 5]);
    checkGradients((x) => logSoftmax(x), [2, 5]);
    checkGradients((x) => relu(x), [2, 3]);
    expect(memory().numTensors).toBe(before);
  });
});
