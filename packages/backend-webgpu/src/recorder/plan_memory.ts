import type { GpuBackend } from '../gpu_backend.js';
import type { WorkspaceSession } from '../workspace.js';

/** What a plan holds on the GPU, from the moment that it begins to be made until it is disposed of. */
export class PlanMemory {
  /** Buffers for what it makes in between. */
  readonly workspace: WorkspaceSession;
  readonly #backend: GpuBackend;
  readonly #kept: GPUBuffer[] = [];
  readonly #own: GPUBuffer[] = [];

  constructor(backend: GpuBackend) {
    this.#backend = backend;
    this.workspace = backend.workspace();
  }

  /** A buffer for a constant. */
  keep(bytes: number): GPUBuffer {
    const buffer = this.#backend.commands.acquire(bytes);
    this.#kept.push(buffer);
    return buffer;
  }

  /** A buffer of another usage than tensors have. */
  create(size: number, usage: number): GPUBuffer {
    const buffer = this.#backend.commands.gpu.createBuffer({ size, usage });
    this.#own.push(buffer);
    return buffer;
  }

  dispose(): void {
    this.workspace.end();
    for (const buffer of this.#kept) this.#backend.commands.release(buffer);
    for (const buffer of this.#own) buffer.destroy();
    this.#kept.length = 0;
    this.#own.length = 0;
  }
}
