import type { Graph, Operand } from '../graph.js';
import { literalOf, wordsOf } from '../parts.js';
import type { ArenaPlan, Donation } from './donation.js';
import type { Step } from './fuse.js';
import type { Buffer } from './trace.js';

/** Elementwise work that writes an arena: the same for several sets of buffers. */
export interface PartsStep {
  readonly kind: 'parts';
  readonly arena: number;
  readonly graphs: readonly Graph<number>[];
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
}

export type PlanStep = Step | PartsStep;

export interface Merged {
  readonly steps: readonly PlanStep[];
  /** Values in between that lie in one buffer, so that a step binds it once. */
  readonly blocks: readonly (readonly number[])[];
}

export interface MergeFacts {
  readonly buffers: readonly Buffer[];
  /** Buffers that lie where their owners say: arguments, outputs, constants, host values. */
  readonly placed: ReadonlySet<number>;
  /** Storage bindings of a program, bytes of one, and of its uniforms. */
  readonly bindings: number;
  readonly bindingBytes: number;
  readonly uniformBytes: number;
  readonly alignment: number;
}

/**
 * Makes one dispatch of elementwise steps that write an arena and compute the same on buffers of their own: an optimizer's
 * update of all parameters. A step joins another in the other's place, if all that it reads is there by then, or else both
 * go to the second's place, if nothing in between needs what the first makes, or writes what it reads.
 */
export function merge(steps: readonly Step[], { arenas, arenaOf }: Donation, facts: MergeFacts): Merged {
  const locations = locationsOf(arenas);
  const blocks = new Blocks(steps, facts);
  const merged: PlanStep[] = [];
  for (const step of steps) {
    const arena = arenaOf.get(step);
    if (arena === undefined || step.kind !== 'ours' || !step.tail) {
      merged.push(step);
      continue;
    }
    const fresh = partsOf(arena, [step.tail]);
    const inArena = new Set(arenas[arena].pairs.flatMap(({ given, made }) => [given, made]));
    const place = merged.findLastIndex(
      (other) => other.kind === 'parts' && isAlike(other, fresh, inArena) && !depend(other, fresh, locations),
    );
    const before = merged[place] as PartsStep;
    const between = merged.slice(place + 1);
    const isFree = (one: PlanStep): boolean => !between.some((other) => depend(one, other, locations));
    const goesUp = place >= 0 && isFree(fresh);
    if (place < 0 || !(goesUp || isFree(before))) {
      merged.push(fresh);
      continue;
    }
    const both = partsOf(arena, [...before.graphs, ...fresh.graphs]);
    if (!blocks.enter(before, both, inArena)) merged.push(fresh);
    else if (goesUp) merged[place] = both;
    else merged.splice(place, merged.length - place, ...between, both);
  }
  return { steps: merged, blocks: blocks.all() };
}

function partsOf(arena: number, graphs: readonly Graph<number>[]): PartsStep {
  const inputs = new Set(graphs.flatMap(({ operands }) => operands.map(({ buffer }) => buffer)));
  const outputs = graphs.flatMap((graph) => graph.outputs.map(({ buffer }) => buffer));
  return { kind: 'parts', arena, graphs, inputs: [...inputs], outputs };
}

/** Where a buffer lies as far as order goes: an output that is written over an argument lies where that does. */
type Locations = ReadonlyMap<number, number>;

function locationsOf(arenas: readonly ArenaPlan[]): Locations {
  return new Map(arenas.flatMap(({ pairs }) => pairs.map(({ given, made }) => [made, given] as const)));
}

/** Whether it matters which of two steps runs first. */
function depend(a: PlanStep, b: PlanStep, locations: Locations): boolean {
  const at = (buffer: number): number => locations.get(buffer) ?? buffer;
  const overlap = (some: readonly number[], others: readonly number[]): boolean => {
    const places = new Set(some.map(at));
    return others.some((buffer) => places.has(at(buffer)));
  };
  return overlap(a.outputs, b.inputs) || overlap(a.outputs, b.outputs) || overlap(a.inputs, b.outputs);
}

/** Whether two steps are one piece of code but for numbers in it, and write nothing but their arena. */
function isAlike(a: PartsStep, b: PartsStep, inArena: ReadonlySet<number>): boolean {
  if (a.arena !== b.arena || ![...a.outputs, ...b.outputs].every((buffer) => inArena.has(buffer)))
    return false;
  const [[first], [graph]] = [a.graphs, b.graphs];
  if (first.operands.length !== graph.operands.length || codeOf(first) !== codeOf(graph)) return false;
  return a.graphs.every((other) =>
    other.operands.every((operand, k) =>
      isReadAlike(operand, other.count, graph.operands[k], graph.count, inArena),
    ),
  );
}

function codeOf({ nodes, outputs }: Graph<number>): string {
  const parts = nodes.map((node) => (literalOf(node) === undefined ? node : 'a number'));
  return JSON.stringify([parts, outputs.map(({ node }) => node)]);
}

function isReadAlike(
  a: Operand<number>,
  countA: number,
  b: Operand<number>,
  countB: number,
  inArena: ReadonlySet<number>,
): boolean {
  if (a.element !== b.element || inArena.has(a.buffer) !== inArena.has(b.buffer)) return false;
  // One element is read alike however it is found; of what is larger the access tells.
  if (countA === 1 || countB === 1) return offsetOf(a) === offsetOf(b);
  return a.access === b.access || JSON.stringify(a.access) === JSON.stringify(b.access);
}

function offsetOf({ access }: Operand<number>): number {
  return access === 'same' ? 0 : access.offset;
}

/** Which values in between lie in one buffer: those that differ from part to part of a step. */
class Blocks {
  readonly #steps: readonly Step[];
  readonly #facts: MergeFacts;
  readonly #of = new Map<PartsStep, ReadonlySet<number>>();

  constructor(steps: readonly Step[], facts: MergeFacts) {
    this.#steps = steps;
    this.#facts = facts;
  }

  all(): number[][] {
    return [...this.#of.values()].map((members) => [...members]).filter(({ length }) => length > 1);
  }

  /** Puts a step in the place of another that it begins with, if it keeps to the limits. */
  enter(before: PartsStep, step: PartsStep, inArena: ReadonlySet<number>): boolean {
    const { bindings, uniformBytes } = this.#facts;
    const { graphs } = step;
    if (4 * graphs.length * wordsOf(graphs[0]) > uniformBytes) return false;
    const members = new Set(this.#of.get(before));
    for (const buffer of differing(graphs)) {
      if (!inArena.has(buffer) && this.#takes(members, buffer, before)) members.add(buffer);
    }
    const bound = new Set<string>();
    for (const { buffer, element } of graphs.flatMap(({ operands }) => operands)) {
      if (!inArena.has(buffer)) bound.add(`${members.has(buffer) ? 'block' : buffer} ${element}`);
    }
    if (bound.size + 1 > bindings) return false;
    this.#of.delete(before);
    this.#of.set(step, members);
    return true;
  }

  /** Whether a value can lie beside others: no step may read some and write others, as that is one buffer then. */
  #takes(members: ReadonlySet<number>, buffer: number, before: PartsStep): boolean {
    const { buffers, placed, bindingBytes, alignment } = this.#facts;
    if (members.has(buffer)) return true;
    if (placed.has(buffer)) return false;
    for (const [step, others] of this.#of) if (step !== before && others.has(buffer)) return false;
    const bytes = [...members, buffer].reduce(
      (sum, one) => sum + Math.ceil(buffers[one].bytes / alignment) * alignment,
      0,
    );
    if (bytes > bindingBytes) return false;
    const isMember = (one: number): boolean => members.has(one);
    return !this.#steps.some(
      ({ inputs, outputs }) =>
        (inputs.includes(buffer) && outputs.some(isMember)) ||
        (outputs.includes(buffer) && inputs.some(isMember)),
    );
  }
}

/** What isn't the same in all graphs, among what is read in the same place. */
function differing(graphs: readonly Graph<number>[]): Set<number> {
  const [first] = graphs;
  const found = new Set<number>();
  for (const [k, { buffer }] of first.operands.entries()) {
    if (graphs.every(({ operands }) => operands[k].buffer === buffer)) continue;
    for (const { operands } of graphs) found.add(operands[k].buffer);
  }
  return found;
}
