import type { Tensor } from '@tensorflow/tfjs-core';
import type { NdArray } from './ndarray.js';

// Ops whose reference runs on the host (random masks) see their small inputs through this, without reading them back
// from a device. By data id, so that reshapes and clones of an uploaded argument are found as well.
const uploaded = new WeakMap<object, NdArray>();

/** Remembers a copy of a small value that was uploaded; larger ones aren't inputs of host ops. */
export function rememberHostValue(tensor: Tensor, value: NdArray): void {
  if (value.data.length <= 16) uploaded.set(tensor.dataId, { ...value, data: value.data.slice() } as NdArray);
}

/** The host value that a tensor was uploaded from, or what reading it back gives. */
export function hostValue(tensor: Tensor): NdArray {
  const known = uploaded.get(tensor.dataId);
  if (known) return known;
  const { dtype, shape } = tensor;
  if (dtype === 'int32') return { dtype, shape, data: Int32Array.from(tensor.dataSync()) };
  if (dtype === 'bool') return { dtype, shape, data: Uint8Array.from(tensor.dataSync()) };
  return { dtype: 'float32', shape, data: Float32Array.from(tensor.dataSync()) };
}
