import { type Graph, type Node, type Operand, ROOT } from '../graph.js';
import type { Buffer, Command, ForeignCommand, LaunchCommand } from './trace.js';

/** A dispatch of a plan: one of our programs with elementwise work joined to it, work by itself, or tfjs's. */
export type Step =
  | ForeignCommand
  | {
      readonly kind: 'ours';
      /** Undefined for elementwise work by itself. */
      readonly launch: LaunchCommand | undefined;
      readonly tail: Graph<number> | undefined;
      readonly heads: ReadonlyMap<number, Graph<number>>;
      readonly inputs: readonly number[];
      readonly outputs: readonly number[];
    };

type Ours = Extract<Step, { kind: 'ours' }>;

/** What steps are joined by. */
interface Facts {
  readonly buffers: readonly Buffer[];
  /** Of each buffer, the commands that write it. */
  readonly writers: ReadonlyMap<number, readonly number[]>;
  /** Outputs of the whole. */
  readonly kept: ReadonlySet<number>;
  /** Storage buffers that a program may have. */
  readonly bindings: number;
}

/**
 * Joins elementwise work to what it comes from and to what it goes to:
 *
 * - chains and bundles of elementwise work over as many elements become one dispatch of several outputs,
 * - work on what a program stores becomes its tail (a bias and a relu after a product),
 * - work that only a program reads, and about once, becomes its head (a square before a sum).
 *
 * What two steps do is done in the place of the second, if nothing between them reads what the first makes, or else in
 * the place of the first, if all that the second reads is there by then.
 *
 * Numbers may change in their last bits, as compilers contract a·b + c where they see both.
 */
export function fuse(
  commands: readonly Command[],
  outputs: readonly number[],
  { buffers, bindings }: Pick<Facts, 'buffers' | 'bindings'>,
): Step[] {
  const facts: Facts = { buffers, bindings, writers: writersOf(commands), kept: new Set(outputs) };
  const steps = new Steps(commands);
  // Elementwise work among itself first: an optimizer's moments belong to the choice that follows them, rather than to
  // the product that makes the gradient, since all gradients are looked at in between.
  for (const amongMaps of [true, false]) {
    for (let at = 0; at < commands.length; at++) {
      while (joinAt(steps, at, amongMaps, facts)) {
        // Whatever was joined may have brought another that can be.
      }
    }
  }
  return steps.all();
}

/** Joins the step to one that makes what it reads; whether it is still there, and there may be more to join. */
function joinAt(steps: Steps, at: number, amongMaps: boolean, facts: Facts): boolean {
  const step = steps.get(at);
  if (step?.kind !== 'ours' || (amongMaps && step.launch)) return false;
  for (const buffer of step.inputs) {
    const from = steps.producer(buffer);
    if (from === undefined || from >= at) continue;
    const before = steps.get(from);
    if (before?.kind !== 'ours' || (amongMaps && before.launch)) continue;
    if (!before.outputs.every((made) => facts.writers.get(made)?.length === 1)) continue;
    const wanted = new Set(
      before.outputs.filter(
        (made) => facts.kept.has(made) || steps.readers(made).some((reader) => reader !== at),
      ),
    );
    const joined = join(before, step, wanted, facts);
    if (!joined) continue;
    const isReadBetween = before.outputs.some((made) => steps.readers(made).some((reader) => reader < at));
    if (!isReadBetween && areUnchanged(before.inputs, from, at, facts)) {
      steps.replace(from, undefined);
      steps.replace(at, joined);
      return true;
    }
    const isThere = step.inputs.every((read) => (steps.producer(read) ?? -1) <= from);
    const isMadeOnce = step.outputs.every((made) => facts.writers.get(made)?.length === 1);
    if (isThere && isMadeOnce && step.launch === undefined && areUnchanged(step.inputs, from, at, facts)) {
      steps.replace(at, undefined);
      steps.replace(from, joined);
      return false;
    }
  }
  return false;
}

/** Whether no command after one and before another writes any of these buffers. */
function areUnchanged(
  read: readonly number[],
  from: number,
  to: number,
  { writers }: Pick<Facts, 'writers'>,
): boolean {
  return read.every((buffer) => !writers.get(buffer)?.some((at) => at > from && at < to));
}

/** Steps in the places of the commands that they come from, with who makes and who reads each buffer. */
class Steps {
  readonly #steps: (Step | undefined)[];
  readonly #readers = new Map<number, Set<number>>();
  readonly #producers = new Map<number, number>();

  constructor(commands: readonly Command[]) {
    this.#steps = commands.map((command) => stepOf(command));
    for (let at = 0; at < commands.length; at++) this.#enter(at);
  }

  get(at: number): Step | undefined {
    return this.#steps[at];
  }

  /** The place of the last step that writes a buffer; undefined for what is there from the beginning. */
  producer(buffer: number): number | undefined {
    return this.#producers.get(buffer);
  }

  readers(buffer: number): number[] {
    return [...(this.#readers.get(buffer) ?? [])];
  }

  replace(at: number, step: Step | undefined): void {
    for (const buffer of this.#steps[at]?.inputs ?? []) this.#readers.get(buffer)?.delete(at);
    this.#steps[at] = step;
    this.#enter(at);
  }

  all(): Step[] {
    return this.#steps.filter((step) => step !== undefined);
  }

  #enter(at: number): void {
    const step = this.#steps[at];
    for (const buffer of step?.inputs ?? []) {
      const known = this.#readers.get(buffer);
      if (known) known.add(at);
      else this.#readers.set(buffer, new Set([at]));
    }
    for (const buffer of step?.outputs ?? []) this.#producers.set(buffer, at);
  }
}

function stepOf(command: Command): Step {
  if (command.kind === 'tfjs') return command;
  if (command.kind === 'launch') return ours(command, undefined, new Map());
  return ours(undefined, command.graph, new Map());
}

function ours(
  launch: LaunchCommand | undefined,
  tail: Graph<number> | undefined,
  heads: ReadonlyMap<number, Graph<number>>,
): Ours {
  const inputs = new Set<number>();
  for (const [k, buffer] of (launch?.inputs ?? []).entries()) if (!heads.has(k)) inputs.add(buffer);
  for (const graph of [...heads.values(), ...(tail ? [tail] : [])]) {
    for (const { buffer } of graph.operands) inputs.add(buffer);
  }
  const outputs = tail ? tail.outputs.map(({ buffer }) => buffer) : (launch?.outputs ?? []);
  return { kind: 'ours', launch, tail, heads, inputs: [...inputs], outputs };
}

/** The step that does both, in the place of the second; undefined where there is none. */
function join(before: Ours, after: Ours, wanted: ReadonlySet<number>, facts: Facts): Ours | undefined {
  const joined = asTail(before, after, wanted, facts) ?? asHead(before, after, wanted);
  if (!joined) return undefined;
  const bindings = joined.outputs.length + (joined.launch?.inputs.length ?? 0) + extraInputs(joined);
  return bindings <= facts.bindings ? joined : undefined;
}

/** The bindings that heads and tail add to a program's own. */
function extraInputs({ tail, heads }: Ours): number {
  const extra = new Set<string>();
  for (const graph of [...heads.values(), ...(tail ? [tail] : [])]) {
    for (const { buffer, element } of graph.operands) extra.add(`${buffer} ${element}`);
  }
  return extra.size;
}

/** Elementwise work on what the step before makes, element by element. */
function asTail(
  before: Ours,
  after: Ours,
  wanted: ReadonlySet<number>,
  { buffers }: Facts,
): Ours | undefined {
  if (after.launch || !after.tail || after.heads.size > 0) return undefined;
  const first = before.tail ?? rootGraph(before.launch as LaunchCommand, after.tail.count);
  if (!first || first.count !== after.tail.count) return undefined;
  // A reader that looks elsewhere needs the values in memory.
  const made = new Set(first.outputs.map(({ buffer }) => buffer));
  for (const buffer of made) if (buffers[buffer].bytes !== 4 * first.count) return undefined;
  for (const { buffer, access } of after.tail.operands) {
    if (made.has(buffer) && access !== 'same') return undefined;
  }
  return ours(before.launch, concatenate(first, after.tail, wanted), before.heads);
}

/** What a program stores, as a graph of nothing; undefined where it can't have a tail, or not of this size. */
function rootGraph(launch: LaunchCommand, count: number): Graph<number> | undefined {
  const { program, outputs } = launch;
  if (!program.stores || outputs.length !== 1) return undefined;
  return { count, operands: [], nodes: [], outputs: [{ node: ROOT, buffer: outputs[0] }] };
}

/** Elementwise work that one program alone reads. */
function asHead(before: Ours, after: Ours, wanted: ReadonlySet<number>): Ours | undefined {
  const { launch } = after;
  if (!launch || before.launch || !before.tail || before.heads.size > 0) return undefined;
  if (wanted.size > 0 || before.tail.outputs.length !== 1) return undefined;
  const [{ buffer }] = before.tail.outputs;
  const places = launch.inputs.flatMap((input, k) => (input === buffer ? [k] : []));
  const graphs = [...after.heads.values(), ...(after.tail ? [after.tail] : [])];
  const read = graphs.some(({ operands }) => operands.some((operand) => operand.buffer === buffer));
  if (
    read ||
    places.length === 0 ||
    places.some((k) => !launch.program.loads?.includes(k) || after.heads.has(k))
  )
    return undefined;
  const heads = new Map(after.heads);
  for (const k of places) heads.set(k, before.tail);
  return ours(launch, after.tail, heads);
}

/** Both, one after the other; of the outputs of the first, those that are wanted. */
function concatenate(
  first: Graph<number>,
  second: Graph<number>,
  wanted: ReadonlySet<number>,
): Graph<number> {
  const operands: Operand<number>[] = [...first.operands];
  const nodes: Node[] = [...first.nodes];
  const made = new Map(first.outputs.map(({ node, buffer }) => [buffer, node]));
  // An operand's argument: a node of the first, or the operand under its new number.
  const argOf = second.operands.map((operand) => {
    const node = made.get(operand.buffer);
    if (node !== undefined) return node;
    const same = operands.findIndex(
      ({ buffer, element, access }) =>
        buffer === operand.buffer &&
        element === operand.element &&
        JSON.stringify(access) === JSON.stringify(operand.access),
    );
    return -1 - (same >= 0 ? same : operands.push(operand) - 1);
  });
  const shift = first.nodes.length;
  for (const node of second.nodes) {
    nodes.push({
      ...node,
      args: node.args.map((arg) => (arg === ROOT ? ROOT : arg >= 0 ? arg + shift : argOf[-1 - arg])),
    });
  }
  return {
    count: first.count,
    operands,
    nodes,
    outputs: [
      ...first.outputs.filter(({ buffer }) => wanted.has(buffer)),
      ...second.outputs.map(({ node, buffer }) => ({ node: node + shift, buffer })),
    ],
  };
}

function writersOf(commands: readonly Command[]): Map<number, number[]> {
  const writers = new Map<number, number[]>();
  for (const [at, { outputs }] of commands.entries()) {
    for (const buffer of outputs) {
      const known = writers.get(buffer);
      if (known) known.push(at);
      else writers.set(buffer, [at]);
    }
  }
  return writers;
}
