import { TenonError } from '@tenon-ml/core';

const PAGE = 65536;
/** Of every block: a cache line, and four vectors. */
const ALIGNMENT = 64;
/** The first page is nobody's: a null pointer that is followed shows. */
const FIRST = PAGE;

/**
 * The memory under an engine: one shared `WebAssembly.Memory` and who has which part of it.
 *
 * Shared always, whether or not there are threads: views of a shared memory stay valid when it grows, and browsers
 * allow it without cross-origin isolation as long as no worker is sent it.
 *
 * Sizes are rounded up to classes, at most an eighth apart, each with a list of free blocks: a training step that
 * frees and takes the same sizes again finds them in constant time, and a memory that is full is searched for
 * neighbours that are free before anyone is told.
 */
export class Memory {
  readonly memory: WebAssembly.Memory;
  /** Bytes that are in use, padding included. */
  inUse = 0;
  /** The most that `inUse` has been. */
  peak = 0;
  /** Fills what is freed with 0xff (NaN, −1), so that a use after the end shows. */
  readonly #poison: boolean;
  readonly #limit: number;
  readonly #free: number[][] = [];
  /** Free stretches between blocks that belong to no class, from low to high. */
  #stretches: { start: number; end: number }[] = [];
  #top = FIRST;

  constructor(options: { readonly limit?: number; readonly poison?: boolean } = {}) {
    this.#poison = options.poison ?? false;
    const { memory, maximum } = createMemory(options.limit);
    this.memory = memory;
    this.#limit = maximum;
  }

  /** The size of the memory, in bytes: what the process has reserved for it. It never shrinks. */
  get size(): number {
    return this.memory.buffer.byteLength;
  }

  /** A pointer to at least `bytes` bytes, aligned and padded. Throws `OUT_OF_MEMORY`. */
  allocate(bytes: number): number {
    const index = classOf(bytes);
    const size = sizeOfClass(index);
    const pointer = this.#free[index]?.pop() ?? this.#fromStretches(size) ?? this.#fromTop(size);
    if (pointer === undefined) throw this.#outOfMemory(bytes);
    this.inUse += size;
    if (this.inUse > this.peak) this.peak = this.inUse;
    return pointer;
  }

  /** Takes back what `allocate(bytes)` gave. */
  free(pointer: number, bytes: number): void {
    const index = classOf(bytes);
    this.inUse -= sizeOfClass(index);
    if (this.#poison) new Uint8Array(this.memory.buffer, pointer, sizeOfClass(index)).fill(0xff);
    (this.#free[index] ??= []).push(pointer);
  }

  /** How much `allocate(bytes)` takes. */
  static roundedSize(bytes: number): number {
    return sizeOfClass(classOf(bytes));
  }

  #fromTop(size: number): number | undefined {
    if (this.#top + size <= this.size) return this.#take(size);
    // Where much lies free in small pieces, putting them together may save growing.
    const free = this.size - this.inUse - FIRST;
    const merged = free > 2 * size && free > this.size / 4;
    if (merged) {
      const found = this.#merge(size);
      if (found !== undefined) return found;
    }
    if (this.#grow(size)) return this.#take(size);
    return merged ? undefined : this.#merge(size);
  }

  #take(size: number): number {
    const pointer = this.#top;
    this.#top += size;
    return pointer;
  }

  #fromStretches(size: number): number | undefined {
    const place = this.#stretches.findIndex(({ start, end }) => end - start >= size);
    if (place < 0) return undefined;
    const stretch = this.#stretches[place];
    const pointer = stretch.start;
    stretch.start += size;
    if (stretch.start === stretch.end) this.#stretches.splice(place, 1);
    return pointer;
  }

  /** Makes room for `size` bytes above the top, and for an eighth more where there is any. */
  #grow(size: number): boolean {
    const missing = Math.ceil((this.#top + size - this.size) / PAGE);
    for (const pages of [Math.max(missing, 16, Math.ceil(this.size / PAGE / 8)), missing]) {
      if (this.size + pages * PAGE > this.#limit) continue;
      try {
        this.memory.grow(pages);
        return true;
      } catch {
        // The maximum, or the machine's memory, is reached.
      }
    }
    return false;
  }

  /** Takes all free blocks out of their classes, joins those that adjoin, and takes `size` bytes of them. */
  #merge(size: number): number | undefined {
    const pieces = [...this.#stretches];
    for (const [index, pointers] of this.#free.entries()) {
      for (const start of pointers ?? []) pieces.push({ start, end: start + sizeOfClass(index) });
    }
    this.#free.length = 0;
    pieces.sort((a, b) => a.start - b.start);
    const joined: { start: number; end: number }[] = [];
    for (const piece of pieces) {
      const last = joined[joined.length - 1];
      if (last && last.end === piece.start) last.end = piece.end;
      else joined.push({ ...piece });
    }
    const last = joined[joined.length - 1];
    if (last && last.end === this.#top) {
      this.#top = last.start;
      joined.pop();
    }
    this.#stretches = joined;
    return this.#fromStretches(size) ?? (this.#top + size <= this.size ? this.#take(size) : undefined);
  }

  #outOfMemory(bytes: number): TenonError {
    return new TenonError({
      code: 'OUT_OF_MEMORY',
      where: 'wasm',
      expected: `room for ${inWords(bytes)}`,
      got: `${inWords(this.inUse)} in use of ${inWords(this.size)}, which can't grow enough (at most ${inWords(this.#limit)})`,
      hint: 'Take smaller batches or a smaller network, or free what is not needed: release(), dispose().',
    });
  }
}

/** The largest maximum that the host reserves addresses for: 4 GiB on 64-bit hosts. */
function createMemory(limit?: number): { memory: WebAssembly.Memory; maximum: number } {
  const initial = 16;
  const wanted = limit === undefined ? 65536 : Math.max(initial, Math.floor(limit / PAGE));
  for (let maximum = wanted; ; maximum = maximum >> 1) {
    try {
      const memory = new WebAssembly.Memory({ initial, maximum, shared: true });
      return { memory, maximum: maximum * PAGE };
    } catch (cause) {
      if (maximum >> 1 > initial && cause instanceof RangeError) continue;
      throw new TenonError({
        code: 'BACKEND_UNAVAILABLE',
        where: 'wasm',
        message: 'this host gives no shared WebAssembly memory',
        hint: 'Node 20.19 or newer and current browsers do.',
        cause,
      });
    }
  }
}

/** Multiples of 64 up to 1 KiB; from there eight classes to each doubling. */
function classOf(bytes: number): number {
  const lines = Math.max(1, Math.ceil(bytes / ALIGNMENT));
  if (lines <= 16) return lines - 1;
  const octave = 31 - Math.clz32(lines - 1);
  return 16 + (octave - 4) * 8 + ((lines - 1) >>> (octave - 3)) - 8;
}

function sizeOfClass(index: number): number {
  if (index < 16) return (index + 1) * ALIGNMENT;
  const octave = 4 + ((index - 16) >> 3);
  return (9 + ((index - 16) & 7)) * 2 ** (octave - 3) * ALIGNMENT;
}

function inWords(bytes: number): string {
  if (bytes >= 2 ** 30) return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  if (bytes >= 2 ** 20) return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  return `${Math.ceil(bytes / 1024)} KiB`;
}
