import { type DataType, type TensorInfo, util } from '@tensorflow/tfjs-core';
import type { ArenaPlace } from './arena.js';
import type { Slice } from './device.js';
import type { Trace } from './recorder/trace.js';

/** What tfjs's backend keeps of a tensor's data, and what we add. */
export interface Data {
  readonly dtype: DataType;
  readonly shape: number[];
  values: Values;
  refCount: number;
  resource: GPUBuffer | null | undefined;
  /** Whether somebody else frees it. */
  readonly external?: boolean;
  /** Where it lies in an arena, if it does: `resource` is the arena's buffer then. */
  place?: ArenaPlace;
  complexTensorInfos?: { readonly real: TensorInfo; readonly imag: TensorInfo };
  /** The recording that knows it, and its number there. */
  trace?: Trace;
  number?: number;
}

export type DataId = object;
export type Values = Float32Array | Int32Array | Uint8Array | Uint8Array[] | null | undefined;

/** Where a tensor's values lie, as far as they go: tfjs's shaders ask for the length of what is bound. */
export function whole(data: Data): Slice {
  const { place } = data;
  const offset = place ? place.arena.layout.offsets[place.slice] : 0;
  return { buffer: data.resource as GPUBuffer, offset, size: Math.max(4, bytesOf(data)) };
}

/** What a program binds of data: of pixels, tfjs's kernels keep a texture or a video's frame where a buffer is otherwise. */
export function bindingOf(data: Data): GPUBindingResource {
  const resource = data.resource as GPUBuffer | GPUTexture | GPUExternalTexture;
  if (isTexture(resource)) return resource.createView();
  return 'usage' in resource ? whole(data) : resource;
}

// By what it can do: the classes are among the globals of browsers alone.
export function isTexture(resource: object): resource is GPUTexture {
  return 'createView' in resource;
}

/** Bytes of a tensor on the GPU, where a bool takes four. */
export function bytesOf({ shape, dtype }: { readonly shape: number[]; readonly dtype: DataType }): number {
  return util.sizeFromShape(shape) * (dtype === 'complex64' ? 8 : 4);
}

const scratchFloat = new Float32Array(1);
const scratchWord = new Uint32Array(scratchFloat.buffer);

/** The bits of a float32, as a uniform's word. */
export function floatBits(value: number): number {
  scratchFloat[0] = value;
  return scratchWord[0];
}

/** Host values as they lie on the GPU. */
export function rawBytes(values: Float32Array | Int32Array | Uint8Array, dtype: DataType): Uint8Array {
  const wide =
    dtype === 'float32'
      ? values instanceof Float32Array
        ? values
        : Float32Array.from(values)
      : values instanceof Int32Array
        ? values
        : Int32Array.from(values);
  return new Uint8Array(wide.buffer, wide.byteOffset, wide.byteLength);
}

/** Bytes of a tensor from the GPU as host values. */
export function valuesOf(bytes: ArrayBuffer, dtype: DataType): Float32Array | Int32Array | Uint8Array {
  if (dtype === 'float32') return new Float32Array(bytes);
  const integers = new Int32Array(bytes);
  return dtype === 'bool' ? Uint8Array.from(integers) : integers;
}
