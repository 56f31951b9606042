import type { NdArray, Plan, Precision } from '@tenon-ml/core';
import { engine, type Tensor } from '@tensorflow/tfjs-core';
import { rawBytes } from '../data.js';
import type { GpuBackend } from '../gpu_backend.js';
import { TENSOR_USAGE } from '../pool.js';
import { bindGroup, type Encoded, encode } from './encode.js';
import { fuse } from './fuse.js';
import { type Places, type PlanInput, placeAll, placeHostValues, type Upload } from './placing.js';
import { PlanMemory } from './plan_memory.js';
import { inMixedPrecision } from './precision.js';
import { simplify } from './simplify.js';
import type { Place, Trace } from './trace.js';

/**
 * A recorded call. What is made in between lies in buffers that all plans of a backend share, as only one runs at a
 * time; host values come in one write; uniforms were written when the plan was made; outputs go to the buffers of the
 * call before the last, if they are free by then. So a replay of a training loop allocates nothing.
 */
export class GpuPlan implements Plan {
  readonly commands: number;
  readonly bytes: number;
  readonly #backend: GpuBackend;
  readonly #outputs: readonly Place[];
  readonly #places: Places;
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
    const fused = { steps: fuse(each, wanted, facts), buffers: trace.buffers };
    const { steps, buffers } =
      precision === 'mixed-float16' ? inMixedPrecision(fused.steps, fused.buffers, wanted) : fused;
    const early = fuse(once, [...constants], facts);

    const hostPlaces = { buffer: this.#hostBuffer, offsets: host.offsets };
    const placed = { buffers, inputs, outputs, constants, early, steps, host: hostPlaces };
    this.#places = placeAll(backend, memory, placed);
    const { locate, copies, constantBytes } = this.#places;
    this.#runOnce(encode(backend, memory, this.#hostBuffer, early, locate));
    this.#steps = encode(backend, memory, this.#hostBuffer, steps, locate);
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
    const made: GPUBuffer[] = [];
    const buffers: GPUBuffer[] = [];
    try {
      for (const [k, slot] of this.#places.slots.entries()) {
        if ('input' in slot) {
          buffers.push(backend.dataOf(inputs[slot.input] as Tensor).resource as GPUBuffer);
          continue;
        }
        const again = beforeLast[k];
        const buffer = again && commands.pool.reacquire(again) ? again : commands.acquire(slot.bytes);
        made.push(buffer);
        buffers.push(buffer);
      }
      this.#run(buffers);
    } catch (error) {
      for (const buffer of made) commands.release(buffer);
      throw error;
    }
    this.#recent = [buffers, this.#recent[0]];
    return this.#tensors(inputs, buffers);
  }

  dispose(): void {
    this.#memory.dispose();
  }

  #run(buffers: readonly GPUBuffer[]): void {
    const { commands } = this.#backend;
    const encoder = commands.encoder();
    const { profiler } = this.#backend;
    const timed = profiler?.begin(this.#steps.map(({ name }) => name));
    let pass: GPUComputePassEncoder | undefined;
    for (const [k, step] of this.#steps.entries()) {
      if (timed) pass?.end();
      if (timed || !pass) pass = encoder.beginComputePass(timed?.pass(k));
      pass.setPipeline(step.pipeline);
      pass.setBindGroup(0, bindGroup(this.#backend, step, buffers));
      pass.dispatchWorkgroups(step.groups[0], step.groups[1], step.groups[2]);
    }
    pass?.end();
    timed?.resolve(encoder);
    for (const { from, slot, bytes } of this.#places.copies) {
      encoder.copyBufferToBuffer(from.buffer, from.offset, buffers[slot], 0, Math.ceil(bytes / 4) * 4);
    }
    commands.submit();
    timed?.report();
  }

  #tensors(inputs: readonly (Tensor | NdArray)[], buffers: readonly GPUBuffer[]): Tensor[] {
    const backend = this.#backend;
    const { slots, slotOfOutput } = this.#places;
    const ids = new Map<number, object>();
    return this.#outputs.map(({ shape, dtype }, i) => {
      const number = slotOfOutput[i];
      const slot = slots[number];
      let id = 'input' in slot ? (inputs[slot.input] as Tensor).dataId : ids.get(number);
      if (id) backend.incRef(id);
      else {
        id = backend.adopt(buffers[number], shape, dtype);
        ids.set(number, id);
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
