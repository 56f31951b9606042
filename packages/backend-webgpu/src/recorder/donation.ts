import { type ArenaLayout, layOut } from '../arena.js';
import type { Graph } from '../graph.js';
import { elementOf } from '../program.js';
import type { Step } from './fuse.js';
import type { PlanInput } from './placing.js';
import type { Buffer, Place } from './trace.js';

/** A donated argument, and the output that is written over it. */
export interface Pair {
  readonly input: number;
  readonly given: number;
  readonly output: number;
  readonly made: number;
}

/** What a plan writes over: a slice for each pair, in the order of the layout. */
export interface ArenaPlan {
  readonly layout: ArenaLayout;
  readonly pairs: readonly Pair[];
}

/** The arenas of a plan, and which of them each step writes, if it writes one. */
export interface Donation {
  readonly arenas: readonly ArenaPlan[];
  readonly arenaOf: ReadonlyMap<Step, number>;
}

/** Pairs of one step, which lie in one arena. */
interface Family {
  readonly step: Step;
  readonly element: 'f32' | 'i32';
  readonly pairs: readonly Pair[];
}

export interface DonationFacts {
  readonly buffers: readonly Buffer[];
  readonly inputs: readonly PlanInput[];
  readonly outputs: readonly Place[];
  /** Bytes that may be bound at once, and what slices are aligned to. */
  readonly limit: number;
  readonly alignment: number;
}

/**
 * Finds outputs that can be written over donated arguments: elementwise work makes the output, reads the argument
 * element by element, and is the last that reads it. The argument is given once, and isn't an output itself.
 *
 * Layouts follow the order of the arguments alone, so that plans of the same parameters for other batches have the same.
 */
export function findDonation(steps: readonly Step[], facts: DonationFacts): Donation {
  const uses = usesOf(steps, facts);
  const candidates = steps.map((step, at) => candidatesOf(step, at, uses, facts));
  const shift = commonShift(candidates);
  const families = candidates.flatMap(({ step, given, made }): Family[] => {
    const pairs = pairUp(given, made, shift);
    const element = pairs.length > 0 ? elementOf(facts.buffers[pairs[0].given].dtype) : 'f32';
    const alike = pairs.filter((pair) => elementOf(facts.buffers[pair.given].dtype) === element);
    return alike.length > 0 ? [{ step, element, pairs: alike }] : [];
  });
  families.sort((a, b) => a.pairs[0].input - b.pairs[0].input);
  return inArenas(families, facts);
}

/** A buffer with its position among the arguments, or the outputs. */
interface Candidate {
  readonly buffer: number;
  readonly position: number;
  readonly element: 'f32' | 'i32';
}

interface Made extends Candidate {
  /** What it comes of, within its step. */
  readonly sources: ReadonlySet<number>;
}

interface Candidates {
  readonly step: Step;
  readonly given: readonly Candidate[];
  readonly made: readonly Made[];
}

/** Of each buffer: the steps that write it, the last that reads it, and its positions among arguments and outputs. */
interface Uses {
  readonly writers: ReadonlyMap<number, readonly number[]>;
  readonly lastReader: ReadonlyMap<number, number>;
  readonly asInput: ReadonlyMap<number, readonly number[]>;
  readonly asOutput: ReadonlyMap<number, readonly number[]>;
}

function usesOf(steps: readonly Step[], { inputs, outputs }: DonationFacts): Uses {
  const placesOf = (lists: readonly (readonly number[])[]): Map<number, number[]> => {
    const places = new Map<number, number[]>();
    for (const [place, buffers] of lists.entries()) {
      for (const buffer of buffers) places.set(buffer, [...(places.get(buffer) ?? []), place]);
    }
    return places;
  };
  return {
    writers: placesOf(steps.map((step) => step.outputs)),
    lastReader: new Map(steps.flatMap((step, at) => step.inputs.map((buffer) => [buffer, at] as const))),
    asInput: placesOf(inputs.map(({ buffer }) => [buffer])),
    asOutput: placesOf(outputs.map(({ buffer }) => [buffer])),
  };
}

function candidatesOf(
  step: Step,
  at: number,
  { writers, lastReader, asInput, asOutput }: Uses,
  { buffers, inputs }: DonationFacts,
): Candidates {
  if (step.kind !== 'ours' || step.launch || !step.tail) return { step, given: [], made: [] };
  const { count, operands, outputs, nodes } = step.tail;
  const candidate = (buffer: number, positions: readonly number[] = []): Candidate[] => {
    const { bytes, dtype } = buffers[buffer];
    if (positions.length !== 1 || bytes !== 4 * count) return [];
    return [{ buffer, position: positions[0], element: elementOf(dtype) }];
  };
  const made = outputs.flatMap(({ node, buffer }) => {
    const isMadeHere = writers.get(buffer)?.length === 1;
    const found = isMadeHere ? candidate(buffer, asOutput.get(buffer)) : [];
    return found
      .filter(({ element }) => element === nodes[node].element)
      .map((one) => ({ ...one, sources: sourcesOf(step.tail as Graph<number>, node) }));
  });
  const given = step.inputs.flatMap((buffer) => {
    if (asOutput.has(buffer) || writers.has(buffer) || lastReader.get(buffer) !== at) return [];
    const read = operands.filter((operand) => operand.buffer === buffer);
    return candidate(buffer, asInput.get(buffer)).filter(
      ({ position, element }) =>
        inputs[position].origin === 'donated' &&
        read.every((operand) => operand.access === 'same' && operand.element === element),
    );
  });
  const inOrder = (a: Candidate, b: Candidate): number => a.position - b.position;
  return { step, given: given.sort(inOrder), made: made.sort(inOrder) };
}

/** The operands that a node's value comes of. */
function sourcesOf({ nodes, operands }: Graph<number>, node: number): Set<number> {
  const needed = new Set([node]);
  for (const arg of needed) {
    if (arg >= 0) for (const next of nodes[arg].args) needed.add(next);
  }
  return new Set([...needed].filter((arg) => arg < 0).map((arg) => operands[-1 - arg].buffer));
}

/** Whether an output may be written over an argument: it comes of it, and has the same elements. */
function fits(given: Candidate, made: Made): boolean {
  return made.sources.has(given.buffer) && made.element === given.element;
}

/** How far an output's position is from the argument's that it may replace, most often; of several the nearest. */
function commonShift(candidates: readonly Candidates[]): number {
  const counts = new Map<number, number>();
  for (const { given, made } of candidates) {
    for (const a of given) {
      for (const b of made.filter((one) => fits(a, one))) {
        const shift = b.position - a.position;
        counts.set(shift, (counts.get(shift) ?? 0) + 1);
      }
    }
  }
  const [most] = [...counts].sort((a, b) => b[1] - a[1] || Math.abs(a[0]) - Math.abs(b[0]));
  return most?.[0] ?? 0;
}

/**
 * Pairs outputs with what they come of, those first that have the least choice: a moment comes of itself and the gradient,
 * a parameter of all of them. A parameter that took a moment's place, and that another's, would be moved in every call.
 * Of several arguments an output takes the one that is as far away as most are.
 */
function pairUp(given: readonly Candidate[], made: readonly Made[], shift: number): Pair[] {
  const free = new Set(given);
  const left = new Set(made);
  const pairs: Pair[] = [];
  while (left.size > 0) {
    const [{ output, choice }] = [...left]
      .map((output) => ({ output, choice: [...free].filter((one) => fits(one, output)) }))
      .sort((a, b) => a.choice.length - b.choice.length);
    left.delete(output);
    const chosen = choice.find(({ position }) => position + shift === output.position) ?? choice[0];
    if (!chosen) continue;
    free.delete(chosen);
    pairs.push({
      input: chosen.position,
      given: chosen.buffer,
      output: output.position,
      made: output.buffer,
    });
  }
  return pairs.sort((a, b) => a.input - b.input);
}

/** Lays families out, in as many arenas as the limit asks for. */
function inArenas(families: readonly Family[], { buffers, limit, alignment }: DonationFacts): Donation {
  const arenas: ArenaPlan[] = [];
  const arenaOf = new Map<Step, number>();
  for (const { step, element, pairs } of families) {
    const last = arenas.findLastIndex(({ layout }) => layout.element === element);
    const layoutOf = (all: readonly Pair[]): ArenaLayout =>
      layOut(
        element,
        all.map(({ given }) => buffers[given].bytes),
        alignment,
      );
    const together = [...(arenas[last]?.pairs ?? []), ...pairs];
    if (last >= 0 && layoutOf(together).bytes <= limit) {
      arenas[last] = { layout: layoutOf(together), pairs: together };
      arenaOf.set(step, last);
    } else if (layoutOf(pairs).bytes <= limit) {
      arenaOf.set(step, arenas.push({ layout: layoutOf(pairs), pairs }) - 1);
    }
  }
  return { arenas, arenaOf };
}
