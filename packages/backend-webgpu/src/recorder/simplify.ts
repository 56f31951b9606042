import { composeAccess } from '../compose.js';
import type { Graph, Node, Operand } from '../graph.js';
import { f32Literal } from '../prelude.js';
import { elementOf } from '../program.js';
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

/** Operations on nothing, in order, of which the last gives a number that is known, here or to the host. */
type Known = readonly Node[];

/** Writes what is known of buffers whose numbers are all alike in the place of what reads them. */
function withLiterals(
  commands: readonly Command[],
  buffers: readonly Buffer[],
  hostScalars: ReadonlyMap<number, string>,
): Command[] {
  const literals = new Map<number, Known>();
  const setCode = (buffer: number, code: string): void => {
    literals.set(buffer, [{ code, element: elementOf(buffers[buffer].dtype), args: [] }]);
  };
  for (const [buffer, code] of hostScalars) setCode(buffer, code);
  const writers = countWriters(commands);
  for (const [buffer, { values, dtype }] of buffers.entries()) {
    if (values?.length !== 4 || writers.has(buffer)) continue;
    setCode(
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
        const known = partOf(graph, node);
        const code = known.map((part) => part.code).join(' ');
        if (writers.get(buffer) === 1 && code.length <= LONGEST && !/\bi\b/.test(code))
          literals.set(buffer, known);
      }
    }
    return simpler;
  });
}

/** Characters of operations that are done wherever their result is used, rather than once. */
const LONGEST = 160;

/**
 * What a graph without operands does for one of its nodes. It stays operations, one a line: WGSL refuses an expression of
 * literals alone whose value is too large, or is divided by 0.
 */
function partOf({ nodes }: Graph<number>, node: number): Known {
  const needed = new Set([node]);
  for (const at of needed) for (const arg of nodes[at].args) needed.add(arg);
  const order = [...needed].sort((a, b) => a - b);
  return order.map((at) => ({ ...nodes[at], args: nodes[at].args.map((arg) => order.indexOf(arg)) }));
}

function withKnown(command: MapCommand, literals: ReadonlyMap<number, Known>): MapCommand {
  const { graph } = command;
  if (!graph.operands.some(({ buffer }) => literals.has(buffer))) return command;
  const known: Node[] = [];
  const operands: Graph<number>['operands'][number][] = [];
  // A known operand's new argument is the last of its nodes, which come in front.
  const argOf = graph.operands.map((operand) => {
    const nodes = literals.get(operand.buffer);
    if (nodes === undefined) return -operands.push(operand);
    const first = known.length;
    for (const node of nodes) known.push({ ...node, args: node.args.map((arg) => arg + first) });
    return known.length - 1;
  });
  const shift = known.length;
  const nodes = graph.nodes.map((node) => ({
    ...node,
    args: node.args.map((arg) => (arg >= 0 ? arg + shift : argOf[-1 - arg])),
  }));
  const outputs = graph.outputs.map(({ node, buffer }) => ({ node: node + shift, buffer }));
  return {
    ...command,
    graph: { ...graph, operands, nodes: [...known, ...nodes], outputs },
    inputs: operands.map(({ buffer }) => buffer),
  };
}
