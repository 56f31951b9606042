import { inFloat16, narrowElement } from '../float16.js';
import type { Graph, Operand } from '../graph.js';
import { ROOT } from '../graph.js';
import type { Element } from '../program.js';
import type { Step } from './fuse.js';
import type { Buffer, LaunchCommand } from './trace.js';

type Ours = Extract<Step, { kind: 'ours' }>;

/** A plan's steps, and its buffers with the bytes that they take. */
export interface Kept {
  readonly steps: readonly Step[];
  readonly buffers: readonly Buffer[];
}

/**
 * What a value is, as far as float16 goes: 'narrow', made by a product or from what was; 'wide', which stays float32, and
 * whatever comes of it; 'neutral', which doesn't tell: integers, constants, random numbers, and what is spread over more
 * elements than it has (a bias, a statistic).
 */
type Kind = 'narrow' | 'wide' | 'neutral';

/**
 * The steps in mixed precision. Products multiply factors that are rounded to float16 and sum in float32. What they and
 * what is made of them leave in memory is kept in float16, but for
 *
 * - outputs, arguments and constants,
 * - sums, statistics and losses, and functions that may leave the range (`Node.wide`),
 * - elementwise work with a float32 of as many elements, as with a master weight, or with numbers of the host: the scale of
 *   a loss, a learning rate,
 * - what tfjs's own kernels write or read.
 *
 * `outputs` are those of the whole; the rules are PyTorch's autocast's, but that rows of embeddings are float16, as in Keras.
 */
export function inMixedPrecision(
  steps: readonly Step[],
  buffers: readonly Buffer[],
  outputs: readonly number[],
): Kept {
  const kinds = kindsOf(steps, buffers);
  const able = ableOf(steps, buffers, outputs);
  const isNarrow = (buffer: number): boolean => kinds.get(buffer) === 'narrow' && able.has(buffer);
  return {
    steps: steps.map((step) => (step.kind === 'ours' ? narrowStep(step, isNarrow) : step)),
    buffers: buffers.map((buffer, number) =>
      isNarrow(number) ? { ...buffer, bytes: buffer.bytes / 2 } : buffer,
    ),
  };
}

/** Buffers that only the plan sees, written once, by and for programs of ours, as numbers. */
function ableOf(
  steps: readonly Step[],
  buffers: readonly Buffer[],
  outputs: readonly number[],
): ReadonlySet<number> {
  const written = new Map<number, number>();
  const unable = new Set(outputs);
  for (const step of steps) {
    for (const buffer of step.outputs) written.set(buffer, (written.get(buffer) ?? 0) + 1);
    if (step.kind === 'tfjs') {
      for (const buffer of [...step.inputs, ...step.outputs]) unable.add(buffer);
      continue;
    }
    for (const { buffer, element } of elementsOf(step)) if (!narrowElement(element)) unable.add(buffer);
  }
  const able = new Set<number>();
  for (const [buffer, times] of written) {
    const { kind, dtype } = buffers[buffer];
    if (times === 1 && kind === 'value' && dtype === 'float32' && !unable.has(buffer)) able.add(buffer);
  }
  return able;
}

/** What a step's bindings are read and written as. */
function elementsOf({ launch, tail, heads }: Ours): { buffer: number; element: Element }[] {
  const graphs = [...heads.values(), ...(tail ? [tail] : [])];
  const program = launch?.program;
  return [
    ...(launch?.inputs ?? []).flatMap((buffer, k) =>
      heads.has(k) ? [] : [{ buffer, element: (program as LaunchCommand['program']).inputs[k] }],
    ),
    ...(tail || !program
      ? []
      : (launch?.outputs ?? []).map((buffer, k) => ({ buffer, element: program.outputs[k] }))),
    ...graphs.flatMap(({ operands }) => operands.map(({ buffer, element }) => ({ buffer, element }))),
  ];
}

function kindsOf(steps: readonly Step[], buffers: readonly Buffer[]): ReadonlyMap<number, Kind> {
  const kinds = new Map<number, Kind>();
  const written = new Set(steps.flatMap(({ outputs }) => outputs));
  const kindOf = (buffer: number): Kind => {
    const { dtype, kind } = buffers[buffer];
    if (dtype !== 'float32' || kind === 'constant') return 'neutral';
    // What isn't written in a replay and is no argument was computed once, from constants alone.
    return kinds.get(buffer) ?? (kind === 'argument' || written.has(buffer) ? 'wide' : 'neutral');
  };
  const kindOfOperand = ({ buffer }: Operand<number>, count: number): Kind => {
    const kind = kindOf(buffer);
    return kind === 'wide' && buffers[buffer].bytes < 4 * count ? 'neutral' : kind;
  };
  for (const step of steps) {
    if (step.kind === 'tfjs') continue;
    const { launch, tail, heads } = step;
    const ofHeads = new Map(
      [...heads].map(([k, graph]) => [k, kindsOfGraph(graph, 'neutral', kindOfOperand)[0]] as const),
    );
    const root = launch
      ? kindOfLaunch(
          launch,
          launch.inputs.map((buffer, k) => ofHeads.get(k) ?? kindOf(buffer)),
        )
      : 'neutral';
    const results = tail ? kindsOfGraph(tail, root, kindOfOperand) : (launch?.outputs ?? []).map(() => root);
    for (const [k, buffer] of step.outputs.entries()) kinds.set(buffer, results[k]);
  }
  return kinds;
}

function kindOfLaunch({ program, inputs }: LaunchCommand, kinds: readonly Kind[]): Kind {
  const ofNumbers = inputs.flatMap((_, k) => (narrowElement(program.inputs[k]) ? [kinds[k]] : []));
  if (program.float16 === 'makes') return 'narrow';
  if (ofNumbers.every((kind) => kind === 'neutral')) return 'neutral';
  if (program.float16 === 'passes') return ofNumbers[0];
  return program.float16 === 'joins' ? joined(ofNumbers) : 'wide';
}

/** The kind of each output of a graph. */
function kindsOfGraph(
  { operands, nodes, outputs, count }: Graph<number>,
  root: Kind,
  kindOfOperand: (operand: Operand<number>, count: number) => Kind,
): Kind[] {
  const kinds: Kind[] = [];
  const of = (arg: number): Kind => {
    if (arg === ROOT) return root;
    return arg >= 0 ? kinds[arg] : kindOfOperand(operands[-1 - arg], count);
  };
  for (const { element, args, code, wide } of nodes) {
    if (element === 'i32') kinds.push('neutral');
    else if (wide || /\bhost(Float|Integer)\(/.test(code)) kinds.push('wide');
    else kinds.push(joined(args.map(of)));
  }
  return outputs.map(({ node }) => of(node));
}

function joined(kinds: readonly Kind[]): Kind {
  if (kinds.includes('wide')) return 'wide';
  return kinds.includes('narrow') ? 'narrow' : 'neutral';
}

/** The step on buffers of which some are float16, and with its factors rounded if it multiplies. */
function narrowStep(step: Ours, isNarrow: (buffer: number) => boolean): Step {
  const { launch, tail, heads } = step;
  const graphOf = (graph: Graph<number>): Graph<number> => ({
    ...graph,
    operands: graph.operands.map((operand) =>
      isNarrow(operand.buffer) ? { ...operand, element: 'f16' as const } : operand,
    ),
    outputs: graph.outputs.map((output) =>
      isNarrow(output.buffer) ? { ...output, element: 'f16' as const } : output,
    ),
  });
  const narrowLaunch = launch && {
    ...launch,
    program: inFloat16(
      launch.program.withFactorsInFloat16?.() ?? launch.program,
      new Set(launch.inputs.flatMap((buffer, k) => (!heads.has(k) && isNarrow(buffer) ? [k] : []))),
      new Set(tail ? [] : launch.outputs.flatMap((buffer, k) => (isNarrow(buffer) ? [k] : []))),
    ),
  };
  return {
    ...step,
    launch: narrowLaunch,
    tail: tail && graphOf(tail),
    heads: new Map([...heads].map(([k, graph]) => [k, graphOf(graph)])),
  };
}
