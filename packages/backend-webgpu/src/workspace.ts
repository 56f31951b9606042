import type { Device } from './device.js';
import { sizeClass } from './pool.js';

/**
 * Buffers for what plans make in between. All plans of a backend share them: their commands run one after the other, and
 * nothing in them outlives a plan's run. One that no plan uses any more goes back to the device.
 */
export class Workspace {
  readonly #device: Device;
  /** The buffers of each size, with how many plans use them. */
  readonly #buffers = new Map<number, Map<GPUBuffer, number>>();

  constructor(device: Device) {
    this.#device = device;
  }

  /** Hands buffers out for one plan. */
  session(): WorkspaceSession {
    const free = new Map([...this.#buffers].map(([size, users]) => [size, [...users.keys()].reverse()]));
    const taken = new Set<GPUBuffer>();
    let bytes = 0;
    return {
      take: (length) => {
        const size = sizeClass(Math.max(16, length));
        const buffer = free.get(size)?.pop() ?? this.#device.acquire(size);
        if (!taken.has(buffer)) {
          taken.add(buffer);
          bytes += size;
          this.#enter(buffer);
        }
        return buffer;
      },
      giveBack: (buffer) => {
        const known = free.get(buffer.size);
        if (known) known.push(buffer);
        else free.set(buffer.size, [buffer]);
      },
      end: () => {
        for (const buffer of taken) this.#leave(buffer);
        taken.clear();
      },
      get bytes() {
        return bytes;
      },
    };
  }

  #enter(buffer: GPUBuffer): void {
    const users = this.#buffers.get(buffer.size) ?? new Map<GPUBuffer, number>();
    users.set(buffer, (users.get(buffer) ?? 0) + 1);
    this.#buffers.set(buffer.size, users);
  }

  #leave(buffer: GPUBuffer): void {
    const users = this.#buffers.get(buffer.size) as Map<GPUBuffer, number>;
    const left = (users.get(buffer) as number) - 1;
    if (left > 0) {
      users.set(buffer, left);
      return;
    }
    users.delete(buffer);
    if (users.size === 0) this.#buffers.delete(buffer.size);
    this.#device.release(buffer);
  }
}

export interface WorkspaceSession {
  /** A buffer of at least so many bytes, which nothing else of this plan uses until it is given back. */
  take(bytes: number): GPUBuffer;
  giveBack(buffer: GPUBuffer): void;
  /** Ends the plan's use of all of them. */
  end(): void;
  /** Of all buffers that were handed out, each counted once. */
  readonly bytes: number;
}
