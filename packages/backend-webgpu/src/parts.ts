import { floatBits } from './data.js';
import { narrowed, wideElement, widened } from './float16.js';
import { type Access, type Graph, linearGroups, type Node, writeNodes } from './graph.js';
import type { Element, Joined, Program } from './program.js';

const WORKGROUP = 256;
/** Elements of a part that a workgroup computes. */
const CHUNK = 4 * WORKGROUP;

/**
 * The program of elementwise work that is the same for several sets of tensors ("multi-tensor"), and may write over what
 * it reads: `joinParts` makes the rest. Each part gets the workgroups that it needs.
 */
export const PARTS: Program = {
  key: 'parts',
  outputs: ['f32'],
  inputs: [],
  uniforms: [],
  workgroup: [WORKGROUP, 1, 1],
  body: 'compute(group.y * groups.x + group.x, lane);',
};

/** Where a buffer lies: in something that is bound as a whole, at a word of it. */
export interface Whereabouts {
  readonly region: number;
  readonly offset: number;
}

/** The WGSL of parts, the regions and outputs in the order of the bindings, the words of their table, and their workgroups. */
export interface JoinedParts {
  readonly joined: Joined;
  readonly outputs: readonly number[];
  readonly inputs: readonly number[];
  readonly words: readonly number[];
  readonly groups: [number, number, number];
}

/**
 * Joins graphs that compute the same but for numbers, each on buffers of its own. What lies in the region `arena`, of
 * which `element`s are bound for reading and writing, is read and written there. If there are several graphs, all their
 * outputs lie there.
 *
 * The code is written once, whatever the number of parts: a table in the uniforms says where a part begins and ends, and
 * where its operands lie.
 */
export function joinParts(
  graphs: readonly Graph<number>[],
  arena: number,
  element: 'f32' | 'i32',
  where: (buffer: number) => Whereabouts,
): JoinedParts {
  // Accesses of one element are all alike: the largest part tells how the others are read.
  const first = graphs.reduce((largest, graph) => (graph.count > largest.count ? graph : largest));
  const table = new Table(graphs.length);
  let blocks = 0;
  const starts = graphs.map(({ count }) => {
    const start = blocks;
    blocks += Math.ceil(count / CHUNK);
    return start;
  });
  const begin = table.column(starts, true);
  const count = table.column(
    graphs.map((graph) => graph.count),
    true,
  );
  const inputs = new Regions();
  const functions: string[] = [];
  const loaded = first.operands.map((operand, k) => {
    const places = graphs.map(({ operands }) => where(operands[k].buffer));
    const { element: kept } = operand;
    const offsets = places.map(({ offset }) => (kept === 'f16' ? 2 * offset : offset));
    const at = sum(table.column(offsets), indexOf(operand.access, k, functions));
    const regions = places.map(({ region }) => region);
    if (regions[0] === arena) return `y0[${at}]`;
    const names = new Set(regions.map((region) => inputs.bind(region, kept)));
    if (names.size === 1) return widened(kept, `x${inputs.bind(regions[0], kept)}[${at}]`);
    // A binding can't be chosen by a number but in words.
    const cases = [...names].map((name) => `case ${name}u: { return ${widened(kept, `x${name}[i]`)}; }`);
    const wide = wideElement(kept);
    functions.push(
      `fn read${k}(region: u32, i: u32) -> ${wide} { switch region { ${cases.join(' ')} default: { return ${wide}(0); } } }`,
    );
    return `read${k}(${table.column(regions.map((region) => inputs.bind(region, kept)))}, ${at})`;
  });
  const nodes = first.nodes.map((node, k) => {
    const numbers = graphs.map((graph) => literalOf(graph.nodes[k]));
    if (numbers.every((number) => number === undefined || Object.is(number, numbers[0]))) return node;
    return {
      ...node,
      code: `bitcast<f32>(${table.column(numbers.map((number) => floatBits(number ?? 0)))})`,
    };
  });
  const { lines, result } = writeNodes({ ...first, nodes }, loaded, undefined);
  const outputs: number[] = [arena];
  const elements: Element[] = [element];
  for (const [k, { node, element: kept = first.nodes[node].element }] of first.outputs.entries()) {
    const places = graphs.map((graph) => where(graph.outputs[k].buffer));
    if (places[0].region === arena) {
      lines.push(`y0[${sum(table.column(places.map(({ offset }) => offset)), 'i')}] = ${result(node)};`);
      continue;
    }
    // The output itself: what it may share a buffer with is for those that read it.
    elements.push(kept);
    lines.push(`y${outputs.push(first.outputs[k].buffer) - 1}[i] = ${narrowed(kept, result(node))};`);
  }
  const rows = table.rows;
  const declarations = `${functions.join('\n')}
fn compute(block: u32, lane: u32) {
  var part = 0u;
  var last = ${graphs.length - 1}u;
  while (part < last) {
    let middle = (part + last + 1u) / 2u;
    if (u.table[middle * ${rows}u].x <= block) { part = middle; } else { last = middle - 1u; }
  }
  ${Array.from({ length: rows }, (_, k) => `let row${k} = u.table[part * ${rows}u + ${k}u];`).join('\n  ')}
  let begin = (block - ${begin}) * ${CHUNK}u;
  let end = min(begin + ${CHUNK}u, ${count});
  for (var i = begin + lane; i < end; i += ${WORKGROUP}u) {
    ${lines.join('\n    ')}
  }
}`;
  const words = table.words();
  return {
    joined: {
      host: /\bhost(Float|Integer)\(/.test(declarations),
      key: [...elements, '<', ...inputs.elements, words.length, declarations].join(' '),
      outputs: elements,
      inputs: inputs.elements,
      uniforms: [`table: array<vec4u, ${words.length / 4}>`],
      hooks: {},
      declarations,
    },
    outputs,
    inputs: inputs.regions,
    words,
    groups: linearGroups(blocks, 1),
  };
}

/** The most words of the table that a part takes. */
export function wordsOf({ operands, outputs, nodes }: Graph<number>): number {
  const literals = nodes.filter((node) => literalOf(node) !== undefined).length;
  return 4 * Math.ceil((2 + 2 * operands.length + outputs.length + literals) / 4);
}

/** The float32 number that a node is, if it is one: parts may differ in it. */
export function literalOf({ code, args }: Node): number | undefined {
  const isNumber = args.length === 0 && /^\(?-?\d[\d.e+-]*f\)?$/.test(code);
  return isNumber ? Number.parseFloat(code.replace('(', '')) : undefined;
}

/** How an operand is read, as a function of `i`; numbers that tell are part of the code. */
function indexOf(access: Access, operand: number, functions: string[]): string {
  if (access === 'same') return 'i';
  const { dims, strides, offset } = access;
  if (dims.length === 0) return `${offset}u`;
  const lines = ['var rest = i;'];
  const terms = [`${offset}u`];
  for (let k = dims.length - 1; k >= 0; k--) {
    lines.push(`let d${k} = rest % ${dims[k]}u;`, `rest = rest / ${dims[k]}u;`);
    terms.push(`d${k} * ${strides[k]}u`);
  }
  functions.push(`fn at${operand}(i: u32) -> u32 { ${lines.join(' ')} return ${terms.join(' + ')}; }`);
  return `at${operand}(i)`;
}

function sum(a: string, b: string): string {
  if (a === '0u') return b;
  return b === '0u' ? a : `${a} + ${b}`;
}

/** Numbers of each part, in rows of four; those that are alike are kept once, and zeros not at all. */
class Table {
  readonly #parts: number;
  readonly #columns: (readonly number[])[] = [];

  constructor(parts: number) {
    this.#parts = parts;
  }

  /** WGSL for a part's number, where its rows are `row0`, `row1`, …. */
  column(values: readonly number[], always = false): string {
    if (!always && values.every((value) => value === 0)) return '0u';
    const known = this.#columns.findIndex((column) => column.every((value, k) => value === values[k]));
    const place = known >= 0 ? known : this.#columns.push(values) - 1;
    return `row${place >> 2}.${'xyzw'[place % 4]}`;
  }

  get rows(): number {
    return Math.ceil(this.#columns.length / 4);
  }

  words(): number[] {
    return Array.from({ length: this.#parts }, (_, part) =>
      Array.from({ length: 4 * this.rows }, (_, k) => this.#columns[k]?.[part] ?? 0),
    ).flat();
  }
}

/** What is bound for reading, and as what. */
class Regions {
  readonly regions: number[] = [];
  readonly elements: Element[] = [];

  bind(region: number, element: Element): number {
    const known = this.regions.findIndex((one, k) => one === region && this.elements[k] === element);
    if (known >= 0) return known;
    this.elements.push(element);
    return this.regions.push(region) - 1;
  }
}
