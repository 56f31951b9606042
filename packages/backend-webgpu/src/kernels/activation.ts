import { EluGrad, type TensorInfo } from '@tensorflow/tfjs-core';
import type { GpuBackend } from '../gpu_backend.js';
import { f32Literal } from '../prelude.js';
import { defineKernel, type Kernel } from './kernel.js';

interface GeluAttrs {
  readonly approximate: boolean;
}

/** Elementwise work on dy, `$0`, and the function's input or output, `$1`. */
function derivative(gpu: GpuBackend, dy: TensorInfo, x: TensorInfo, code: string): TensorInfo {
  return gpu.map(x.shape, 'float32', [{ tensor: dy }, { tensor: x }], code);
}

/** A derivative that is computed from the output, as a primitive of core: a list of one. */
function fromOutput(kernelName: string, code: string): Kernel {
  return defineKernel(kernelName, ({ inputs: { dy, y }, gpu }) => [derivative(gpu, dy, y, code)]);
}

const eluGrad = defineKernel(EluGrad, ({ inputs: { dy, y }, gpu }) => {
  if (dy.dtype !== 'float32' || y.dtype !== 'float32') return undefined;
  return derivative(gpu, dy, y, '$0 * select($1 + 1f, 1f, $1 >= 0f && !isNan($1))');
});

const ROOT_HALF = f32Literal(Math.SQRT1_2);
const TANH_SCALE = f32Literal(Math.sqrt(2 / Math.PI));
const TANH_CUBIC = 0.044715;
/** tanh(√(2/π) · (x + 0.044715·x³)). */
const BENT = (x: string): string =>
  `hyperbolicTangent(${TANH_SCALE} * ${x} * (1f + ${f32Literal(TANH_CUBIC)} * ${x} * ${x}))`;

/** x · Φ(x), or its approximation by tanh. */
const gelu = defineKernel<GeluAttrs>('Gelu', ({ inputs: { x }, attrs, gpu }) => {
  const share = attrs.approximate ? BENT('$0') : `errorFunction(${ROOT_HALF} * $0)`;
  return gpu.map(x.shape, 'float32', [{ tensor: x }], `0.5f * $0 * (1f + ${share})`);
});

/** dy · gelu′(x): see `geluGradDefinition` of core. */
const geluGrad = defineKernel<GeluAttrs>('GeluGrad', ({ inputs: { dy, x }, attrs: { approximate }, gpu }) => {
  const operands = [{ tensor: dy }, { tensor: x }];
  const density = f32Literal(1 / Math.sqrt(2 * Math.PI));
  const nodes = approximate
    ? [
        { code: BENT('$0'), element: 'f32' as const, args: [-2] },
        {
          code: `${TANH_SCALE} * (1f + ${f32Literal(3 * TANH_CUBIC)} * $0 * $0)`,
          element: 'f32' as const,
          args: [-2],
        },
        {
          code: '$0 * 0.5f * (1f + $2 + $1 * (1f - $2 * $2) * $3)',
          element: 'f32' as const,
          args: [-1, -2, 0, 1],
        },
      ]
    : [
        { code: `0.5f * (1f + errorFunction(${ROOT_HALF} * $0))`, element: 'f32' as const, args: [-2] },
        { code: `$0 * ${density} * exponential(-0.5f * $0 * $0)`, element: 'f32' as const, args: [-2] },
        { code: '$0 * ($1 + $2)', element: 'f32' as const, args: [-1, 0, 1] },
      ];
  return gpu.mapAll(x.shape, operands, nodes, [{ node: 2, dtype: 'float32' }]);
});

export const activationKernels: readonly Kernel[] = [
  fromOutput('ReluGrad', '$0 * select(select(0f, 1f, $1 > 0f), nan(), isNan($1))'),
  fromOutput('SigmoidGrad', '$0 * ($1 * (1f - $1))'),
  fromOutput('TanhGrad', '$0 * (1f - $1 * $1)'),
  eluGrad,
  gelu,
  geluGrad,
];
