import { type TracedBuffer, traceDifference } from '@tenon-ml/core';
import type { DataType, TensorInfo } from '@tensorflow/tfjs-core';
import { bytesOf, type Data } from '../data.js';
import type { GpuBackend } from '../gpu_backend.js';
import type { Graph } from '../graph.js';
import type { Program } from '../program.js';

/** Data of a recorded call, by its number. */
export type Buffer = TracedBuffer;

/** One of our programs. */
export interface LaunchCommand {
  readonly kind: 'launch';
  readonly program: Program;
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  readonly words: readonly number[];
  readonly groups: readonly [number, number, number];
}

/** One of tfjs's programs: bound are its output, its inputs, its uniforms. */
export interface ForeignCommand {
  readonly kind: 'tfjs';
  readonly pipeline: GPUComputePipeline;
  readonly key: string;
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  readonly uniforms: Uint8Array;
  readonly groups: readonly [number, number, number];
}

/** Elementwise work. */
export interface MapCommand {
  readonly kind: 'map';
  readonly graph: Graph<number>;
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
}

export type Command = LaunchCommand | ForeignCommand | MapCommand;

/** A tensor of a recorded call: data under a shape. */
export interface Place {
  readonly buffer: number;
  readonly shape: readonly number[];
  readonly dtype: DataType;
}

/** What one call made the GPU do: commands, and the data that they work on. */
export class Trace {
  readonly buffers: Buffer[] = [];
  readonly commands: Command[] = [];
  /** Why this call can't be recorded. */
  reason: string | undefined;
  readonly #backend: GpuBackend;

  constructor(backend: GpuBackend, inputs: readonly TensorInfo[]) {
    this.#backend = backend;
    for (const tensor of inputs) {
      if (!isRecordable(tensor)) {
        this.unrecordable(`an argument is of ${tensor.dtype}`);
        continue;
      }
      const data = backend.dataOf(tensor);
      if (data.trace !== this) this.#number(data, 'argument', undefined);
    }
  }

  /** Gives new data its number; with bytes, it is a constant. */
  meet(data: Data, values: Uint8Array | undefined): void {
    this.#number(data, values ? 'constant' : 'value', values?.slice());
  }

  numberOf(tensor: TensorInfo): number {
    return this.#known(this.#backend.dataOf(tensor));
  }

  unrecordable(reason: string): void {
    this.reason ??= reason;
  }

  launch(
    program: Program,
    inputs: readonly Data[],
    outputs: readonly Data[],
    words: readonly number[],
    groups: readonly [number, number, number],
  ): void {
    this.commands.push({
      kind: 'launch',
      program,
      inputs: inputs.map((data) => this.#known(data)),
      outputs: outputs.map((data) => this.#known(data)),
      words: words.map((word) => word >>> 0),
      groups,
    });
  }

  foreign(
    pipeline: GPUComputePipeline,
    key: string,
    inputs: readonly Data[],
    output: Data,
    uniforms: Uint8Array,
    groups: readonly [number, number, number],
  ): void {
    this.commands.push({
      kind: 'tfjs',
      pipeline,
      key,
      inputs: inputs.map((data) => this.#known(data)),
      outputs: [this.#known(output)],
      uniforms,
      groups,
    });
  }

  map(graph: Graph<Data>): void {
    const operands = graph.operands.map((operand) => ({ ...operand, buffer: this.#known(operand.buffer) }));
    const outputs = graph.outputs.map(({ node, buffer }) => ({ node, buffer: this.#known(buffer) }));
    this.commands.push({
      kind: 'map',
      graph: { ...graph, operands, outputs },
      inputs: operands.map(({ buffer }) => buffer),
      outputs: outputs.map(({ buffer }) => buffer),
    });
  }

  #number(data: Data, kind: Buffer['kind'], values: Uint8Array | undefined): void {
    data.trace = this;
    data.number = this.buffers.length;
    const { dtype } = data;
    const bytes = bytesOf(data);
    this.buffers.push(values ? { kind, bytes, dtype, values } : { kind, bytes, dtype });
  }

  #known(data: Data): number {
    if (data.trace === this) return data.number as number;
    this.unrecordable('it uses a tensor that it was not given');
    return 0;
  }
}

/** Whether a tensor's values lie in one buffer. */
export function isRecordable({ dtype }: TensorInfo): boolean {
  return dtype !== 'string' && dtype !== 'complex64';
}

/** How two calls differ, in words; undefined if they did the same. */
export function difference(a: Trace, b: Trace): string | undefined {
  return traceDifference<Command>(a, b, { name: nameOf, fingerprint });
}

/** For messages: `gemm`, `conv2d_mm` of tfjs, the expression of elementwise work. */
function nameOf(command: Command): string {
  if (command.kind === 'launch') return command.program.key.split(/[ :]/)[0];
  if (command.kind === 'tfjs') return `tfjs's ${command.key.split('_')[0]}`;
  return `elementwise ${command.graph.nodes.map(({ code }) => code).join('; ')}`;
}

function fingerprint(command: Command): string {
  const { inputs, outputs } = command;
  if (command.kind === 'launch') {
    return JSON.stringify([command.program.key, inputs, outputs, command.words, command.groups]);
  }
  if (command.kind === 'tfjs') {
    return JSON.stringify([command.key, inputs, outputs, [...command.uniforms], command.groups]);
  }
  return JSON.stringify(command.graph);
}
