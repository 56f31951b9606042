import type { NdArray, Plan } from '@tenon-ml/core';
import { engine, type Tensor, type TensorInfo } from '@tensorflow/tfjs-core';
import { dtypeOf, type OpOutput, Type, typeAttribute } from '../binding.js';
import type { TfBackend } from '../tf_backend.js';
import { type Schedule, scheduleOf } from './schedule.js';
import type { Buffer, Command, Trace } from './trace.js';

/** An argument of the recorded call. */
export interface PlanInput {
  readonly buffer: number;
  /** Whether it comes as an NdArray, which a replay uploads. */
  readonly fromHost: boolean;
}

/**
 * A recorded call: the ops that it made TensorFlow run, without those whose results nothing uses. What hangs on constants
 * alone is computed once, and kept.
 */
export class TfPlan implements Plan {
  readonly commands: number;
  readonly bytes: number;
  readonly #backend: TfBackend;
  readonly #buffers: readonly Buffer[];
  readonly #outputs: readonly number[];
  readonly #schedule: Schedule;
  /** Arguments that are tensors already, by their position. */
  readonly #tensors: readonly { readonly input: number; readonly buffer: number }[];
  /** Arguments that are uploaded, as far as they are used. */
  readonly #uploads: readonly { readonly input: number; readonly buffer: number }[];
  /** The binding's number of each buffer that there is at the moment; any integer is one. */
  readonly #ids: (number | undefined)[];

  constructor(backend: TfBackend, trace: Trace, inputs: readonly PlanInput[], outputs: readonly number[]) {
    this.#backend = backend;
    this.#buffers = trace.buffers;
    this.#outputs = outputs;
    const given = inputs.map(({ buffer, fromHost }, input) => ({ input, buffer, fromHost }));
    this.#tensors = given.filter(({ fromHost }) => !fromHost);
    this.#schedule = scheduleOf(
      trace,
      outputs,
      this.#tensors.map(({ buffer }) => buffer),
    );
    const { uploads, once, kept, each } = this.#schedule;
    const used = new Set([...outputs, ...each.flatMap((step) => step.inputs)]);
    this.#uploads = given.filter(({ fromHost, buffer }) => fromHost && used.has(buffer));
    this.#ids = trace.buffers.map(() => undefined);
    try {
      for (const number of uploads) {
        const { values, shape, type } = trace.buffers[number];
        if (values) this.#ids[number] = backend.runtime.create(shape, type, arrayOf(type, values));
      }
      for (const command of once) this.#run(command);
    } catch (error) {
      this.dispose();
      throw error;
    }
    this.#freeAllBut(kept);
    this.commands = each.length;
    this.bytes = this.#mostBytes();
  }

  run(inputs: readonly (Tensor | NdArray)[]): Tensor[] {
    const ids = this.#ids;
    try {
      for (const { input, buffer } of this.#tensors) {
        ids[buffer] = this.#backend.idOf((inputs[input] as Tensor).dataId);
      }
      for (const { input, buffer } of this.#uploads) {
        const { shape, type } = this.#buffers[buffer];
        ids[buffer] = this.#backend.runtime.create(shape, type, copyOf(type, inputs[input] as NdArray));
      }
      for (const step of this.#schedule.each) {
        this.#run(step);
        for (const number of step.frees) this.#free(number);
      }
      return this.#collect(inputs);
    } finally {
      // The arguments are others'; whatever else is left is a replay's that threw.
      for (const { buffer } of this.#tensors) ids[buffer] = undefined;
      this.#freeAllBut(this.#schedule.kept);
    }
  }

  dispose(): void {
    this.#freeAllBut(new Set());
  }

  #run({ op, attributes, inputs, outputs }: Command): void {
    const ids = this.#ids;
    const read = inputs.map((number) => ids[number] as number);
    const made = this.#backend.runtime.run(op, attributes, read, outputs.length);
    for (let i = 0; i < outputs.length; i++) ids[outputs[i]] = made[i].id;
  }

  /** The outputs as tensors. What they hold is no longer the plan's. */
  #collect(inputs: readonly (Tensor | NdArray)[]): Tensor[] {
    const owners = new Map<number, object>();
    for (const { input, buffer } of this.#tensors) owners.set(buffer, (inputs[input] as Tensor).dataId);
    const outputs: Tensor[] = [];
    try {
      for (const number of this.#outputs) {
        const { shape, type } = this.#buffers[number];
        let dataId = owners.get(number);
        if (dataId) {
          this.#backend.incRef(dataId);
        } else {
          dataId = this.#backend.adopt(this.#release(number)).dataId;
          owners.set(number, dataId);
        }
        const info: TensorInfo = { dataId, shape: [...shape], dtype: dtypeOf(type) ?? 'int32' };
        outputs.push(engine().makeTensorFromTensorInfo(info, this.#backend));
      }
    } catch (error) {
      for (const tensor of outputs) tensor.dispose();
      throw error;
    }
    return outputs;
  }

  /** A buffer for somebody else: the plan's own, or another name of a constant, which it keeps. */
  #release(number: number): OpOutput {
    const { shape, type, dtype } = this.#buffers[number];
    const id = this.#ids[number] as number;
    if (this.#schedule.kept.has(number)) {
      const attributes = [typeAttribute('T', dtype as keyof typeof Type)];
      return this.#backend.runtime.run('Identity', attributes, [id], 1)[0];
    }
    this.#ids[number] = undefined;
    return { id, shape: [...shape], dtype: type };
  }

  #free(number: number): void {
    const id = this.#ids[number];
    if (id === undefined) return;
    this.#ids[number] = undefined;
    this.#backend.runtime.free(id);
  }

  #freeAllBut(kept: ReadonlySet<number>): void {
    for (let number = 0; number < this.#ids.length; number++) if (!kept.has(number)) this.#free(number);
  }

  /** The most bytes that a replay holds at once, besides its arguments. */
  #mostBytes(): number {
    const sum = (numbers: Iterable<number>): number =>
      [...numbers].reduce((total, number) => total + this.#buffers[number].bytes, 0);
    let held = sum(this.#schedule.kept);
    let most = held;
    const uploaded = this.#uploads.map(({ buffer }) => buffer);
    held += sum(uploaded);
    for (const { outputs, frees } of this.#schedule.each) {
      held += sum(outputs);
      most = Math.max(most, held);
      held -= sum(frees);
    }
    return most;
  }
}

/** An array's values in the class that the binding takes for a type: a copy, as TensorFlow may keep it. */
function copyOf(type: number, { data }: NdArray): Float32Array | Int32Array | Uint8Array {
  if (type === Type.float32) return Float32Array.from(data as Float32Array);
  return type === Type.bool ? Uint8Array.from(data as Uint8Array) : Int32Array.from(data as Int32Array);
}

/** A constant's bytes as the array that the binding takes for its type: a copy, since TensorFlow keeps it. */
function arrayOf(type: number, bytes: Uint8Array): Float32Array | Int32Array | Uint8Array {
  const { buffer } = bytes.slice();
  if (type === Type.float32) return new Float32Array(buffer);
  return type === Type.bool ? new Uint8Array(buffer) : new Int32Array(buffer);
}
