import { composeAccess } from '../compose.js';
import type { Graph, Node, Operand } from '../graph.js';
import { f32Literal } from '../prelude.js';
import type { Buffer, Command, MapCommand } from './trace.js';

/** Commands that run once, when a plan is made, and those of each replay. */
export interface Schedule {
  readonly once: readonly Command[];
  readonly each: readonly Command[];
  /** Buffers that stay as they are from replay to replay. */
  readonly constants: ReadonlySet<number>;
}

/**
 * Reads what was copied where it lies, writes numbers that are known into the elementwise work that reads them, leaves out
 * what no output needs, and tells what depends on constants alone from the rest. `hostScalars` are buffers of one number
 * that comes from the host with the call, with the WGSL that reads it.
 */
export function simplify(
  commands: readonly Command[],
  buffers: readonly Buffer[],
  outputs: readonly number[],
  hostScalars: ReadonlyMap<number, string>,
): Schedule {
  const written = withoutUnused(withLiterals(throughCopies(commands), buffers, hostScalars), outputs);
  const variable = new Set<number>();
  for (const [buffer, { kind }] of buffers.entries()) if (kind === 'argument') variable.add(buffer);
  for (const command of written) {
    if (readsHost(command)) for (const buffer of command.outputs) variable.add(buffer);
  }
  const once: Command[] = [];
  const each: Command[] = [];
  // A buffer that several commands write is variable if one of them is.
  for (let before = -1; before !== variable.size; ) {
    before = variable.size;
    for (const { inputs, outputs: made } of written) {
      if ([...inputs, ...made].some((buffer) => variable.has(buffer))) {
        for (const buffer of made) variable.add(buffer);
      }
    }
  }
  for (const command of written) {
    (command.outputs.some((buffer) => variable.has(buffer)) ? each : once).push(command);
  }
  const constants = new Set(buffers.keys());
  for (const buffer of variable) constants.delete(buffer);
  return { once, each, constants };
}

function withoutUnused(commands: readonly Command[], outputs: readonly number[]): Command[] {
  const needed = new Set(outputs);
  const kept: Command[] = [];
  for (const command of commands.toReversed()) {
    if (!command.outputs.some((buffer) => needed.has(buffer))) continue;
    for (const buffer of command.inputs) needed.add(buffer);
    kept.push(command);
  }
  return kept.reverse();
}

/** Elementwise work that reads a copy by strides (a transposition, a slice) reads the original instead. */
function throughCopies(commands: readonly Command[]): Command[] {
  const writers = countWriters(commands);
  const originals = new Map<number, Operand<number>>();
  return commands.map((command) => {
    if (command.kind !== 'map') return command;
    const { graph } = command;
    const operands = graph.operands.map((operand) => {
      const original = originals.get(operand.buffer);
      const access = original && composeAccess(operand.access, original.access);
      return access ? { ...original, access } : operand;
    });
    const [operand] = operands;
    const isCopy = operands.length === 1 && graph.nodes.length === 1 && graph.nodes[0].code === '$0';
    const [{ buffer }] = graph.outputs;
    if (isCopy && writers.get(buffer) === 1 && (writers.get(operand.buffer) ?? 0) <= 1) {
      originals.set(buffer, operand);
    }
    return { ...command, graph: { ...graph, operands }, inputs: operands.map((read) => read.buffer) };
  });
}

function countWriters(commands: readonly Command[]): Map<number, number> {
  const writers = new Map<number, number>();
  for (const { outputs } of commands) {
    for (const buffer of outputs) writers.set(buffer, (writers.get(buffer) ?? 0) + 1);
  }
  return writers;
}

function readsHost(command: Command): boolean {
  return command.kind === 'map' && command.graph.nodes.some(({ code }) => code.includes('host'));
}

/** Expressions for buffers whose numbers are all alike and known, or known to the host, in the place of what reads them. */
function withLiterals(
  commands: readonly Command[],
  buffers: readonly Buffer[],
  hostScalars: ReadonlyMap<number, string>,
): Command[] {
  const literals = new Map(hostScalars);
  const writers = countWriters(commands);
  for (const [buffer, { values, dtype }] of buffers.entries()) {
    if (values?.length !== 4 || writers.has(buffer)) continue;
    literals.set(
      buffer,
      dtype === 'float32'
        ? f32Literal(new Float32Array(values.buffer, values.byteOffset, 1)[0])
        : `i32(${new Int32Array(values.buffer, values.byteOffset, 1)[0]})`,
    );
  }
  return commands.map((command) => {
    if (command.kind !== 'map') return command;
    const simpler = withKnown(command, literals);
    const { graph } = simpler;
    if (graph.operands.length === 0) {
      for (const { node, buffer } of graph.outputs) {
        const code = expressionOf(graph, node);
        if (writers.get(buffer) === 1 && code.length <= LONGEST && !/\bi\b/.test(code))
          literals.set(buffer, code);
      }
    }
    return simpler;
  });
}

/** Characters of an expression that is computed wherever it is used, rather than once. */
const LONGEST = 160;

/** What a node of a graph without operands computes. */
function expressionOf(graph: Graph<number>, node: number): string {
  const { code, args } = graph.nodes[node];
  return `(${code.replace(/\$(\d)/g, (_, digit) => expressionOf(graph, args[Number(digit)]))})`;
}

function withKnown(command: MapCommand, literals: ReadonlyMap<number, string>): MapCommand {
  const { graph } = command;
  if (!graph.operands.some(({ buffer }) => literals.has(buffer))) return command;
  const known: Node[] = [];
  const operands: Graph<number>['operands'][number][] = [];
  // A known operand's new argument is a node in front, counted from the end until their number is known.
  const argOf = graph.operands.map((operand) => {
    const code = literals.get(operand.buffer);
    if (code === undefined) return { operand: operands.push(operand) - 1 };
    return { node: known.push({ code, element: operand.element, args: [] }) - 1 };
  });
  const shift = known.length;
  const nodes = graph.nodes.map((node) => ({
    ...node,
    args: node.args.map((arg) => {
      if (arg >= 0) return arg + shift;
      const place = argOf[-1 - arg];
      return place.node ?? -1 - (place.operand as number);
    }),
  }));
  const outputs = graph.outputs.map(({ node, buffer }) => ({ node: node + shift, buffer }));
  return {
    ...command,
    graph: { ...graph, operands, nodes: [...known, ...nodes], outputs },
    inputs: operands.map(({ buffer }) => buffer),
  };
}
