import { TenonError } from '@tenon-ml/core';
import { BufferPool, sizeClass } from './pool.js';

/** Bytes of one buffer that small uploads, and one that uniforms, are gathered in until they are submitted. */
const STAGING_BYTES = 1 << 20;
/** What is larger is written by itself. */
const LARGEST_STAGED = 1 << 16;
/** Dispatches that are encoded before they are sent: the GPU should not wait for the end of a step to begin. */
const BATCH = 48;

// GPUBufferUsage's values: the globals are there in browsers alone.
const MAP_READ = 0x1;
const COPY_SRC = 0x4;
const COPY_DST = 0x8;
const UNIFORM = 0x40;

/** A stretch of a buffer, as WebGPU binds it. */
export interface Slice {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly size: number;
}

/**
 * The GPU, as the kernels see it: buffers that are used again, commands that are gathered and sent in order, uploads and
 * reads in their place among them.
 *
 * Everything happens in the order in which it is asked for. `queue.writeBuffer` would overtake commands that are encoded
 * but not sent, so small uploads and uniforms are gathered on the host, written just before the commands are sent, and
 * copied to their places by these.
 */
export class Device {
  readonly gpu: GPUDevice;
  readonly pool: BufferPool;

  readonly #readers: GPUBuffer[] = [];
  #encoder: GPUCommandEncoder | undefined;
  #pass: GPUComputePassEncoder | undefined;
  #pending = 0;
  readonly #uploads: Staging;
  readonly #uniforms: Staging;
  #lost: TenonError | undefined;
  #failure: TenonError | undefined;
  #disposed = false;
  #flushAsked = false;

  constructor(gpu: GPUDevice) {
    this.gpu = gpu;
    this.pool = new BufferPool(gpu, () => {
      if (!this.#disposed) this.submit();
    });
    this.#uploads = new Staging(gpu, COPY_SRC | COPY_DST, 16);
    this.#uniforms = new Staging(gpu, UNIFORM | COPY_DST, gpu.limits.minUniformBufferOffsetAlignment);
    gpu.lost.then(({ reason, message }) => {
      if (this.#disposed) return;
      this.#lost = new TenonError({
        code: 'DEVICE_LOST',
        where: 'webgpu',
        message: `the GPU is gone (${reason === 'destroyed' ? 'its device was destroyed' : message || 'no reason given'}), and every tensor on it`,
        hint: 'Start the backend again (dispose, init) and go on from the last checkpoint.',
      });
    });
    gpu.addEventListener('uncapturederror', (event) => {
      const { error } = event as GPUUncapturedErrorEvent;
      this.#failure ??= failureOf(error);
    });
  }

  /** Throws if the GPU is gone. */
  checkAlive(): void {
    if (this.#lost) throw this.#lost;
  }

  /**
   * Throws if the GPU is gone, or, once, if something that it was told to do before has failed: what is read now may
   * come of that. Such failures become known late, so nothing but reads asks for them.
   */
  #check(): void {
    this.checkAlive();
    if (!this.#failure) return;
    const failure = this.#failure;
    this.#failure = undefined;
    throw failure;
  }

  /** Has the next check throw an error that nobody could be told of; a GPU that is gone says so by itself. */
  tellLater(error: unknown): void {
    if (!this.#lost && error instanceof TenonError) this.#failure ??= error;
  }

  /** A buffer of at least so many bytes, with anything in it. Throws `OUT_OF_MEMORY` beyond the device's limits. */
  acquire(bytes: number): GPUBuffer {
    this.checkAlive();
    return this.pool.acquire(bytes);
  }

  /** Gives a buffer back. What is encoded already may still use it: whoever gets it next comes after that. */
  release(buffer: GPUBuffer): void {
    this.pool.release(buffer);
  }

  /** Writes bytes (a multiple of four) to the beginning of a buffer, after everything that was asked for before. */
  write(buffer: GPUBuffer, data: Uint8Array, offset = 0): void {
    if (data.byteLength > LARGEST_STAGED) {
      this.submit();
      this.gpu.queue.writeBuffer(buffer, offset, data as Uint8Array<ArrayBuffer>);
      return;
    }
    const from = this.#stage(this.#uploads, data);
    this.endPass().copyBufferToBuffer(from.buffer, from.offset, buffer, offset, data.byteLength);
  }

  /** Copies as many bytes as there are to copy to, between two buffers, in order. */
  copy(from: Slice, { buffer, offset, size }: Slice): void {
    this.endPass().copyBufferToBuffer(from.buffer, from.offset, buffer, offset, Math.ceil(size / 4) * 4);
  }

  /** Uniform bytes for one dispatch. */
  uniforms(data: Uint8Array): Slice {
    return this.#stage(this.#uniforms, data);
  }

  dispatch(
    pipeline: GPUComputePipeline,
    bindings: GPUBindGroup,
    groups: readonly [number, number, number],
  ): void {
    this.#pass ??= this.encoder().beginComputePass();
    this.#pass.setPipeline(pipeline);
    this.#pass.setBindGroup(0, bindings);
    this.#pass.dispatchWorkgroups(groups[0], groups[1], groups[2]);
    if (++this.#pending >= BATCH) this.submit();
  }

  /** Where commands go next; outside of any pass. */
  encoder(): GPUCommandEncoder {
    this.#encoder ??= this.gpu.createCommandEncoder();
    return this.#encoder;
  }

  /** Sends what has been encoded. */
  submit(): void {
    this.#pass?.end();
    this.#pass = undefined;
    this.#pending = 0;
    this.#uploads.flush();
    this.#uniforms.flush();
    if (!this.#encoder) return;
    const commands = this.#encoder.finish();
    this.#encoder = undefined;
    this.gpu.queue.submit([commands]);
  }

  /** Sends commands of one piece, after everything that was asked for before; where `encode` throws, none of them. */
  send(encode: (encoder: GPUCommandEncoder) => void): void {
    this.submit();
    const encoder = this.gpu.createCommandEncoder();
    encode(encoder);
    this.gpu.queue.submit([encoder.finish()]);
  }

  /** Bytes of a buffer, once everything that was asked for before has run. Reads of one turn go together. */
  async read({ buffer, offset, size: bytes }: Slice): Promise<ArrayBuffer> {
    this.#check();
    const size = sizeClass(bytes);
    const known = this.#readers.findIndex((reader) => reader.size === size);
    const [reader] =
      known >= 0
        ? this.#readers.splice(known, 1)
        : [this.gpu.createBuffer({ size, usage: MAP_READ | COPY_DST })];
    this.endPass().copyBufferToBuffer(buffer, offset, reader, 0, Math.ceil(bytes / 4) * 4);
    await this.#flushSoon();
    try {
      await reader.mapAsync(1 /* GPUMapMode.READ */, 0, Math.ceil(bytes / 4) * 4);
    } catch (error) {
      // A device that is lost aborts the mapping before its own promise resolves.
      await Promise.race([this.gpu.lost, new Promise((resolve) => setTimeout(resolve, 100))]);
      this.#check();
      throw new TenonError({
        code: 'DEVICE_LOST',
        where: 'webgpu',
        message: `values could not be read from the GPU: ${error instanceof Error ? error.message : String(error)}`,
        hint: 'Start the backend again (dispose, init) and go on from the last checkpoint.',
      });
    }
    const values = reader.getMappedRange(0, Math.ceil(bytes / 4) * 4).slice(0, bytes);
    reader.unmap();
    if (this.#disposed || this.#readers.length >= 16) reader.destroy();
    else this.#readers.push(reader);
    this.#check();
    return values;
  }

  /** Resolves when the GPU has nothing left to do. */
  async idle(): Promise<void> {
    if (this.#lost) return;
    this.submit();
    // One that is lost meanwhile has nothing left to do either.
    await Promise.race([this.gpu.queue.onSubmittedWorkDone().catch(() => {}), this.gpu.lost]);
  }

  dispose(): void {
    this.#disposed = true;
    this.#pass = undefined;
    this.#encoder = undefined;
    this.pool.clear();
    this.gpu.destroy();
  }

  /** Ends the pass that dispatches go to, so that copies come after them. */
  endPass(): GPUCommandEncoder {
    this.#pass?.end();
    this.#pass = undefined;
    return this.encoder();
  }

  #stage(staging: Staging, data: Uint8Array): Slice {
    if (!staging.fits(data.byteLength)) this.submit();
    return staging.add(data);
  }

  /** Submits at the end of this turn, so that all reads of the turn are one submission. */
  #flushSoon(): Promise<void> {
    if (!this.#flushAsked) {
      this.#flushAsked = true;
      this.#flushed = Promise.resolve().then(() => {
        this.#flushAsked = false;
        this.submit();
      });
    }
    return this.#flushed;
  }

  #flushed: Promise<void> = Promise.resolve();
}

/** Bytes that are gathered on the host, and written to a buffer of the GPU's just before the commands that use them. */
class Staging {
  readonly #gpu: GPUDevice;
  readonly #buffer: GPUBuffer;
  readonly #host = new Uint8Array(STAGING_BYTES);
  readonly #alignment: number;
  #used = 0;

  constructor(gpu: GPUDevice, usage: number, alignment: number) {
    this.#gpu = gpu;
    this.#alignment = alignment;
    this.#buffer = gpu.createBuffer({ size: STAGING_BYTES, usage });
  }

  fits(bytes: number): boolean {
    return this.#used + bytes <= STAGING_BYTES;
  }

  add(data: Uint8Array): Slice {
    const offset = this.#used;
    this.#host.set(data, offset);
    this.#used = Math.ceil((offset + data.byteLength) / this.#alignment) * this.#alignment;
    return { buffer: this.#buffer, offset, size: data.byteLength };
  }

  flush(): void {
    if (this.#used === 0) return;
    this.#gpu.queue.writeBuffer(this.#buffer, 0, this.#host, 0, Math.min(this.#used, STAGING_BYTES));
    this.#used = 0;
  }
}

function failureOf(error: GPUError): TenonError {
  // By its name: the class is among the globals in browsers alone.
  const isMemory = error.constructor.name === 'GPUOutOfMemoryError';
  return isMemory
    ? new TenonError({
        code: 'OUT_OF_MEMORY',
        where: 'webgpu',
        message: `the GPU has no memory left (${error.message})`,
        hint: 'Use a smaller batch, or close what else uses the GPU.',
      })
    : new TenonError({
        code: 'BACKEND_FAILED',
        where: 'webgpu',
        message: `the GPU refused a command: ${error.message}`,
        hint: 'This is a defect of the backend: please report it, with the model.',
      });
}
