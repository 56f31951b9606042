import type { Slice } from '../device.js';
import type { GpuBackend } from '../gpu_backend.js';
import { elementOf, HOST_SCALARS, hostScalar } from '../program.js';
import type { Step } from './fuse.js';
import type { PlanMemory } from './plan_memory.js';
import type { Buffer, Place } from './trace.js';

/** An argument of the recorded call. */
export interface PlanInput {
  readonly buffer: number;
  /** Whether it comes as an NdArray, which a replay writes to its place. */
  readonly fromHost: boolean;
}

/** A number for what a program binds and doesn't read: its head makes the values. */
export const NO_BUFFER = -1;

/** What lies elsewhere in each replay: an input, by its number, or a new output. */
export type Slot = { readonly input: number } | { readonly bytes: number; readonly place: Place };

/** Where a buffer of a recording lies: in a slot of the replay, or where it always does. */
export type Binding = { readonly slot: number; readonly bytes: number } | Slice;

/** A host value that a replay writes to its place in the block of all of them. */
export interface Upload {
  readonly input: number;
  readonly offset: number;
  readonly dtype: Buffer['dtype'];
}

/** Where a plan's host values lie in one block, which a replay writes at once. */
export interface HostPlaces {
  readonly uploads: readonly Upload[];
  readonly offsets: ReadonlyMap<number, number>;
  /** Numbers that come as uniforms too, with the WGSL that reads them. */
  readonly scalars: ReadonlyMap<number, string>;
  readonly bytes: number;
}

/** Where everything lies that a plan's steps read and write. */
export interface Places {
  readonly slots: readonly Slot[];
  readonly slotOfOutput: readonly number[];
  /** Outputs that lie elsewhere already. */
  readonly copies: readonly { readonly from: Slice; readonly slot: number; readonly bytes: number }[];
  /** Bytes of buffers for constants. */
  readonly constantBytes: number;
  locate(buffer: number): Binding;
}

/** What is bound of a buffer, in bytes: a multiple of four, which a tensor of nothing has all the same. */
export function sizeOf({ bytes }: Pick<Buffer, 'bytes'>): number {
  return Math.max(4, Math.ceil(bytes / 4) * 4);
}

/** Gives host values their places: those of one number among the uniforms, as long as there are any, and all in storage. */
export function placeHostValues(
  inputs: readonly PlanInput[],
  buffers: readonly Buffer[],
  alignment: number,
): HostPlaces {
  const uploads: Upload[] = [];
  const offsets = new Map<number, number>();
  const scalars = new Map<number, string>();
  let bytes = 4 * HOST_SCALARS;
  for (const [input, { buffer, fromHost }] of inputs.entries()) {
    if (!fromHost) continue;
    const { dtype, bytes: length } = buffers[buffer];
    if (length === 4 && scalars.size < HOST_SCALARS && !scalars.has(buffer)) {
      uploads.push({ input, offset: 4 * scalars.size, dtype });
      scalars.set(buffer, hostScalar(scalars.size, elementOf(dtype)));
    }
    offsets.set(buffer, bytes);
    uploads.push({ input, offset: bytes, dtype });
    bytes = Math.ceil((bytes + sizeOf(buffers[buffer])) / alignment) * alignment;
  }
  return { uploads, offsets, scalars, bytes };
}

/** What `placeAll` places: a plan's buffers, and the steps that use them. */
export interface Placed {
  readonly buffers: readonly Buffer[];
  readonly inputs: readonly PlanInput[];
  readonly outputs: readonly Place[];
  readonly constants: ReadonlySet<number>;
  /** Steps that run once, when the plan is made. */
  readonly early: readonly Step[];
  /** Steps of each replay. */
  readonly steps: readonly Step[];
  /** Where host values lie. */
  readonly host: { readonly buffer: GPUBuffer; readonly offsets: ReadonlyMap<number, number> };
}

/**
 * Arguments and outputs have slots, constants buffers of their own, and what is made in between shares buffers by
 * lifetime. An output that is a constant, a host value, or an argument's other name is copied or handed through.
 */
export function placeAll(backend: GpuBackend, memory: PlanMemory, placed: Placed): Places {
  const { buffers, inputs, outputs, host } = placed;
  const slots: Slot[] = [];
  const slotOf = new Map<number, number>();
  for (const [input, { buffer, fromHost }] of inputs.entries()) {
    if (!fromHost && !slotOf.has(buffer)) slotOf.set(buffer, slots.push({ input }) - 1);
  }
  const places = new Map<number, Slice>();
  for (const [buffer, offset] of host.offsets) {
    places.set(buffer, { buffer: host.buffer, offset, size: sizeOf(buffers[buffer]) });
  }
  const constantBytes = placeConstants(backend, memory, placed, places);

  const copies: { from: Slice; slot: number; bytes: number }[] = [];
  const copied = new Map<number, number>();
  const slotOfOutput = outputs.map((place) => {
    const { buffer } = place;
    const known = copied.get(buffer) ?? slotOf.get(buffer);
    if (known !== undefined) return known;
    const bytes = sizeOf(buffers[buffer]);
    const slot = slots.push({ bytes, place }) - 1;
    const there = places.get(buffer);
    if (there) {
      copied.set(buffer, slot);
      if (buffers[buffer].bytes > 0) copies.push({ from: there, slot, bytes });
    } else slotOf.set(buffer, slot);
    return slot;
  });
  placeValues(memory, placed, slotOf, places);
  return {
    slots,
    slotOfOutput,
    copies,
    constantBytes,
    locate: (buffer) => {
      if (buffer === NO_BUFFER) return { buffer: backend.nothing(), offset: 0, size: 16 };
      const slot = slotOf.get(buffer);
      return slot === undefined ? (places.get(buffer) as Slice) : { slot, bytes: sizeOf(buffers[buffer]) };
    },
  };
}

/** Gives constants that are used buffers of their own, and says how many bytes. */
function placeConstants(
  { commands }: GpuBackend,
  memory: PlanMemory,
  { buffers, constants, early, steps, outputs }: Placed,
  places: Map<number, Slice>,
): number {
  const used = new Set(outputs.map(({ buffer }) => buffer));
  for (const step of [...early, ...steps]) {
    for (const buffer of [...step.inputs, ...step.outputs]) used.add(buffer);
  }
  let bytes = 0;
  for (const number of used) {
    if (!constants.has(number) || places.has(number)) continue;
    const { values } = buffers[number];
    const size = sizeOf(buffers[number]);
    const buffer = memory.keep(size);
    bytes += buffer.size;
    if (values && values.length > 0) commands.write(buffer, values);
    places.set(number, { buffer, offset: 0, size });
  }
  return bytes;
}

/** Gives what is made in between its buffers, each from its first to its last use. */
function placeValues(
  { workspace }: PlanMemory,
  { buffers, steps }: Placed,
  slotOf: ReadonlyMap<number, number>,
  places: Map<number, Slice>,
): void {
  const last = new Map<number, number>();
  for (const [at, { inputs, outputs }] of steps.entries()) {
    for (const buffer of [...inputs, ...outputs]) last.set(buffer, at);
  }
  const taken = new Set<number>();
  const ending = new Map<number, number[]>();
  for (const [at, { inputs, outputs }] of steps.entries()) {
    for (const number of [...inputs, ...outputs]) {
      if (taken.has(number) || slotOf.has(number) || places.has(number)) continue;
      taken.add(number);
      const size = sizeOf(buffers[number]);
      places.set(number, { buffer: workspace.take(size), offset: 0, size });
      const end = last.get(number) as number;
      ending.set(end, [...(ending.get(end) ?? []), number]);
    }
    for (const number of ending.get(at) ?? []) workspace.giveBack((places.get(number) as Slice).buffer);
  }
}
