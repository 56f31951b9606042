import type { Origin } from '@tenon-ml/core';
import type { Slice } from '../device.js';
import type { GpuBackend } from '../gpu_backend.js';
import type { Whereabouts } from '../parts.js';
import { elementOf, HOST_SCALARS, hostScalar } from '../program.js';
import type { ArenaPlan } from './donation.js';
import type { PlanStep } from './merge.js';
import type { PlanMemory } from './plan_memory.js';
import type { Buffer, Place } from './trace.js';

/** An argument of the recorded call. */
export interface PlanInput {
  readonly buffer: number;
  /** One from the host comes as an NdArray, which a replay writes to its place. */
  readonly origin: Origin;
}

/** A number for what a program binds and doesn't read: its head makes the values. */
export const NO_BUFFER = -1;

/** What lies elsewhere in each replay: an input, by its number, a new output, or an arena, by its number. */
export type Slot =
  | { readonly input: number }
  | { readonly bytes: number; readonly place: Place }
  | { readonly arena: number };

/** Where something lies: in a slot of the replay, so many bytes from its beginning, or where it always does. */
export type Binding = { readonly slot: number; readonly offset: number; readonly bytes: number } | Slice;

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

/** Where an output lies: in a slot, or in a slice of an arena. */
export type OutputPlace = { readonly slot: number } | { readonly arena: number; readonly slice: number };

/** Where everything lies that a plan's steps read and write. */
export interface Places {
  readonly slots: readonly Slot[];
  readonly outputs: readonly OutputPlace[];
  /** Outputs that lie elsewhere already. */
  readonly copies: readonly { readonly from: Slice; readonly slot: number; readonly bytes: number }[];
  /** Bytes of buffers for constants. */
  readonly constantBytes: number;
  /** Where a buffer or a region lies. */
  locate(number: number): Binding;
  /** The region that a buffer is part of: an arena, a block, or the buffer itself; `offset` is in elements. */
  where(buffer: number): Whereabouts;
  /** The region of an arena. */
  regionOf(arena: number): number;
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
  for (const [input, { buffer, origin }] of inputs.entries()) {
    if (origin !== 'host') continue;
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
  readonly early: readonly PlanStep[];
  /** Steps of each replay, the arenas that they write, and the blocks that values in between lie in together. */
  readonly steps: readonly PlanStep[];
  readonly arenas: readonly ArenaPlan[];
  readonly blocks: readonly (readonly number[])[];
  /** What begins in a buffer is aligned to. */
  readonly alignment: number;
  /** Where host values lie. */
  readonly host: { readonly buffer: GPUBuffer; readonly offsets: ReadonlyMap<number, number> };
}

/**
 * Arguments and outputs have slots, constants buffers of their own, and what is made in between shares buffers by
 * lifetime. An output that is a constant, a host value, or an argument's other name is copied or handed through; one that
 * is written over an argument lies in the arena where that does.
 */
export function placeAll(backend: GpuBackend, memory: PlanMemory, placed: Placed): Places {
  const { buffers, inputs, host, arenas, blocks } = placed;
  const slots: Slot[] = [];
  const places = new Map<number, Binding>();
  const regions = new Map<number, Whereabouts>();
  // Regions have the numbers after those of the buffers.
  const regionOf = (arena: number): number => buffers.length + arena;
  for (const [arena, { layout, pairs }] of arenas.entries()) {
    const slot = slots.push({ arena }) - 1;
    places.set(regionOf(arena), { slot, offset: 0, bytes: layout.bytes });
    for (const [slice, { given, made }] of pairs.entries()) {
      const offset = layout.offsets[slice];
      for (const buffer of [given, made]) {
        places.set(buffer, { slot, offset, bytes: layout.sizes[slice] });
        regions.set(buffer, { region: regionOf(arena), offset: offset / 4 });
      }
    }
  }
  for (const [input, { buffer, origin }] of inputs.entries()) {
    if (origin === 'host' || places.has(buffer)) continue;
    places.set(buffer, { slot: slots.push({ input }) - 1, offset: 0, bytes: sizeOf(buffers[buffer]) });
  }
  for (const [buffer, offset] of host.offsets) {
    places.set(buffer, { buffer: host.buffer, offset, size: sizeOf(buffers[buffer]) });
  }
  const constantBytes = placeConstants(backend, memory, placed, places);
  const { outputs, copies } = placeOutputs(placed, slots, places);
  const blockRegions = blocks.map((members, k) => blockOf(members, regionOf(arenas.length + k), placed));
  for (const { members } of blockRegions) for (const [buffer, at] of members) regions.set(buffer, at);
  placeValues(memory, placed, blockRegions, places);
  return {
    slots,
    outputs,
    copies,
    constantBytes,
    locate: (number) =>
      number === NO_BUFFER
        ? { buffer: backend.nothing(), offset: 0, size: 16 }
        : (places.get(number) as Binding),
    where: (buffer) => regions.get(buffer) ?? { region: buffer, offset: 0 },
    regionOf,
  };
}

/** Gives outputs their slots: directly, or by a copy of what is there already. */
function placeOutputs(
  { buffers, outputs: wanted, arenas }: Placed,
  slots: Slot[],
  places: Map<number, Binding>,
): Pick<Places, 'outputs' | 'copies'> {
  const copies: { from: Slice; slot: number; bytes: number }[] = [];
  const copied = new Map<number, number>();
  const outputs = wanted.map((place, output): OutputPlace => {
    for (const [arena, { pairs }] of arenas.entries()) {
      const slice = pairs.findIndex((pair) => pair.output === output);
      if (slice >= 0) return { arena, slice };
    }
    const { buffer } = place;
    const there = places.get(buffer);
    if (there && 'slot' in there) return { slot: there.slot };
    const known = copied.get(buffer);
    if (known !== undefined) return { slot: known };
    const bytes = sizeOf(buffers[buffer]);
    const slot = slots.push({ bytes, place }) - 1;
    if (there) {
      copied.set(buffer, slot);
      if (buffers[buffer].bytes > 0) copies.push({ from: there, slot, bytes });
    } else places.set(buffer, { slot, offset: 0, bytes });
    return { slot };
  });
  return { outputs, copies };
}

/** Gives constants that are used buffers of their own, and says how many bytes. */
function placeConstants(
  { commands }: GpuBackend,
  memory: PlanMemory,
  { buffers, constants, early, steps, outputs }: Placed,
  places: Map<number, Binding>,
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

/** Values in between that lie in one buffer, as a region of which each is a part. */
interface BlockRegion {
  readonly region: number;
  readonly bytes: number;
  readonly members: ReadonlyMap<number, Whereabouts>;
}

function blockOf(members: readonly number[], region: number, { buffers, alignment }: Placed): BlockRegion {
  let bytes = 0;
  const entries = members.map((buffer) => {
    const begin = Math.ceil(bytes / alignment) * alignment;
    bytes = begin + sizeOf(buffers[buffer]);
    return [buffer, { region, offset: begin / 4 }] as const;
  });
  return { region, bytes, members: new Map(entries) };
}

/** Gives what is made in between its buffers, each from its first to its last use; a block from that of any member. */
function placeValues(
  { workspace }: PlanMemory,
  { buffers, steps }: Placed,
  blocks: readonly BlockRegion[],
  places: Map<number, Binding>,
): void {
  const blockOfMember = new Map(
    blocks.flatMap((block) => [...block.members.keys()].map((one) => [one, block])),
  );
  const wholeOf = (buffer: number): number => blockOfMember.get(buffer)?.region ?? buffer;
  const used = steps.map(({ inputs, outputs }) => [...inputs, ...outputs]);
  const last = new Map<number, number>();
  for (const [at, numbers] of used.entries()) for (const number of numbers) last.set(wholeOf(number), at);
  const taken = new Map<number, GPUBuffer>();
  for (const [at, numbers] of used.entries()) {
    for (const number of numbers) {
      if (places.has(number)) continue;
      const block = blockOfMember.get(number);
      const whole = wholeOf(number);
      const size = block?.bytes ?? sizeOf(buffers[number]);
      const buffer = taken.get(whole) ?? workspace.take(size);
      taken.set(whole, buffer);
      places.set(whole, { buffer, offset: 0, size });
      for (const [member, { offset }] of block?.members ?? []) {
        places.set(member, { buffer, offset: 4 * offset, size: sizeOf(buffers[member]) });
      }
    }
    for (const [whole, buffer] of taken) {
      if (last.get(whole) !== at) continue;
      workspace.giveBack(buffer);
      taken.delete(whole);
    }
  }
}
