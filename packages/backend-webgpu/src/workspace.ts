import { type Device, sizeClass } from './device.js';

/**
 * Buffers for what plans make in between. All plans of a backend share them: their commands run one after the other, and
 * nothing in them outlives a plan's run.
 */
export class Workspace {
  readonly #device: Device;
  readonly #buffers = new Map<number, GPUBuffer[]>();

  constructor(device: Device) {
    this.#device = device;
  }

  /** Hands buffers out for one plan. */
  session(): WorkspaceSession {
    const free = new Map([...this.#buffers].map(([size, buffers]) => [size, [...buffers].reverse()]));
    let bytes = 0;
    const seen = new Set<GPUBuffer>();
    return {
      take: (length) => {
        const size = sizeClass(Math.max(16, length));
        const buffer = free.get(size)?.pop() ?? this.#grow(size);
        if (!seen.has(buffer)) {
          seen.add(buffer);
          bytes += size;
        }
        return buffer;
      },
      giveBack: (buffer) => {
        const known = free.get(buffer.size);
        if (known) known.push(buffer);
        else free.set(buffer.size, [buffer]);
      },
      get bytes() {
        return bytes;
      },
    };
  }

  #grow(size: number): GPUBuffer {
    const buffer = this.#device.acquire(size);
    const known = this.#buffers.get(size);
    if (known) known.push(buffer);
    else this.#buffers.set(size, [buffer]);
    return buffer;
  }
}

export interface WorkspaceSession {
  /** A buffer of at least so many bytes, which nothing else of this plan uses until it is given back. */
  take(bytes: number): GPUBuffer;
  giveBack(buffer: GPUBuffer): void;
  /** Of all buffers that were handed out, each counted once. */
  readonly bytes: number;
}
