import type { Command, Trace } from './trace.js';

/** What of a trace has to run, and when. */
export interface Schedule {
  /** Commands whose inputs are constants: they run once. */
  readonly once: readonly Command[];
  /** Commands of every replay. */
  readonly each: readonly Command[];
  /** Numbers of the buffers that are the same in every replay. */
  readonly constants: ReadonlySet<number>;
}

/**
 * Leaves out what no output needs, and sets apart what depends on constants alone: tfjs's gradients compute some of
 * both at every step (gradients of inputs, ones, masks).
 */
export function scheduleOf(trace: Trace, outputs: readonly number[]): Schedule {
  const needed = neededCommands(trace.commands, outputs);
  const constants = constantBuffers(trace, needed);
  const isConstant = (command: Command): boolean => command.outputs.every((buffer) => constants.has(buffer));
  return {
    once: needed.filter(isConstant),
    each: needed.filter((command) => !isConstant(command)),
    constants,
  };
}

function neededCommands(commands: readonly Command[], outputs: readonly number[]): Command[] {
  const wanted = new Set(outputs);
  const needed: Command[] = [];
  for (let i = commands.length - 1; i >= 0; i--) {
    const command = commands[i];
    // A buffer stays wanted above its writer: several commands may each write a part of it.
    if (!command.outputs.some((buffer) => wanted.has(buffer))) continue;
    needed.push(command);
    for (const buffer of command.inputs) wanted.add(buffer);
  }
  return needed.reverse();
}

function constantBuffers(trace: Trace, commands: readonly Command[]): ReadonlySet<number> {
  const constants = new Set<number>();
  for (const [number, { kind }] of trace.buffers.entries()) if (kind !== 'argument') constants.add(number);
  // From all but the arguments down to those that no argument reaches.
  for (let before = -1; before !== constants.size; ) {
    before = constants.size;
    for (const { inputs, outputs } of commands) {
      const fixed =
        inputs.every((buffer) => buffer < 0 || constants.has(buffer)) &&
        outputs.every((buffer) => constants.has(buffer));
      if (!fixed) for (const buffer of outputs) constants.delete(buffer);
    }
  }
  return constants;
}

/** A buffer's place in time, in numbers of commands, both ends included. */
export interface Lifetime {
  readonly buffer: number;
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
}

/**
 * From when to when each buffer is in use, of those that commands touch and `elsewhere` doesn't name. What `fromStart`
 * has is there before the first command.
 */
export function lifetimesOf(
  commands: readonly Command[],
  elsewhere: (buffer: number) => boolean,
  bytesOf: (buffer: number) => number,
  fromStart: { has(buffer: number): boolean },
): Lifetime[] {
  const spans = new Map<number, { first: number; last: number }>();
  for (const [time, { inputs, outputs }] of commands.entries()) {
    for (const buffers of [inputs, outputs]) {
      for (const buffer of buffers) {
        if (buffer < 0 || elsewhere(buffer)) continue;
        const span = spans.get(buffer);
        if (span) span.last = time;
        else spans.set(buffer, { first: fromStart.has(buffer) ? -1 : time, last: time });
      }
    }
  }
  return [...spans].map(([buffer, span]) => ({ buffer, bytes: bytesOf(buffer), ...span }));
}

/** Where each buffer goes in one workspace, such that none meets another while both are alive. */
export interface Layout {
  readonly offsets: ReadonlyMap<number, number>;
  readonly bytes: number;
}

/** Large ones first, each at the lowest place that is free for its time. */
export function layOut(lifetimes: readonly Lifetime[]): Layout {
  const placed: { first: number; last: number; start: number; end: number }[] = [];
  const offsets = new Map<number, number>();
  let total = 0;
  for (const { buffer, bytes, first, last } of [...lifetimes].sort((a, b) => b.bytes - a.bytes)) {
    const size = Math.ceil(bytes / 64) * 64;
    const neighbours = placed
      .filter((other) => other.first <= last && first <= other.last)
      .sort((a, b) => a.start - b.start);
    let start = 0;
    for (const other of neighbours) {
      if (other.start - start >= size) break;
      start = Math.max(start, other.end);
    }
    offsets.set(buffer, start);
    placed.push({ first, last, start, end: start + size });
    total = Math.max(total, start + size);
  }
  return { offsets, bytes: total };
}
