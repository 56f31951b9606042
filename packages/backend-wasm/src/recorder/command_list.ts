import { RecordingMismatch } from '@tenon-ml/core';
import type { DataType, NamedTensorInfoMap, TensorInfo } from '@tensorflow/tfjs-core';
import type { EngineBackend } from '../engine_backend.js';
import { Entry } from '../entry.js';
import type { Command, HostCommand, LaunchCommand } from './trace.js';

/** Where a buffer lies: in the block of constants, in the workspace, or wherever a slot points in this replay. */
export interface Location {
  readonly base: 'constants' | 'workspace' | 'slot';
  /** In bytes; of a slot, its number. */
  readonly offset: number;
}

/** What is known of a buffer of the recording. */
export interface BufferInfo {
  readonly location: Location;
  readonly bytes: number;
  readonly dtype: DataType;
}

/** A stretch of commands that run inside the module, or a kernel in JavaScript. */
type Segment = { readonly begin: number; readonly end: number } | { readonly host: HostCall };

interface HostCall {
  readonly command: HostCommand;
  readonly inputs: NamedTensorInfoMap;
  /** Where each result goes; null for one that is an input. */
  readonly targets: readonly (Entry | null)[];
}

/**
 * Commands as data in the engine's memory (the format is in `assembly/run.ts`), with kernels in JavaScript between
 * them. Pointers are filled in when they are known: `bind` for the workspace, `run` for the slots that have moved.
 */
export class CommandList {
  readonly #backend: EngineBackend;
  readonly #block: Entry;
  readonly #words: Int32Array;
  readonly #segments: Segment[] = [];
  /** Where pointers into the workspace stand among the words, and their offsets. */
  readonly #workspaceWords: { readonly at: number; readonly offset: number }[] = [];
  /** Where the pointer of each slot stands. */
  readonly #slotWords: number[][] = [];
  readonly #bound: number[] = [];
  /** Stand-ins for tensors, which kernels in JavaScript find their operands by. */
  readonly #entries = new Map<number, { readonly entry: Entry; readonly location: Location }>();

  constructor(
    backend: EngineBackend,
    commands: readonly Command[],
    info: (buffer: number) => BufferInfo,
    constants: number,
  ) {
    this.#backend = backend;
    const words: number[] = [];
    const pushPointer = (buffer: number): void => {
      const { base, offset } = buffer < 0 ? NOWHERE : info(buffer).location;
      if (base === 'workspace') this.#workspaceWords.push({ at: words.length, offset });
      if (base === 'slot') (this.#slotWords[offset] ??= []).push(words.length);
      words.push(base === 'constants' ? (buffer < 0 ? 0 : constants + offset) : 0);
    };
    const pushLaunch = ({ kernel, parts, inputs, outputs, integers }: LaunchCommand): void => {
      const count = inputs.length + outputs.length + integers.length;
      words.push(backend.kernels.places[kernel], parts, count);
      for (const buffer of inputs) pushPointer(buffer);
      for (const buffer of outputs) pushPointer(buffer);
      words.push(...integers);
    };
    let begin = 0;
    const closeSegment = (): void => {
      if (words.length > begin) this.#segments.push({ begin: 4 * begin, end: 4 * words.length });
      begin = words.length;
    };
    for (const command of commands) {
      if (command.kind === 'launch') {
        pushLaunch(command);
      } else {
        closeSegment();
        this.#segments.push({ host: this.#hostCall(command, info, constants) });
      }
    }
    closeSegment();
    this.#block = backend.take(Math.max(4, 4 * words.length), 'int32');
    this.#words = this.#block.values as Int32Array;
    this.#words.set(words);
  }

  /** Points what is in the workspace to its place in it. */
  bind(workspace: number): void {
    for (const { at, offset } of this.#workspaceWords) this.#words[at] = workspace + offset;
    for (const { entry, location } of this.#entries.values()) {
      if (location.base === 'workspace') entry.moveTo(workspace + location.offset);
    }
  }

  /** Runs everything, with slots at these pointers. */
  run(pointers: readonly number[]): void {
    for (let slot = 0; slot < pointers.length; slot++) {
      const pointer = pointers[slot];
      if (this.#bound[slot] === pointer) continue;
      this.#bound[slot] = pointer;
      for (const at of this.#slotWords[slot] ?? NONE) this.#words[at] = pointer;
    }
    for (const { entry, location } of this.#entries.values()) {
      if (location.base === 'slot' && entry.pointer !== pointers[location.offset])
        entry.moveTo(pointers[location.offset]);
    }
    const { run } = this.#backend.kernels;
    const list = this.#block.pointer;
    for (const segment of this.#segments) {
      if ('host' in segment) this.#runHost(segment.host);
      else run(list + segment.begin, list + segment.end);
    }
  }

  dispose(): void {
    this.#backend.release(this.#block);
    for (const { entry } of this.#entries.values()) this.#backend.data.delete(entry);
  }

  #hostCall(command: HostCommand, info: (buffer: number) => BufferInfo, constants: number): HostCall {
    const standIn = (buffer: number): Entry => {
      const known = this.#entries.get(buffer);
      if (known) return known.entry;
      const { location, bytes, dtype } = info(buffer);
      const entry = new Entry(
        this.#backend,
        location.base === 'constants' ? constants + location.offset : 0,
        bytes,
        dtype,
      );
      // Kernels take and drop references; none of them may be the last.
      entry.refCount = 2 ** 30;
      this.#backend.data.set(entry, entry as never);
      this.#entries.set(buffer, { entry, location });
      return entry;
    };
    const inputs = Object.fromEntries(
      Object.entries(command.operands).map(([name, { buffer, shape, dtype }]) => [
        name,
        { dataId: standIn(buffer), shape: [...shape], dtype },
      ]),
    );
    return {
      command,
      inputs: command.listed ? (Object.values(inputs) as unknown as typeof inputs) : inputs,
      targets: command.results.map((place) => (place ? standIn(place.buffer) : null)),
    };
  }

  #runHost({ command, inputs, targets }: HostCall): void {
    const backend = this.#backend;
    const { kernel, kernelFunc, attrs, results } = command;
    const result = backend.runHostKernel(kernel, kernelFunc, { inputs, backend, attrs: attrs as never });
    const list: TensorInfo[] = Array.isArray(result) ? result : [result];
    let fits = list.length === targets.length;
    for (const [i, tensor] of list.entries()) {
      const place = results[i];
      const target = targets[i];
      if (place && target) {
        const same = tensor.dtype === place.dtype && String(tensor.shape) === String(place.shape);
        if (same) target.values = backend.block(tensor).values;
        fits &&= same;
      }
      backend.disposeData(tensor.dataId);
    }
    if (!fits) throw new RecordingMismatch(`the shape that ${kernel} gives depends on values`);
  }
}

const NOWHERE: Location = { base: 'constants', offset: 0 };
const NONE: readonly number[] = [];
