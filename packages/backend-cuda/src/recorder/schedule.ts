import type { Command, Trace } from './trace.js';

/** A command, and the buffers that nothing uses after it. */
export interface Step extends Command {
  readonly frees: readonly number[];
}

/** What a plan does when; buffers by their numbers. */
export interface Schedule {
  /** Constants that are uploaded once, since a command or an output uses them. */
  readonly uploads: readonly number[];
  /** Commands that hang on constants alone: they run once. */
  readonly once: readonly Command[];
  /** What of both the replays use: it is kept. */
  readonly kept: ReadonlySet<number>;
  /** The commands of a replay: those whose results are used. */
  readonly each: readonly Step[];
}

/** Orders a recorded call. `outputs` are the buffers that it gives, `tensors` the arguments that are tensors already. */
export function scheduleOf(
  { buffers, commands }: Trace,
  outputs: readonly number[],
  tensors: readonly number[],
): Schedule {
  const needed = neededOf(commands, outputs);
  const fixed = new Set<number>();
  for (const [number, { kind }] of buffers.entries()) if (kind === 'constant') fixed.add(number);
  const once: Command[] = [];
  const each: Command[] = [];
  for (const command of needed) {
    const isFixed = command.inputs.every((number) => fixed.has(number));
    (isFixed ? once : each).push(command);
    if (isFixed) for (const number of command.outputs) fixed.add(number);
  }
  const readBy = (list: readonly Command[]): number[] => list.flatMap(({ inputs }) => inputs);
  const kept = new Set([...readBy(each), ...outputs].filter((number) => fixed.has(number)));
  const used = new Set([...readBy(once), ...kept]);
  return {
    uploads: [...used].filter((number) => buffers[number].kind === 'constant'),
    once,
    kept,
    each: withFrees(each, [...outputs, ...tensors, ...fixed]),
  };
}

/** The commands whose results an output hangs on. */
function neededOf(commands: readonly Command[], outputs: readonly number[]): Command[] {
  const wanted = new Set(outputs);
  const needed: Command[] = [];
  for (const command of [...commands].reverse()) {
    if (!command.outputs.some((number) => wanted.has(number))) continue;
    needed.push(command);
    for (const number of command.inputs) wanted.add(number);
  }
  return needed.reverse();
}

/** Each command with what it is the last to use, or gives and nothing uses; `lasting` is left alone. */
function withFrees(commands: readonly Command[], lasting: readonly number[]): Step[] {
  const seen = new Set(lasting);
  const steps: Step[] = [];
  for (const command of [...commands].reverse()) {
    const frees: number[] = [];
    for (const number of [...command.inputs, ...command.outputs]) {
      if (seen.has(number)) continue;
      seen.add(number);
      frees.push(number);
    }
    steps.push({ ...command, frees });
  }
  return steps.reverse();
}
