import type { Epilogue } from '../kernels/epilogues.js';
import type { KernelName } from '../module/kernels.js';
import type { Command, LaunchCommand } from './trace.js';

/**
 * Moves each relu into the product or convolution before it, where nothing else looks at what is between them. The bits
 * stay the same: the kernel applies it to the very number that it would have written.
 */
export function fuseRelus(
  commands: readonly Command[],
  outputs: readonly number[],
  epilogues: { readonly [K in KernelName]?: Epilogue },
): Command[] {
  const uses = countUses(commands, outputs);
  const writers = new Map<number, number[]>();
  for (const [i, command] of commands.entries()) {
    for (const buffer of command.outputs) {
      const known = writers.get(buffer);
      if (known) known.push(i);
      else writers.set(buffer, [i]);
    }
  }
  const fused: (Command | undefined)[] = [...commands];
  for (const [i, command] of commands.entries()) {
    if (command.kind !== 'launch' || command.kernel !== 'relu') continue;
    const [between] = command.inputs;
    const [result] = command.outputs;
    const [producer, ...others] = writers.get(between) ?? [];
    if (producer === undefined || others.length > 0 || uses.get(between) !== 1) continue;
    if (writers.get(result)?.length !== 1) continue;
    const before = fused[producer];
    const epilogue = before?.kind === 'launch' ? epilogues[before.kernel] : undefined;
    if (!epilogue) continue;
    fused[producer] = withRelu(before as LaunchCommand, epilogue, between, result);
    fused[i] = undefined;
  }
  return fused.filter((command) => command !== undefined);
}

function withRelu(
  launch: LaunchCommand,
  { flags, relu }: Epilogue,
  between: number,
  result: number,
): LaunchCommand {
  const integers = [...launch.integers];
  integers[flags] |= relu;
  return {
    ...launch,
    integers,
    outputs: launch.outputs.map((buffer) => (buffer === between ? result : buffer)),
  };
}

/** How often each buffer is read, as an input or as an output of the whole. */
function countUses(commands: readonly Command[], outputs: readonly number[]): Map<number, number> {
  const uses = new Map<number, number>();
  const use = (buffer: number): void => void uses.set(buffer, (uses.get(buffer) ?? 0) + 1);
  for (const { inputs } of commands) for (const buffer of inputs) use(buffer);
  for (const buffer of outputs) use(buffer);
  return uses;
}
