import type { NdArray, Plan, Precision } from '@tenon-ml/core';
import { engine, type Tensor } from '@tensorflow/tfjs-core';
import { type Arena, settle } from '../arena.js';
import { rawBytes, whole } from '../data.js';
import type { GpuBackend } from '../gpu_backend.js';
import { TENSOR_USAGE } from '../pool.js';
import { type ArenaPlan, findDonation } from './donation.js';
import { bindGroup, type Encoded, encode, type Where } from './encode.js';
import { fuse } from './fuse.js';
import { merge } from './merge.js';
import { type Places, type PlanInput, placeAll, placeHostValues, type Upload } from './placing.js';
import { PlanMemory } from './plan_memory.js';
import { inMixedPrecision } from './precision.js';
import { simplify } from './simplify.js';
import type { Place, Trace } from './trace.js';

/**
 * A recorded call. What is made in between lies in buffers that all plans of a backend share, as only one runs at a
 * time; host values come in one write; uniforms were written when the plan was made. Outputs are written over donated
 * arguments, in arenas, where elementwise work makes them of these; others go to the buffers of the call before the last,
 * if they are free by then. So a replay of a training loop allocates nothing.
 */
export class GpuPlan implements Plan {
  readonly commands: number;
  readonly bytes: number;
  readonly #backend: GpuBackend;
  readonly #outputs: readonly Place[];
  readonly #places: Places;
  readonly #arenas: readonly ArenaPlan[];
  readonly #steps: readonly Encoded[];
  readonly #uploads: readonly Upload[];
  readonly #host: Uint8Array;
  readonly #hostBuffer: GPUBuffer;
  readonly #memory: PlanMemory;
  /** The buffers of the outputs of the last call, and of the one before. */
  #recent: [readonly GPUBuffer[], readonly GPUBuffer[]] = [[], []];

  /** The plan of a recorded call. Where it throws, it leaves nothing behind. */
  static of(
    backend: GpuBackend,
    trace: Trace,
    inputs: readonly PlanInput[],
    outputs: readonly Place[],
    precision: Precision,
  ): GpuPlan {
    const memory = new PlanMemory(backend);
    try {
      return new GpuPlan(backend, memory, trace, inputs, outputs, precision);
    } catch (error) {
      memory.dispose();
      throw error;
    }
  }

  private constructor(
    backend: GpuBackend,
    memory: PlanMemory,
    trace: Trace,
    inputs: readonly PlanInput[],
    outputs: readonly Place[],
    precision: Precision,
  ) {
    this.#backend = backend;
    this.#memory = memory;
    this.#outputs = outputs;
    const { limits } = backend.commands.gpu;
    const wanted = outputs.map(({ buffer }) => buffer);
    const host = placeHostValues(inputs, trace.buffers, limits.minStorageBufferOffsetAlignment);
    this.#uploads = host.uploads;
    this.#host = new Uint8Array(host.bytes);
    this.#hostBuffer = memory.create(host.bytes, TENSOR_USAGE | 0x40 /* UNIFORM */);

    const { once, each, constants } = simplify(trace.commands, trace.buffers, wanted, host.scalars);
    const facts = { buffers: trace.buffers, bindings: limits.maxStorageBuffersPerShaderStage };
    const early = fuse(once, [...constants], facts);
    const wide = { steps: fuse(each, wanted, facts), buffers: trace.buffers };
    const { steps: fused, buffers } =
      precision === 'mixed-float16' ? inMixedPrecision(wide.steps, wide.buffers, wanted) : wide;
    const limit = Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize);
    const alignment = limits.minStorageBufferOffsetAlignment;
    const donation = findDonation(fused, { buffers, inputs, outputs, limit, alignment });
    const { arenas } = donation;
    this.#arenas = arenas;
    const isPlaced = (buffer: number): boolean =>
      buffers[buffer].kind === 'argument' || constants.has(buffer);
    const { steps, blocks } = merge(fused, donation, {
      buffers,
      placed: new Set([...wanted, ...[...buffers.keys()].filter(isPlaced)]),
      bindings: limits.maxStorageBuffersPerShaderStage,
      bindingBytes: limit,
      uniformBytes: limits.maxUniformBufferBindingSize,
      alignment,
    });

    this.#places = placeAll(backend, memory, {
      ...{ buffers, inputs, outputs, constants, early, steps, arenas, blocks, alignment },
      host: { buffer: this.#hostBuffer, offsets: host.offsets },
    });
    const { copies, constantBytes } = this.#places;
    this.#runOnce(encode(backend, memory, this.#hostBuffer, early, this.#places, arenas));
    this.#steps = encode(backend, memory, this.#hostBuffer, steps, this.#places, arenas);
    this.commands = steps.length + copies.length;
    this.bytes = memory.workspace.bytes + host.bytes + constantBytes;
  }

  run(inputs: readonly (Tensor | NdArray)[]): Tensor[] {
    const backend = this.#backend;
    const { commands } = backend;
    commands.checkAlive();
    commands.submit();
    for (const { input, offset, dtype } of this.#uploads) {
      this.#host.set(rawBytes((inputs[input] as NdArray<'float32'>).data, dtype), offset);
    }
    if (this.#uploads.length > 0)
      commands.gpu.queue.writeBuffer(this.#hostBuffer, 0, this.#host as Uint8Array<ArrayBuffer>);
    const [, beforeLast] = this.#recent;
    const arenas: Arena[] = [];
    const made: GPUBuffer[] = [];
    try {
      for (const { layout, pairs } of this.#arenas) {
        const given = pairs.map(({ input }) => backend.dataOf(inputs[input] as Tensor));
        arenas.push(settle(commands, layout, given));
      }
      const slices = this.#places.slots.map((slot, k): Where => {
        if ('arena' in slot) return { buffer: arenas[slot.arena].buffer, offset: 0 };
        if ('input' in slot) return whole(backend.dataOf(inputs[slot.input] as Tensor));
        const again = beforeLast[k];
        const buffer = again && commands.pool.reacquire(again) ? again : commands.acquire(slot.bytes);
        made.push(buffer);
        return { buffer, offset: 0 };
      });
      this.#run(slices);
      this.#recent = [slices.map(({ buffer }) => buffer), this.#recent[0]];
      return this.#tensors(inputs, slices, arenas);
    } catch (error) {
      for (const buffer of made) commands.release(buffer);
      throw error;
    } finally {
      for (const arena of arenas) arena.letGo();
    }
  }

  dispose(): void {
    this.#memory.dispose();
  }

  #run(slices: readonly Where[]): void {
    const { commands } = this.#backend;
    const { profiler } = this.#backend;
    const groups = this.#steps.map((step) => bindGroup(this.#backend, step, slices));
    const timed = profiler?.begin(this.#steps.map(({ name }) => name));
    commands.send((encoder) => {
      let pass: GPUComputePassEncoder | undefined;
      for (const [k, step] of this.#steps.entries()) {
        if (timed) pass?.end();
        if (timed || !pass) pass = encoder.beginComputePass(timed?.pass(k));
        pass.setPipeline(step.pipeline);
        pass.setBindGroup(0, groups[k]);
        pass.dispatchWorkgroups(step.groups[0], step.groups[1], step.groups[2]);
      }
      pass?.end();
      timed?.resolve(encoder);
      for (const { from, slot, bytes } of this.#places.copies) {
        const to = slices[slot];
        encoder.copyBufferToBuffer(from.buffer, from.offset, to.buffer, to.offset, Math.ceil(bytes / 4) * 4);
      }
    });
    timed?.report();
  }

  /** The outputs; those in arenas take their slices over. */
  #tensors(
    inputs: readonly (Tensor | NdArray)[],
    slices: readonly Where[],
    arenas: readonly Arena[],
  ): Tensor[] {
    const backend = this.#backend;
    const { slots, outputs } = this.#places;
    const ids = new Map<number, object>();
    return this.#outputs.map(({ shape, dtype }, i) => {
      const place = outputs[i];
      let id: object | undefined;
      if ('arena' in place) {
        const adopted = backend.adopt(shape, dtype);
        arenas[place.arena].free(place.slice);
        arenas[place.arena].take(place.slice, adopted.data);
        id = adopted.id;
      } else {
        const slot = slots[place.slot];
        id = 'input' in slot ? (inputs[slot.input] as Tensor).dataId : ids.get(place.slot);
        if (id) backend.incRef(id);
        else {
          const adopted = backend.adopt(shape, dtype);
          adopted.data.resource = slices[place.slot].buffer;
          id = adopted.id;
          ids.set(place.slot, id);
        }
      }
      return engine().makeTensorFromTensorInfo({ dataId: id, shape: [...shape], dtype }, backend);
    });
  }

  #runOnce(steps: readonly Encoded[]): void {
    if (steps.length === 0) return;
    const { commands } = this.#backend;
    for (const step of steps) {
      commands.dispatch(step.pipeline, bindGroup(this.#backend, step, []), step.groups);
    }
    commands.submit();
  }
}
