import { isTenonError, TenonError } from '@tenon-ml/core';
import type { TypedArray } from '@tensorflow/tfjs-core';
import { type Attribute, type Binding, bytesOf, type OpOutput } from './binding.js';
import type { Trace } from './recorder/trace.js';

/** What crossed between the host and the device, and what ran there, since the backend was started. */
export interface Counters {
  /** Ops that ran. */
  ops: number;
  /** Tensors that came from the host, among them the shapes and axes that ops take as tensors. */
  uploads: number;
  uploadedBytes: number;
  /** Tensors whose values were read. */
  reads: number;
  readBytes: number;
}

/** The binding under one backend: counts what crosses it, and lets a trace watch. */
export class Runtime {
  readonly counters: Counters = { ops: 0, uploads: 0, uploadedBytes: 0, reads: 0, readBytes: 0 };
  /** What watches the ops, if anything does. */
  trace: Trace | undefined;
  /** Bytes of the tensors that are held, and the most that there were at once. */
  inUse = 0;
  peak = 0;
  readonly #binding: Binding;
  readonly #bytes = new Map<number, number>();

  constructor(binding: Binding) {
    this.#binding = binding;
  }

  /** A tensor of these values, whose array it takes over. */
  create(shape: readonly number[], type: number, values: TypedArray | Uint8Array[]): number {
    const id = guarded('upload', () => this.#binding.createTensor(shape, type, values));
    this.counters.uploads++;
    this.counters.uploadedBytes += bytesOf(type, shape);
    this.#hold(id, type, shape);
    this.trace?.created(id, shape, type, values);
    return id;
  }

  run(
    op: string,
    attributes: readonly Attribute[],
    inputs: readonly number[],
    outputs: number,
  ): readonly OpOutput[] {
    const made = guarded(op, () => this.#binding.executeOp(op, attributes, inputs, outputs));
    this.counters.ops++;
    for (const { id, dtype, shape } of made) this.#hold(id, dtype, shape);
    this.trace?.ran(op, attributes, inputs, made);
    return made;
  }

  read(id: number): TypedArray | Uint8Array[] {
    this.trace?.unrecordable('it reads values inside');
    const values = guarded('read', () => this.#binding.tensorDataSync(id));
    this.counters.reads++;
    if (!Array.isArray(values)) this.counters.readBytes += values.byteLength;
    return values;
  }

  /** Does nothing for what is gone: a plan may outlive the backend. */
  free(id: number): void {
    const bytes = this.#bytes.get(id);
    if (bytes === undefined) return;
    this.#bytes.delete(id);
    this.inUse -= bytes;
    this.#binding.deleteTensor(id);
  }

  /** Frees everything: the binding outlives the backend. */
  dispose(): void {
    for (const id of [...this.#bytes.keys()]) this.free(id);
  }

  #hold(id: number, type: number, shape: readonly number[]): void {
    const bytes = bytesOf(type, shape);
    // The binding counts tensors in 32 bits, and gives an old one's number again when it has gone round.
    if (this.#bytes.has(id)) {
      throw new TenonError({
        code: 'BACKEND_FAILED',
        where: 'cuda',
        message: 'the binding has used up its numbers for tensors',
        hint: 'Go on from the last checkpoint, in a new process.',
      });
    }
    this.#bytes.set(id, bytes);
    this.inUse += bytes;
    this.peak = Math.max(this.peak, this.inUse);
  }
}

/** TF_Code of what there was no room for, and of what ended because a device did. */
const RESOURCE_EXHAUSTED = 8;

/** Turns the binding's errors, `Invalid TF_Status: CODE\nMessage: …`, into ours. */
function guarded<T>(op: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (isTenonError(error)) throw error;
    const text = error instanceof Error ? error.message : String(error);
    const [, code, said] = /^Invalid TF_Status: (\d+)\s*(?:Message:\s*)?([\s\S]*)$/.exec(text) ?? [];
    if (Number(code) === RESOURCE_EXHAUSTED) {
      throw new TenonError({
        code: 'OUT_OF_MEMORY',
        where: `cuda, ${op}`,
        message: `there is no room on the device: ${firstLine(said)}`,
        hint: 'Use smaller batches or a smaller model, or free what is not needed.',
        cause: error,
      });
    }
    throw new Error(`TensorFlow's ${op}: ${said?.trim() || text}`, { cause: error });
  }
}

function firstLine(text: string): string {
  return text.trim().split('\n')[0];
}
