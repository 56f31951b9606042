import { type TracedBuffer, traceDifference } from '@tenon-ml/core';
import type { DataType, KernelFunc, TensorInfo } from '@tensorflow/tfjs-core';
import type { EngineBackend } from '../engine_backend.js';
import type { Entry } from '../entry.js';
import type { KernelName } from '../module/kernels.js';

type KernelArguments = Parameters<KernelFunc>[0];

/** Data of a recorded call, by its number. */
export type Buffer = TracedBuffer;

/** A kernel of ours: the numbers of the blocks (−1 for none) in the place of their pointers. */
export interface LaunchCommand {
  readonly kind: 'launch';
  readonly kernel: KernelName;
  readonly parts: number;
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  readonly integers: readonly number[];
}

/** A tensor of a recorded call: a block under a shape. */
export interface Place {
  readonly buffer: number;
  readonly shape: readonly number[];
  readonly dtype: DataType;
}

/** A kernel in JavaScript. It runs again at each replay; its results are copied to where they are wanted. */
export interface HostCommand {
  readonly kind: 'host';
  readonly kernel: string;
  readonly kernelFunc: KernelFunc;
  readonly operands: { readonly [name: string]: Place };
  /** Whether the operands are a list (of Concat, Pack, AddN), whose places are their names. */
  readonly listed: boolean;
  readonly attrs: object | undefined;
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  /** Of each result, in order; null for one that is an input under another name. */
  readonly results: readonly (Place | null)[];
}

export type Command = LaunchCommand | HostCommand;

/** What one call made the engine do: commands, and the blocks that they work on. */
export class Trace {
  readonly buffers: Buffer[] = [];
  readonly commands: Command[] = [];
  /** Why this call can't be recorded. */
  reason: string | undefined;
  readonly #backend: EngineBackend;

  constructor(backend: EngineBackend, inputs: readonly TensorInfo[]) {
    this.#backend = backend;
    for (const tensor of inputs) {
      const entry = backend.block(tensor);
      if (entry.trace !== this) this.meet(entry, 'argument');
    }
  }

  /** Gives a block its number. */
  meet(entry: Entry, kind: Buffer['kind']): void {
    entry.trace = this;
    entry.number = this.buffers.length;
    const { bytes, dtype } = entry;
    const values = kind === 'constant' ? bytesIn(entry) : undefined;
    this.buffers.push(values ? { kind, bytes, dtype, values } : { kind, bytes, dtype });
  }

  /** The number of a tensor's block. */
  numberOf(tensor: TensorInfo): number {
    return this.#known(this.#backend.block(tensor));
  }

  unrecordable(reason: string): void {
    this.reason ??= reason;
  }

  launch(
    kernel: KernelName,
    parts: number,
    inputs: readonly (Entry | null)[],
    outputs: readonly Entry[],
    integers: readonly number[],
  ): void {
    this.commands.push({
      kind: 'launch',
      kernel,
      parts,
      inputs: inputs.map((entry) => (entry ? this.#known(entry) : -1)),
      outputs: outputs.map((entry) => this.#known(entry)),
      integers: [...integers],
    });
  }

  host(
    kernel: string,
    kernelFunc: KernelFunc,
    { inputs, attrs }: KernelArguments,
    result: TensorInfo | TensorInfo[],
  ): void {
    if (dependsOnValues.has(kernel)) {
      this.unrecordable(`the shape that ${kernel} gives depends on values`);
      return;
    }
    const operands: { [name: string]: Place } = {};
    const known = new Set<number>();
    for (const [name, tensor] of Object.entries(inputs)) {
      // Optional ones are absent or null.
      if (!tensor) continue;
      if (!isNumeric(tensor as TensorInfo)) this.unrecordable(`${kernel} takes ${tensor.dtype}`);
      const place = this.#placeOf(tensor as TensorInfo);
      operands[name] = place;
      known.add(place.buffer);
    }
    const results: (Place | null)[] = [];
    for (const tensor of Array.isArray(result) ? result : [result]) {
      if (!isNumeric(tensor)) this.unrecordable(`${kernel} gives ${tensor.dtype}`);
      const place = this.#placeOf(tensor);
      results.push(known.has(place.buffer) ? null : place);
    }
    const outputs = results.flatMap((place) => (place ? [place.buffer] : []));
    if (outputs.length === 0) return;
    this.commands.push({
      kind: 'host',
      kernel,
      kernelFunc,
      operands,
      listed: Array.isArray(inputs),
      attrs: attrs as object | undefined,
      inputs: [...known],
      outputs,
      results,
    });
  }

  #placeOf(tensor: TensorInfo): Place {
    return { buffer: this.numberOf(tensor), shape: [...tensor.shape], dtype: tensor.dtype };
  }

  #known(entry: Entry): number {
    if (entry.trace === this) return entry.number;
    this.unrecordable('it uses a tensor that it was not given');
    return 0;
  }
}

/** How two calls differ, in words; undefined if they did the same. */
export function difference(a: Trace, b: Trace): string | undefined {
  return traceDifference<Command>(a, b, { name: ({ kernel }) => kernel, fingerprint });
}

function fingerprint(command: Command): string {
  const { kind, kernel, inputs, outputs } = command;
  if (kind === 'launch') return JSON.stringify([kernel, command.parts, inputs, outputs, command.integers]);
  // NaN, infinities and −0, which JSON doesn't tell apart from others.
  const exact = (_: string, value: unknown): unknown =>
    typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0))
      ? `number ${Object.is(value, -0) ? '-0' : value}`
      : value;
  return JSON.stringify([kernel, inputs, outputs, command.operands, command.results, command.attrs], exact);
}

function isNumeric({ dtype }: TensorInfo): boolean {
  return dtype !== 'string' && dtype !== 'complex64';
}

function bytesIn(entry: Entry): Uint8Array {
  return new Uint8Array(entry.owner.pool.memory.buffer, entry.pointer, entry.bytes).slice();
}

/** Kernels of tfjs whose output has a shape that only values decide. */
const dependsOnValues: ReadonlySet<string> = new Set([
  'NonMaxSuppressionV3',
  'NonMaxSuppressionV4',
  'NonMaxSuppressionV5',
  'RaggedGather',
  'RaggedRange',
  'RaggedTensorToTensor',
  'SparseFillEmptyRows',
  'SparseReshape',
  'SparseSegmentMean',
  'SparseSegmentSum',
  'StringNGrams',
  'StringSplit',
  'Unique',
  'Where',
]);
