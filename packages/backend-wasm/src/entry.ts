import type { backend_util, DataType, TensorInfo } from '@tensorflow/tfjs-core';
import type { EngineBackend } from './engine_backend.js';
import type { Memory } from './memory.js';

type Values = backend_util.BackendValues;

/** Where something lies in the engine's memory. */
export interface Block {
  readonly pointer: number;
  readonly bytes: number;
}

/**
 * The data of a tensor, or a kernel's scratch: a block, and what tfjs-backend-cpu's kernels look for in its place.
 *
 * It is also its own data id: a kernel of ours comes from a tensor to its block without looking anything up.
 */
export class Entry implements Block {
  pointer: number;
  readonly bytes: number;
  readonly dtype: DataType;
  /** How many tensors share it. */
  refCount = 1;
  /** Set on complex tensors, which are two others. */
  complexTensorInfos?: { real: TensorInfo; imag: TensorInfo };
  /** Its key in tfjs's books: itself, but where the tensor came from another backend. */
  id: object = this;
  /** Whether the block is still its own. */
  live = true;
  /** The trace that has seen it last, and its number in it. */
  trace: object | undefined = undefined;
  number = -1;

  /** Whose it is. */
  readonly owner: EngineBackend;
  /** Strings, which have no block. */
  #strings: Values | undefined;
  #view: Values | undefined;

  constructor(owner: EngineBackend, pointer: number, bytes: number, dtype: DataType) {
    this.owner = owner;
    this.pointer = pointer;
    this.bytes = bytes;
    this.dtype = dtype;
  }

  /** Makes it stand for another place in memory. */
  moveTo(pointer: number): void {
    this.pointer = pointer;
    this.#view = undefined;
  }

  /** The values as tfjs-backend-cpu's kernels want them: a view of the block, in the class of the dtype. */
  get values(): Values | undefined {
    if (this.#strings) return this.#strings;
    if (this.dtype === 'complex64' || this.dtype === 'string') return undefined;
    this.#view ??= viewOf(this.owner.pool, this.pointer, this.bytes, this.dtype);
    return this.#view;
  }

  set values(values: Values | undefined) {
    if (this.dtype === 'complex64') return;
    if (this.dtype === 'string') this.#strings = values;
    else if (values) (this.values as Float32Array).set(values as Float32Array);
  }
}

/** The class of array for a dtype, over a block. Of four bytes an element, but for bool. */
export function viewOf(memory: Memory, pointer: number, bytes: number, dtype: DataType): Values {
  const { buffer } = memory.memory;
  if (dtype === 'int32') return new Int32Array(buffer, pointer, bytes / 4);
  if (dtype === 'bool') return new Uint8Array(buffer, pointer, bytes);
  return new Float32Array(buffer, pointer, bytes / 4);
}

/** Bytes of so many elements. */
export function bytesOf(size: number, dtype: DataType): number {
  return dtype === 'bool' ? size : size * 4;
}
