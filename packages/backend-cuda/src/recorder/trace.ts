import { type TracedBuffer, traceDifference } from '@tenon-ml/core';
import type { TypedArray } from '@tensorflow/tfjs-core';
import { type Attribute, bytesOf, dtypeOf, type OpOutput, Type } from '../binding.js';

/** Data of a recorded call, by its number: an argument, a constant that was uploaded, or what an op gave. */
export interface Buffer extends TracedBuffer {
  readonly shape: readonly number[];
  /** One of `Type`. */
  readonly type: number;
}

/** An op of TensorFlow's on buffers, by their numbers. */
export interface Command {
  readonly op: string;
  readonly attributes: readonly Attribute[];
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
}

/** What one call made TensorFlow do. */
export class Trace {
  readonly buffers: Buffer[] = [];
  readonly commands: Command[] = [];
  /** Why this call can't be recorded. */
  reason: string | undefined;
  readonly #numbers = new Map<number, number>();

  /** Gives an argument its number; one that came before keeps it. */
  given(id: number, shape: readonly number[], type: number): number {
    return this.#numbers.get(id) ?? this.#meet(id, 'argument', shape, type);
  }

  created(id: number, shape: readonly number[], type: number, values: TypedArray | Uint8Array[]): void {
    if (Array.isArray(values)) {
      this.unrecordable('it makes a tensor of string');
      return;
    }
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength).slice();
    this.#meet(id, 'constant', shape, type, bytes);
  }

  ran(
    op: string,
    attributes: readonly Attribute[],
    inputs: readonly number[],
    outputs: readonly OpOutput[],
  ): void {
    if (dependsOnValues.has(op)) this.unrecordable(`the shape that ${op} gives depends on values`);
    if (stateful.has(op)) this.unrecordable(`${op} draws numbers of its own`);
    const read = inputs.map((id) => this.numberOf(id));
    const written = outputs.map(({ id, shape, dtype }) => this.#meet(id, 'value', shape, dtype));
    this.commands.push({ op, attributes, inputs: read, outputs: written });
  }

  numberOf(id: number): number {
    const number = this.#numbers.get(id);
    if (number !== undefined) return number;
    this.unrecordable('it uses a tensor that it was not given');
    return 0;
  }

  unrecordable(reason: string): void {
    this.reason ??= reason;
  }

  #meet(
    id: number,
    kind: Buffer['kind'],
    shape: readonly number[],
    type: number,
    values?: Uint8Array,
  ): number {
    if (type === Type.string) this.unrecordable('it makes a tensor of string');
    // Types that tfjs has no name for occur within kernels alone.
    const dtype = dtypeOf(type) ?? 'int32';
    const number = this.buffers.length;
    const buffer = { kind, shape, type, dtype, bytes: bytesOf(type, shape) };
    this.buffers.push(values ? { ...buffer, values } : buffer);
    this.#numbers.set(id, number);
    return number;
  }
}

/** How two calls differ, in words; undefined if they did the same. */
export function difference(a: Trace, b: Trace): string | undefined {
  const differs = traceDifference<Command>(a, b, { name: ({ op }) => op, fingerprint });
  if (differs !== undefined) return differs;
  const same = a.buffers.every(({ shape, type }, i) => {
    const other = b.buffers[i];
    return type === other.type && shape.join() === other.shape.join();
  });
  return same ? undefined : 'the calls make tensors of other shapes';
}

function fingerprint({ op, attributes, inputs, outputs }: Command): string {
  // NaN, infinities and −0, which JSON doesn't tell apart from others.
  const exact = (_: string, value: unknown): unknown =>
    typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0))
      ? `number ${Object.is(value, -0) ? '-0' : value}`
      : value;
  return JSON.stringify([op, attributes, inputs, outputs], exact);
}

/** Ops whose output has a shape that only values decide. */
const dependsOnValues: ReadonlySet<string> = new Set([
  'NonMaxSuppressionV3',
  'NonMaxSuppressionV4',
  'NonMaxSuppressionV5',
  'SparseSegmentMean',
  'SparseSegmentSum',
  'Unique',
  'UniqueV2',
  'Where',
]);

/** Ops that give other numbers each time. */
const stateful: ReadonlySet<string> = new Set(['Multinomial', 'RandomStandardNormal', 'RandomUniform']);
