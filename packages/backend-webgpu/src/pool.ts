import { TenonError } from '@tenon-ml/core';

// GPUBufferUsage's values: the globals are there in browsers alone.
const COPY_SRC = 0x4;
const COPY_DST = 0x8;
const STORAGE = 0x80;

/** What a buffer that holds a tensor is used for. */
export const TENSOR_USAGE = STORAGE | COPY_SRC | COPY_DST;

/** Free bytes that are kept whatever was in use: making buffers takes longer than keeping them. */
const SLACK = 1 << 26;

/**
 * Buffers of tensors, used again once they are free. What is kept is at most twice what was ever in use at once, and
 * some slack: beyond that, those that have been free for longest are destroyed before another is made.
 */
export class BufferPool {
  /** Bytes of all buffers that live, of those in use, and the most that were in use at once. */
  allocated = 0;
  inUse = 0;
  peak = 0;
  readonly #gpu: GPUDevice;
  readonly #limit: number;
  readonly #slack: number;
  readonly #beforeDestroy: () => void;
  readonly #owned = new Set<GPUBuffer>();
  readonly #free = new Map<number, GPUBuffer[]>();
  /** The same, in the order in which they were released. */
  readonly #idle = new Set<GPUBuffer>();

  /** `beforeDestroy` sends what is encoded: it may use buffers that are free by now. */
  constructor(gpu: GPUDevice, beforeDestroy: () => void, slack = SLACK) {
    this.#gpu = gpu;
    this.#beforeDestroy = beforeDestroy;
    this.#slack = slack;
    const { maxBufferSize, maxStorageBufferBindingSize } = gpu.limits;
    this.#limit = Math.min(maxBufferSize, maxStorageBufferBindingSize);
  }

  /** A buffer of at least so many bytes, with anything in it. Throws `OUT_OF_MEMORY` beyond the device's limits. */
  acquire(bytes: number): GPUBuffer {
    if (bytes > this.#limit) {
      throw new TenonError({
        code: 'OUT_OF_MEMORY',
        where: 'webgpu',
        message: `a tensor of ${bytes} bytes is larger than a buffer of this GPU may be (${this.#limit} bytes)`,
        hint: 'Use a smaller batch.',
      });
    }
    const size = Math.min(sizeClass(bytes), this.#limit);
    const known = this.#free.get(size)?.pop();
    if (known) {
      this.#idle.delete(known);
      this.#use(size);
      return known;
    }
    this.#use(size);
    this.#makeRoom(size);
    const buffer = this.#gpu.createBuffer({ size, usage: TENSOR_USAGE });
    this.#owned.add(buffer);
    this.allocated += size;
    return buffer;
  }

  /** Takes one that is free, if it is. */
  reacquire(buffer: GPUBuffer): boolean {
    if (!this.#idle.has(buffer)) return false;
    this.#takeOut(buffer);
    this.#use(buffer.size);
    return true;
  }

  /** Gives a buffer back; one that isn't of this pool is destroyed. */
  release(buffer: GPUBuffer): void {
    if (!this.#owned.has(buffer)) {
      // It isn't used again, so it goes; but not before what is encoded.
      this.#beforeDestroy();
      buffer.destroy();
      return;
    }
    this.inUse -= buffer.size;
    this.#idle.add(buffer);
    const free = this.#free.get(buffer.size);
    if (free) free.push(buffer);
    else this.#free.set(buffer.size, [buffer]);
  }

  /** Forgets everything; the buffers go with their device. */
  clear(): void {
    this.#owned.clear();
    this.#free.clear();
    this.#idle.clear();
  }

  #use(size: number): void {
    this.inUse += size;
    this.peak = Math.max(this.peak, this.inUse);
  }

  #makeRoom(size: number): void {
    const most = 2 * this.peak + this.#slack;
    if (this.allocated + size <= most) return;
    this.#beforeDestroy();
    for (const buffer of this.#idle) {
      if (this.allocated + size <= most) return;
      this.#takeOut(buffer);
      this.#owned.delete(buffer);
      this.allocated -= buffer.size;
      buffer.destroy();
    }
  }

  #takeOut(buffer: GPUBuffer): void {
    this.#idle.delete(buffer);
    const free = this.#free.get(buffer.size) as GPUBuffer[];
    free.splice(free.lastIndexOf(buffer), 1);
  }
}

/** Sizes an eighth apart, in multiples of 16: few enough that freed buffers are found again. */
export function sizeClass(bytes: number): number {
  if (bytes <= 256) return Math.max(16, Math.ceil(bytes / 16) * 16);
  const step = 2 ** Math.floor(Math.log2(bytes)) / 8;
  return Math.ceil(bytes / step) * step;
}
