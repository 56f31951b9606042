import { Cast, type CastAttrs, type DataType, Relu, Sqrt, Step, type StepAttrs } from '@tensorflow/tfjs-core';
import { defineHostKernel, float32Tensor, float32Values } from './host.js';
import type { Kernel } from './kernel.js';

/** max(0, x); NaN stays NaN. float32, as for the other two; other dtypes go to tfjs-backend-cpu. */
export const relu = elementwiseKernel(Relu, (x, out) => {
  for (let i = 0; i < x.length; i++) out[i] = Math.max(0, x[i]);
});

/** 1 where x > 0, `alpha` where it isn't, NaN where x is NaN: relu's derivative for alpha = 0. */
export const step = elementwiseKernel<StepAttrs>(Step, (x, out, { alpha }) => {
  for (let i = 0; i < x.length; i++) out[i] = x[i] > 0 ? 1 : x[i] <= 0 ? alpha : Number.NaN;
});

/** √x; NaN for x < 0. */
export const sqrt = elementwiseKernel(Sqrt, (x, out) => {
  for (let i = 0; i < x.length; i++) out[i] = Math.sqrt(x[i]);
});

const numeric: ReadonlySet<DataType> = new Set(['float32', 'int32', 'bool']);

/**
 * x as another dtype. Where nothing can be lost (bool to int32, either to float32) the original hands on x's array,
 * so that a float32 tensor reads as bytes, or holds integers that float32 doesn't: here the values are converted,
 * int32 to the nearest float32. The rest goes to tfjs-backend-cpu: to int32 truncates, to bool is x ≠ 0.
 */
export const cast = defineHostKernel<CastAttrs>(Cast, ({ inputs: { x }, attrs: { dtype }, backend }) => {
  const widens = x.dtype === 'bool' ? dtype === 'int32' || dtype === 'float32' : dtype === 'float32';
  if (x.dtype === dtype || !numeric.has(x.dtype) || !widens) return undefined;
  // The storage copies into an array of the right class.
  const { values } = backend.data.get(x.dataId);
  return backend.makeTensorInfo(x.shape, dtype, values);
});

function elementwiseKernel<A extends object>(
  kernelName: string,
  run: (x: Float32Array, out: Float32Array, attrs: A) => void,
): Kernel {
  return defineHostKernel<A>(kernelName, ({ inputs: { x }, attrs, backend }) => {
    if (x.dtype !== 'float32') return undefined;
    const source = float32Values(backend, x);
    const out = new Float32Array(source.length);
    run(source, out, attrs);
    return float32Tensor(backend, x.shape, out);
  });
}
