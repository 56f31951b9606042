import { forgetTensors } from '@tenon-ml/core';
import { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu';
import {
  type backend_util,
  type DataType,
  type KernelFunc,
  type TensorInfo,
  util,
} from '@tensorflow/tfjs-core';
import { type Block, bytesOf, Entry } from './entry.js';
import type { Engine } from './kernels/kernel.js';
import type { Memory } from './memory.js';
import type { KernelName } from './module/kernels.js';
import type { Kernels } from './module/load.js';
import type { Trace } from './recorder/trace.js';

type Values = backend_util.BackendValues;
type DataId = ReturnType<MathBackendCPU['write']>;
type KernelArguments = Parameters<KernelFunc>[0];

/**
 * One engine: the storage under its tensors, and what kernels of ours run on.
 *
 * It inherits tfjs-backend-cpu's storage, as tfjs demands of what its cpu kernels are to run on, and puts every number
 * into WebAssembly memory. What the original does loosely is strict here:
 *
 * - The array under a tensor has the class of the tensor's dtype, always.
 * - What is written is copied, and so is what is read: blocks are used again.
 * - What a cpu kernel frees stays until the outermost one has ended: some read values after disposing of them.
 * - It knows what lives on it, so that `dispose` can free it.
 * - It doesn't greet on the console.
 */
export class EngineBackend extends MathBackendCPU implements Engine {
  readonly pool: Memory;
  readonly kernels: Kernels;
  /** What is being recorded, if anything. */
  trace: Trace | undefined;

  readonly #live = new Set<Entry>();
  /** How many kernels in JavaScript are running, one inside another. */
  #hostDepth = 0;
  #freedInside: Entry[] = [];
  /** How many kernels of ours are running, one inside another, and what they have taken. */
  #depth = 0;
  readonly #scratch: Entry[] = [];
  readonly #allocated: Entry[] = [];
  #workspace: Entry | undefined;
  #words: Int32Array;
  #wordsEntry: Entry;

  constructor(pool: Memory, kernels: Kernels) {
    super();
    (this as unknown as { firstUse: boolean }).firstUse = false;
    this.pool = pool;
    this.kernels = kernels;
    this.#wordsEntry = this.take(4096 * 4, 'int32');
    this.#words = this.#wordsEntry.values as Int32Array;
  }

  // --- What kernels of ours use.

  block(tensor: TensorInfo): Entry {
    const id = tensor.dataId;
    if (id instanceof Entry && id.live && id.owner === this) return id;
    // It came from another backend: tfjs moves it here.
    return this.data.get(id) as unknown as Entry;
  }

  allocate(shape: readonly number[], dtype: DataType): TensorInfo {
    const entry = this.takeLive(bytesOf(util.sizeFromShape(shape as number[]), dtype), dtype);
    if (this.#depth > 0) this.#allocated.push(entry);
    return { dataId: entry, shape: shape as number[], dtype };
  }

  scratch(bytes: number): Block {
    const entry = this.take(bytes, 'float32');
    this.trace?.meet(entry, 'value');
    this.#scratch.push(entry);
    return entry;
  }

  alias(tensor: TensorInfo, shape: readonly number[], dtype: DataType = tensor.dtype): TensorInfo {
    this.incRef(tensor.dataId);
    return { dataId: tensor.dataId, shape: shape as number[], dtype };
  }

  holds(tensor: TensorInfo, least: number, most: number): boolean {
    const values = this.block(tensor).values as Int32Array;
    for (let i = 0; i < values.length; i++) if (values[i] < least || values[i] > most) return false;
    return true;
  }

  launch(
    kernel: KernelName,
    parts: number,
    inputs: readonly (Block | null)[],
    outputs: readonly Block[],
    integers: readonly number[],
  ): void {
    if (parts <= 0) return;
    const count = inputs.length + outputs.length + integers.length;
    if (count > this.#words.length) this.#growWords(count);
    const words = this.#words;
    let at = 0;
    for (let i = 0; i < inputs.length; i++) words[at++] = inputs[i]?.pointer ?? 0;
    for (let i = 0; i < outputs.length; i++) words[at++] = outputs[i].pointer;
    for (let i = 0; i < integers.length; i++) words[at++] = integers[i];
    this.kernels.functions[kernel](this.#wordsEntry.pointer, 0, parts);
    this.trace?.launch(kernel, parts, inputs as (Entry | null)[], outputs as Entry[], integers);
  }

  /** Before a kernel of ours runs; what it returns goes to `leave`. */
  enter(): number {
    this.#depth++;
    return this.#scratch.length;
  }

  /** After it: frees its scratch, and what it has allocated if it threw or gave up. */
  leave(mark: number, failed: boolean): void {
    this.#depth--;
    while (this.#scratch.length > mark) this.release(this.#scratch.pop() as Entry);
    if (failed) for (const entry of this.#allocated) this.disposeData(entry.id, true);
    if (failed || this.#depth === 0) this.#allocated.length = 0;
  }

  /** Runs a kernel in JavaScript; while recording, it is a command of its own. */
  runHostKernel(
    kernelName: string,
    kernelFunc: KernelFunc,
    call: KernelArguments,
  ): TensorInfo | TensorInfo[] {
    const outermost = this.#hostDepth === 0;
    this.#hostDepth++;
    let result: TensorInfo | TensorInfo[];
    try {
      result = kernelFunc(call);
    } finally {
      this.#hostDepth--;
      if (outermost) {
        for (const entry of this.#freedInside) this.release(entry);
        this.#freedInside = [];
      }
    }
    if (outermost) this.trace?.host(kernelName, kernelFunc, call, result);
    return result;
  }

  // --- Blocks.

  /** A block that is nobody's tensor. */
  take(bytes: number, dtype: DataType): Entry {
    return new Entry(this, this.pool.allocate(bytes), bytes, dtype);
  }

  /** Gives a block back. */
  release(entry: Entry): void {
    this.pool.free(entry.pointer, entry.bytes);
    entry.live = false;
  }

  /** A block with the standing of a tensor's data. */
  takeLive(bytes: number, dtype: DataType): Entry {
    const entry = this.take(bytes, dtype);
    this.#register(entry, entry);
    this.trace?.meet(entry, 'value');
    return entry;
  }

  /** The block that recorded calls work in, of at least `bytes`: its pointer. Its contents don't outlive a call. */
  workspace(bytes: number): number {
    if (!this.#workspace || this.#workspace.bytes < bytes) {
      if (this.#workspace) this.release(this.#workspace);
      this.#workspace = undefined;
      this.#workspace = this.take(bytes, 'float32');
    }
    return this.#workspace.pointer;
  }

  #register(id: DataId, entry: Entry): void {
    entry.id = id;
    this.data.set(id, entry as never);
    this.#live.add(entry);
  }

  #growWords(count: number): void {
    const entry = this.take(2 * count * 4, 'int32');
    this.release(this.#wordsEntry);
    this.#wordsEntry = entry;
    this.#words = entry.values as Int32Array;
  }

  // --- What tfjs uses.

  override write(values: Values, shape: number[], dtype: DataType): DataId {
    const entry = this.#entryOf(values, shape, dtype);
    this.#register(entry, entry);
    return entry;
  }

  override move(dataId: DataId, values: Values, shape: number[], dtype: DataType, refCount: number): void {
    const entry = this.#entryOf(values, shape, dtype);
    entry.refCount = refCount;
    this.#register(dataId, entry);
  }

  #entryOf(values: Values, shape: readonly number[], dtype: DataType): Entry {
    const numbers = dtype !== 'string' && dtype !== 'complex64';
    if (!numbers) {
      const entry = new Entry(this, 0, 0, dtype);
      entry.values = values;
      this.trace?.unrecordable(`it makes a tensor of ${dtype}`);
      return entry;
    }
    const entry = this.take(bytesOf(values?.length ?? util.sizeFromShape(shape as number[]), dtype), dtype);
    entry.values = values;
    // What a cpu kernel writes is a result; anything else is a constant of the step.
    this.trace?.meet(entry, this.#hostDepth > 0 ? 'value' : 'constant');
    return entry;
  }

  override readSync(dataId: DataId): Values {
    if (this.#hostDepth === 0) this.trace?.unrecordable('it reads values inside');
    const values = super.readSync(dataId);
    const { buffer } = values as Float32Array;
    // Strings and complex values are arrays of their own already. What is in memory is shared; a page that isn't
    // cross-origin isolated has such buffers, but no SharedArrayBuffer to compare them with.
    return buffer === undefined || buffer instanceof ArrayBuffer
      ? values
      : ((values as Float32Array).slice() as Values);
  }

  override disposeData(dataId: DataId, force = false): boolean {
    if (!this.data.has(dataId)) return true;
    const entry = this.data.get(dataId) as unknown as Entry;
    const freed = super.disposeData(dataId, force);
    if (freed) this.#forget(entry);
    return freed;
  }

  #forget(entry: Entry): void {
    if (!this.#live.delete(entry)) return;
    if (entry.dtype === 'string' || entry.dtype === 'complex64') entry.live = false;
    else if (this.#hostDepth > 0) this.#freedInside.push(entry);
    else this.release(entry);
  }

  override memory(): { unreliable: boolean; reasons: string[] } {
    return { unreliable: false, reasons: [] };
  }

  /** Frees everything, and takes it out of tfjs's books: tensors that are left have no values any more. */
  override dispose(): void {
    forgetTensors(
      this,
      [...this.#live].map(({ id }) => id),
    );
    for (const entry of this.#live) {
      this.data.delete(entry.id);
      entry.live = false;
    }
    this.#live.clear();
  }
}
