import { EluGrad, type TensorInfo, util } from '@tensorflow/tfjs-core';
import type { KernelName } from '../module/kernels.js';
import { HEAVY, LIGHT } from './elementwise.js';
import { defineKernel, type Engine, type Kernel } from './kernel.js';

interface GeluAttrs {
  readonly approximate: boolean;
}

/** Runs a derivative: dy, and the function's input or output, of one shape. */
function derivative(
  engine: Engine,
  kernel: KernelName,
  dy: TensorInfo,
  x: TensorInfo,
  chunk: number,
): TensorInfo | undefined {
  if (dy.dtype !== 'float32' || x.dtype !== 'float32') return undefined;
  const out = engine.allocate(x.shape, 'float32');
  const size = util.sizeFromShape(x.shape);
  engine.launch(
    kernel,
    Math.ceil(size / chunk),
    [engine.block(dy), engine.block(x)],
    [engine.block(out)],
    [size, chunk],
  );
  return out;
}

/** A derivative that is computed from the output, as a primitive of core: a list of one. */
function fromOutput(kernelName: string, kernel: KernelName): Kernel {
  return defineKernel(kernelName, ({ inputs: { dy, y }, engine }) => {
    const dx = derivative(engine, kernel, dy, y, LIGHT);
    return dx && [dx];
  });
}

const eluGrad = defineKernel(EluGrad, ({ inputs: { dy, y }, engine }) =>
  derivative(engine, 'eluGrad', dy, y, LIGHT),
);

/** x · Φ(x), or its approximation by tanh. */
const gelu = defineKernel<GeluAttrs>('Gelu', ({ inputs: { x }, attrs, engine }) => {
  if (x.dtype !== 'float32') return undefined;
  const out = engine.allocate(x.shape, 'float32');
  const size = util.sizeFromShape(x.shape);
  const kernel = attrs.approximate ? 'geluTanh' : 'gelu';
  engine.launch(kernel, Math.ceil(size / HEAVY), [engine.block(x)], [engine.block(out)], [size, HEAVY]);
  return out;
});

const geluGrad = defineKernel<GeluAttrs>('GeluGrad', ({ inputs: { dy, x }, attrs, engine }) => {
  const dx = derivative(engine, attrs.approximate ? 'geluTanhGrad' : 'geluGrad', dy, x, HEAVY);
  return dx && [dx];
});

export const activationKernels: readonly Kernel[] = [
  fromOutput('ReluGrad', 'reluGrad'),
  fromOutput('SigmoidGrad', 'sigmoidGrad'),
  fromOutput('TanhGrad', 'tanhGrad'),
  eluGrad,
  gelu,
  geluGrad,
];
