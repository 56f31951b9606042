import { bytesOf, type Data, whole } from './data.js';
import type { Device, Slice } from './device.js';

/** How an arena is divided. Two of one `key` are divided alike, whoever asked for them. */
export interface ArenaLayout {
  readonly key: string;
  readonly element: 'f32' | 'i32';
  readonly bytes: number;
  /** Of each slice, in bytes. */
  readonly offsets: readonly number[];
  readonly sizes: readonly number[];
}

/** Lays slices of so many bytes out one after the other, each where it may be bound by itself. */
export function layOut(element: 'f32' | 'i32', sizes: readonly number[], alignment: number): ArenaLayout {
  let bytes = 0;
  const offsets = sizes.map((size) => {
    const offset = Math.ceil(bytes / alignment) * alignment;
    bytes = offset + size;
    return offset;
  });
  return { key: `${element} ${sizes.join()}`, element, bytes, offsets, sizes };
}

/** Where data lies in an arena. */
export interface ArenaPlace {
  readonly arena: Arena;
  readonly slice: number;
}

/**
 * One buffer for the data of many tensors, which elementwise work reads and writes by one binding: a buffer can't be bound
 * for both in one dispatch otherwise, even at disjoint offsets. Slices are taken and freed one by one; the buffer goes
 * back to the pool when the last one is free, and nobody holds it.
 */
export class Arena {
  readonly layout: ArenaLayout;
  readonly buffer: GPUBuffer;
  readonly #device: Device;
  readonly #owners: (Data | undefined)[];
  #holders = 0;

  constructor(device: Device, layout: ArenaLayout) {
    this.#device = device;
    this.layout = layout;
    this.buffer = device.acquire(layout.bytes);
    this.#owners = layout.sizes.map(() => undefined);
  }

  /** The data that lies in a slice. */
  owner(slice: number): Data | undefined {
    return this.#owners[slice];
  }

  at(slice: number): Slice {
    const { offsets, sizes } = this.layout;
    return { buffer: this.buffer, offset: offsets[slice], size: sizes[slice] };
  }

  /** Makes a slice that is free the place of some data. */
  take(slice: number, data: Data): void {
    this.#owners[slice] = data;
    data.resource = this.buffer;
    data.place = { arena: this, slice };
    this.hold();
  }

  /** Takes a slice from the data that lies there, which has no values any more then. */
  free(slice: number): void {
    const data = this.#owners[slice];
    if (!data) return;
    this.#owners[slice] = undefined;
    data.resource = null;
    delete data.place;
    this.letGo();
  }

  /** Keeps the buffer, whatever is freed, until `letGo`. */
  hold(): void {
    this.#holders++;
  }

  letGo(): void {
    if (--this.#holders === 0) this.#device.release(this.buffer);
  }
}

/** Gives data that lies in an arena a buffer of its own, and leaves its bytes in the slice, which is free then. */
export function moveOut(device: Device, data: Data): void {
  const { place } = data;
  if (!place) return;
  const size = bytesOf(data);
  const buffer = device.acquire(size);
  device.copy(whole(data), { buffer, offset: 0, size });
  place.arena.free(place.slice);
  data.resource = buffer;
}

/**
 * An arena in which these data, or copies of them, lie in the order of its slices, ready to be written over. Most often
 * that is the one in which they lie already; whatever else lies there, or is somebody else's too, moves out. The arena
 * is held for the caller. Where this throws, all data have the values that they had.
 */
export function settle(device: Device, layout: ArenaLayout, data: readonly Data[]): Arena {
  const arena = arenaOfMost(layout, data) ?? new Arena(device, layout);
  arena.hold();
  try {
    const isThere = data.map((one, slice) => arena.owner(slice) === one);
    for (const [slice, one] of data.entries()) {
      const owner = arena.owner(slice);
      if (owner && (owner !== one || owner.refCount > 1)) moveOut(device, owner);
    }
    for (const [slice, one] of data.entries()) {
      if (!isThere[slice]) device.copy(whole(one), arena.at(slice));
    }
  } catch (error) {
    arena.letGo();
    throw error;
  }
  return arena;
}

/** The arena of this layout where more than half of the data lie in their places. */
function arenaOfMost({ key }: ArenaLayout, data: readonly Data[]): Arena | undefined {
  const counts = new Map<Arena, number>();
  for (const [slice, { place }] of data.entries()) {
    if (place?.slice !== slice || place.arena.layout.key !== key) continue;
    const count = (counts.get(place.arena) ?? 0) + 1;
    if (2 * count > data.length) return place.arena;
    counts.set(place.arena, count);
  }
  return undefined;
}
