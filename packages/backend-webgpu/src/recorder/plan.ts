import type { NdArray, Plan } from '@tenon-ml/core';
import { engine, type Tensor } from '@tensorflow/tfjs-core';
import { rawBytes } from '../data.js';
import type { Slice } from '../device.js';
import type { GpuBackend } from '../gpu_backend.js';
import { joinGraphs, linearGroups, MAP } from '../graph.js';
import { TENSOR_USAGE } from '../pool.js';
import { elementOf, HOST_SCALARS, hostScalar } from '../program.js';
import { fuse, type Step } from './fuse.js';
import { PlanMemory } from './plan_memory.js';
import { simplify } from './simplify.js';
import type { Buffer, Place, Trace } from './trace.js';

/** An argument of the recorded call. */
export interface PlanInput {
  readonly buffer: number;
  /** Whether it comes as an NdArray, which a replay writes to its place. */
  readonly fromHost: boolean;
}

/** A dispatch, ready but for buffers that change from replay to replay. */
interface Encoded {
  /** For profiles: what it computes, in a word or two. */
  readonly name: string;
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  readonly groups: readonly [number, number, number];
  readonly bound: readonly Binding[];
  readonly uniforms: readonly Slice[];
  /** The slots among what is bound; if there are none, `fixed` is all it needs. */
  readonly slots: readonly number[];
  readonly variants: Map<string, GPUBindGroup>;
}

type Binding = { readonly slot: number; readonly bytes: number } | Slice;

/** Variants of a dispatch's bindings that are kept. A loop needs two: what it reads and what it writes take turns. */
const VARIANTS = 8;
const NO_BUFFER = -1;

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
  readonly #slotOfOutput: readonly number[];
  /** Of each slot: the input that it is, or the bytes of an output. */
  readonly #slots: readonly (
    | { readonly input: number }
    | { readonly bytes: number; readonly place: Place }
  )[];
  readonly #steps: readonly Encoded[];
  readonly #copies: readonly { readonly from: Slice; readonly slot: number; readonly bytes: number }[];
  readonly #uploads: readonly {
    readonly input: number;
    readonly offset: number;
    readonly dtype: Buffer['dtype'];
  }[];
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
  ): GpuPlan {
    const memory = new PlanMemory(backend);
    try {
      return new GpuPlan(backend, memory, trace, inputs, outputs);
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
  ) {
    this.#backend = backend;
    this.#memory = memory;
    this.#outputs = outputs;
    const { buffers } = trace;
    const { gpu } = backend.commands;
    const wanted = outputs.map(({ buffer }) => buffer);
    // Where host values lie.
    const uploads: { input: number; offset: number; dtype: Buffer['dtype'] }[] = [];
    const hostOffsets = new Map<number, number>();
    const alignment = gpu.limits.minStorageBufferOffsetAlignment;
    const scalars = new Map<number, string>();
    let hostBytes = 4 * HOST_SCALARS;
    const slots: ({ input: number } | { bytes: number; place: Place })[] = [];
    const slotOf = new Map<number, number>();
    for (const [input, { buffer, fromHost }] of inputs.entries()) {
      if (!fromHost) {
        if (!slotOf.has(buffer)) slotOf.set(buffer, slots.push({ input }) - 1);
        continue;
      }
      const { dtype, bytes } = buffers[buffer];
      if (bytes === 4 && scalars.size < HOST_SCALARS && !scalars.has(buffer)) {
        uploads.push({ input, offset: 4 * scalars.size, dtype });
        scalars.set(buffer, hostScalar(scalars.size, elementOf(dtype)));
      }
      hostOffsets.set(buffer, hostBytes);
      uploads.push({ input, offset: hostBytes, dtype });
      hostBytes = Math.ceil((hostBytes + sizeOf(buffers[buffer])) / alignment) * alignment;
    }
    this.#uploads = uploads;
    this.#host = new Uint8Array(hostBytes);
    this.#hostBuffer = memory.create(hostBytes, TENSOR_USAGE | 0x40 /* UNIFORM */);

    const { once, each, constants } = simplify(trace.commands, buffers, wanted, scalars);
    const facts = { buffers, bindings: gpu.limits.maxStorageBuffersPerShaderStage };
    const steps = fuse(each, wanted, facts);
    const early = fuse(once, [...constants], facts);

    // Constants lie in buffers of their own.
    const places = new Map<number, Slice>();
    for (const [buffer, offset] of hostOffsets) {
      places.set(buffer, { buffer: this.#hostBuffer, offset, size: sizeOf(buffers[buffer]) });
    }
    const constantBytes = this.#placeConstants(buffers, constants, [...early, ...steps], wanted, places);

    // Outputs go to slots: directly, or by a copy of what is there already.
    const copies: { from: Slice; slot: number; bytes: number }[] = [];
    const copied = new Map<number, number>();
    this.#slotOfOutput = outputs.map((place) => {
      const { buffer } = place;
      const known = copied.get(buffer) ?? slotOf.get(buffer);
      if (known !== undefined) return known;
      const bytes = buffers[buffer].bytes;
      const slot = slots.push({ bytes, place }) - 1;
      const there = places.get(buffer);
      if (there) {
        copied.set(buffer, slot);
        if (bytes > 0) copies.push({ from: there, slot, bytes });
      } else slotOf.set(buffer, slot);
      return slot;
    });
    this.#slots = slots;
    this.#copies = copies;

    this.#placeValues(steps, buffers, slotOf, places);
    const locate = (buffer: number): Binding => {
      if (buffer === NO_BUFFER) return { buffer: backend.nothing(), offset: 0, size: 16 };
      const slot = slotOf.get(buffer);
      if (slot !== undefined) return { slot, bytes: sizeOf(buffers[buffer]) };
      return places.get(buffer) as Slice;
    };
    this.#runOnce(this.#encode(early, locate, new Map()));
    this.#steps = this.#encode(steps, locate, slotOf);
    this.commands = steps.length + copies.length;
    this.bytes = memory.workspace.bytes + hostBytes + constantBytes;
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
      for (const [k, slot] of this.#slots.entries()) {
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
      pass.setBindGroup(0, this.#bindGroup(step, buffers));
      pass.dispatchWorkgroups(step.groups[0], step.groups[1], step.groups[2]);
    }
    pass?.end();
    timed?.resolve(encoder);
    for (const { from, slot, bytes } of this.#copies) {
      encoder.copyBufferToBuffer(from.buffer, from.offset, buffers[slot], 0, Math.ceil(bytes / 4) * 4);
    }
    commands.submit();
    timed?.report();
  }

  #bindGroup(
    { layout, bound, uniforms, slots, variants }: Encoded,
    buffers: readonly GPUBuffer[],
  ): GPUBindGroup {
    let key = '';
    for (const slot of slots) key += `${this.#backend.numberOf(buffers[slot])} `;
    const known = variants.get(key);
    if (known) return known;
    if (variants.size >= VARIANTS) variants.clear();
    const slices = bound.map((place) =>
      'slot' in place ? { buffer: buffers[place.slot], offset: 0, size: place.bytes } : place,
    );
    const group = this.#backend.commands.gpu.createBindGroup({
      layout,
      entries: [...slices, ...uniforms].map((resource, binding) => ({
        binding,
        resource,
      })),
    });
    variants.set(key, group);
    return group;
  }

  #tensors(inputs: readonly (Tensor | NdArray)[], buffers: readonly GPUBuffer[]): Tensor[] {
    const backend = this.#backend;
    const ids = new Map<number, object>();
    return this.#outputs.map(({ shape, dtype }, i) => {
      const number = this.#slotOfOutput[i];
      const slot = this.#slots[number];
      let id = 'input' in slot ? (inputs[slot.input] as Tensor).dataId : ids.get(number);
      if (id) backend.incRef(id);
      else {
        id = backend.adopt(buffers[number], shape, dtype);
        ids.set(number, id);
      }
      return engine().makeTensorFromTensorInfo({ dataId: id, shape: [...shape], dtype }, backend);
    });
  }

  #placeConstants(
    buffers: readonly Buffer[],
    constants: ReadonlySet<number>,
    steps: readonly Step[],
    outputs: readonly number[],
    places: Map<number, Slice>,
  ): number {
    const used = new Set(outputs);
    for (const { inputs, outputs: made } of steps)
      for (const buffer of [...inputs, ...made]) used.add(buffer);
    let bytes = 0;
    for (const number of used) {
      if (!constants.has(number) || places.has(number)) continue;
      const { values, bytes: length } = buffers[number];
      const buffer = this.#memory.keep(length);
      bytes += buffer.size;
      if (values && length > 0) this.#backend.commands.write(buffer, values);
      places.set(number, { buffer, offset: 0, size: sizeOf(buffers[number]) });
    }
    return bytes;
  }

  /** Gives what is made in between its buffers, each from its first to its last use. */
  #placeValues(
    steps: readonly Step[],
    buffers: readonly Buffer[],
    slotOf: ReadonlyMap<number, number>,
    places: Map<number, Slice>,
  ): void {
    const last = new Map<number, number>();
    for (const [at, { inputs, outputs }] of steps.entries()) {
      for (const buffer of [...inputs, ...outputs]) last.set(buffer, at);
    }
    const { workspace } = this.#memory;
    const taken = new Set<number>();
    const ending = new Map<number, number[]>();
    for (const [at, { inputs, outputs }] of steps.entries()) {
      for (const number of [...inputs, ...outputs]) {
        if (taken.has(number) || slotOf.has(number) || places.has(number)) continue;
        taken.add(number);
        const buffer = workspace.take(buffers[number].bytes);
        places.set(number, { buffer, offset: 0, size: sizeOf(buffers[number]) });
        const end = last.get(number) as number;
        ending.set(end, [...(ending.get(end) ?? []), number]);
      }
      for (const number of ending.get(at) ?? []) workspace.giveBack((places.get(number) as Slice).buffer);
    }
  }

  #encode(
    steps: readonly Step[],
    locate: (buffer: number) => Binding,
    slotOf: ReadonlyMap<number, number>,
  ): Encoded[] {
    const { commands, pipelines } = this.#backend;
    const alignment = commands.gpu.limits.minUniformBufferOffsetAlignment;
    const prepared = steps.map((step) => prepare(step));
    let total = 0;
    const offsets = prepared.map(({ uniforms }) => {
      const offset = total;
      total = Math.ceil((total + uniforms.byteLength) / alignment) * alignment;
      return offset;
    });
    const block = new Uint8Array(total);
    for (const [k, { uniforms }] of prepared.entries()) block.set(uniforms, offsets[k]);
    const buffer = total > 0 ? this.#memory.create(total, 0x40 | 0x8 /* UNIFORM, COPY_DST */) : undefined;
    if (buffer) commands.gpu.queue.writeBuffer(buffer, 0, block);
    return prepared.map((step, k): Encoded => {
      const bound = step.bound.map(locate);
      const slots = [...new Set(step.bound.flatMap((number) => slotOf.get(number) ?? []))];
      return {
        name: step.name,
        pipeline: step.foreign ?? pipelines.get(step.program, step.joined),
        layout: step.foreign?.getBindGroupLayout(0) ?? pipelines.bindings(step.program, step.joined),
        groups: step.groups,
        bound,
        uniforms: [
          ...(buffer && step.uniforms.byteLength > 0
            ? [{ buffer, offset: offsets[k], size: step.uniforms.byteLength }]
            : []),
          ...(step.joined?.host ? [{ buffer: this.#hostBuffer, offset: 0, size: 4 * HOST_SCALARS }] : []),
        ],
        slots,
        variants: new Map(),
      };
    });
  }

  #runOnce(steps: readonly Encoded[]): void {
    if (steps.length === 0) return;
    const { commands } = this.#backend;
    for (const step of steps) commands.dispatch(step.pipeline, this.#bindGroup(step, []), step.groups);
    commands.submit();
  }
}

/** What a step binds (outputs, then inputs), and its uniforms. */
function prepare(step: Step) {
  if (step.kind === 'tfjs') {
    const { pipeline, uniforms, groups, inputs, outputs, key } = step;
    return {
      name: `tfjs's ${key.split('_')[0]}`,
      foreign: pipeline,
      program: MAP,
      joined: undefined,
      bound: [...outputs, ...inputs],
      uniforms,
      groups,
    };
  }
  const { launch, tail, heads } = step;
  const program = launch?.program ?? MAP;
  const joins = tail !== undefined || heads.size > 0;
  const joined = joins ? joinGraphs(program, { ...(tail && { tail }), heads }) : undefined;
  const own = launch?.inputs.map((buffer, k) => (heads.has(k) ? NO_BUFFER : buffer)) ?? [];
  const words = [...(launch?.words ?? [tail?.count ?? 0]), ...(joined?.words ?? [])];
  return {
    name: launch ? launch.program.key : 'elementwise',
    foreign: undefined,
    program,
    joined: joined?.joined,
    bound: [...(joined?.outputs ?? launch?.outputs ?? []), ...own, ...(joined?.inputs ?? [])],
    uniforms: new Uint8Array(Uint32Array.from(words).buffer),
    groups: launch?.groups ?? linearGroups(tail?.count ?? 0),
  };
}

/** What is bound of a buffer: a tensor of nothing has four bytes all the same. */
function sizeOf({ bytes }: Pick<Buffer, 'bytes'>): number {
  return Math.max(4, bytes);
}
