import type { DataType } from '@tensorflow/tfjs-core';

/** Data of a traced call, by its number. */
export interface TracedBuffer {
  readonly kind: 'argument' | 'constant' | 'value';
  readonly bytes: number;
  readonly dtype: DataType;
  /** Of a constant: a copy of its bytes. */
  readonly values?: Uint8Array;
}

/** What a backend wrote down of a call: data by number, and commands on it. */
export interface Traced<Command> {
  readonly buffers: readonly TracedBuffer[];
  readonly commands: readonly Command[];
}

/** What a backend tells of its commands. */
export interface CommandWords<Command> {
  /** For messages. */
  name(command: Command): string;
  /** Everything that has to be equal for a command to be repeated in another's place. */
  fingerprint(command: Command): string;
}

/**
 * How two calls differ, in words; undefined if they did the same: the same commands with the same constants, on data that
 * hang together alike. For recorders, whose `difference` it is.
 */
export function traceDifference<Command>(
  a: Traced<Command>,
  b: Traced<Command>,
  { name, fingerprint }: CommandWords<Command>,
): string | undefined {
  // Constants first: one that changes is the likeliest cause of whatever else does.
  for (let i = 0; i < Math.min(a.buffers.length, b.buffers.length); i++) {
    const [one, other] = [a.buffers[i], b.buffers[i]];
    if (one.kind !== 'constant' || other.kind !== 'constant') continue;
    if (one.dtype === other.dtype && one.bytes === other.bytes && !sameBytes(one.values, other.values)) {
      return `a constant made inside (${one.dtype}, ${one.bytes} bytes) changes from call to call: pass it as an argument`;
    }
  }
  for (let i = 0; i < Math.min(a.commands.length, b.commands.length); i++) {
    const [one, other] = [a.commands[i], b.commands[i]];
    if (name(one) !== name(other)) {
      return `command ${i + 1} is ${name(one)} in one call and ${name(other)} in the next`;
    }
    if (fingerprint(one) !== fingerprint(other)) {
      return `${name(one)} (command ${i + 1}) has other shapes, constants or operands from call to call`;
    }
  }
  if (a.commands.length !== b.commands.length) {
    return `one call has ${a.commands.length} commands, the next ${b.commands.length}`;
  }
  const same =
    a.buffers.length === b.buffers.length &&
    a.buffers.every(({ kind, bytes, dtype }, i) => {
      const other = b.buffers[i];
      return kind === other.kind && bytes === other.bytes && dtype === other.dtype;
    });
  return same ? undefined : 'the calls make tensors of other sizes';
}

function sameBytes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a !== undefined && b !== undefined && a.length === b.length && a.every((byte, i) => byte === b[i]);
}
