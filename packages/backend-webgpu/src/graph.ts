import { narrowed, wideElement, widened } from './float16.js';
import type { Element, Joined, Program } from './program.js';

/** How element i of a result finds the element of an operand. */
export type Access =
  /** The same place. */
  | 'same'
  /** Σ (digit of i for each dim)·stride, innermost last; leading dims that are broadcast are left out. */
  | { readonly dims: readonly number[]; readonly strides: readonly number[]; readonly offset: number };

/** A tensor that elementwise work reads: a buffer by its number in a recording, or whatever stands for one. */
export interface Operand<B> {
  readonly buffer: B;
  /** 'f16' where a plan keeps it so; it is read as a float32. */
  readonly element: 'f32' | 'i32' | 'f16';
  readonly access: Access;
}

/** One operation on numbers. `code` is WGSL, with `$0`, `$1`, … for the arguments and `i` for the element's index. */
export interface Node {
  readonly code: string;
  readonly element: 'f32' | 'i32';
  /** Of each argument: a node's number, or −1 − the number of an operand; `ROOT` is what a program hands to `store`. */
  readonly args: readonly number[];
  /** Whether it may leave float16's range or lose what counts there, though its arguments don't: an exponential, a square. */
  readonly wide?: true;
}

export const ROOT = -1_000_000;

/** Elementwise work on `count` numbers: operands, operations in order, and which of their results are written where. */
export interface Graph<B> {
  readonly count: number;
  readonly operands: readonly Operand<B>[];
  readonly nodes: readonly Node[];
  readonly outputs: readonly GraphOutput<B>[];
}

export interface GraphOutput<B> {
  readonly node: number;
  readonly buffer: B;
  /** Where a plan keeps it in float16. */
  readonly element?: 'f16';
}

/** The access of an operand that is broadcast to a shape, as tfjs (and NumPy) do it. */
export function broadcastAccess(shape: readonly number[], operand: readonly number[]): Access {
  const strides: number[] = Array(shape.length).fill(0);
  let stride = 1;
  for (let k = operand.length - 1; k >= 0; k--) {
    const axis = shape.length - operand.length + k;
    if (operand[k] > 1) strides[axis] = stride;
    stride *= operand[k];
  }
  return stridedAccess(shape, strides, 0);
}

/** The access by a stride for each dimension of the result, with dimensions joined that can be. */
export function stridedAccess(shape: readonly number[], strides: readonly number[], offset: number): Access {
  const joined: { dim: number; stride: number }[] = [];
  for (const [axis, dim] of shape.entries()) {
    if (dim === 1) continue;
    const stride = strides[axis];
    const last = joined.at(-1);
    if (last && last.stride === stride * dim) {
      last.dim *= dim;
      last.stride = stride;
    } else joined.push({ dim, stride });
  }
  // Of one element too, so that work on scalars is joined.
  if (offset === 0 && (joined.length === 0 || (joined.length === 1 && joined[0].stride === 1))) return 'same';
  while (joined.length > 0 && joined[0].stride === 0) joined.shift();
  return { dims: joined.map(({ dim }) => dim), strides: joined.map((pair) => pair.stride), offset };
}

/** The program of pure elementwise work: the graph is joined to it as to any other. */
export const MAP: Program = {
  key: 'map',
  outputs: ['f32'],
  inputs: [],
  uniforms: ['count: u32'],
  workgroup: [256, 1, 1],
  stores: true,
  body: `
    let i = (group.y * groups.x + group.x) * 256u + lane;
    if (i < u.count) { store(i, 0f); }`,
};

/** Workgroups for so many elements, one for each invocation. */
export function linearGroups(count: number, size = 256): [number, number, number] {
  const groups = Math.ceil(count / size);
  if (groups <= 65535) return [groups, 1, 1];
  const x = Math.ceil(Math.sqrt(groups));
  return [x, Math.ceil(groups / x), 1];
}

/** What graphs make of a program: a tail, which takes what it stores, and heads, which make what it loads. */
export interface Joining<B> {
  readonly tail?: Graph<B>;
  readonly heads: ReadonlyMap<number, Graph<B>>;
}

/** The WGSL of joined graphs, their buffers in the order of the bindings, and the words of their uniforms. */
export interface JoinedGraphs<B> {
  readonly joined: Joined;
  /** In the place of the program's own outputs, if there is a tail. */
  readonly outputs: readonly B[] | undefined;
  readonly inputs: readonly B[];
  readonly words: readonly number[];
}

export function joinGraphs<B>(program: Program, { tail, heads }: Joining<B>): JoinedGraphs<B> {
  const writer = new Writer<B>(program.inputs.length);
  const hooks: { [name: string]: string } = {};
  for (const [input, graph] of heads) {
    const { lines, result } = writer.write(graph, undefined);
    const element = wideElement(program.inputs[input]);
    hooks[`load${input}`] =
      `fn load${input}(i: u32) -> ${element} {\n${lines.join('\n')}\nreturn ${result(graph.outputs[0].node)};\n}`;
  }
  const outputs: Element[] = [];
  if (tail) {
    const { lines, result } = writer.write(tail, 'value');
    const root = wideElement(program.outputs[0]);
    for (const [k, { node, element }] of tail.outputs.entries()) {
      const kept = element ?? (node === ROOT ? root : tail.nodes[node].element);
      outputs.push(kept);
      lines.push(`y${k}[i] = ${narrowed(kept, result(node))};`);
    }
    hooks.store = `fn store(i: u32, value: ${root}) {\n${lines.join('\n')}\n}`;
  }
  const text = Object.values(hooks).join('\n');
  return {
    joined: {
      host: /\bhost(Float|Integer)\(/.test(text),
      // The text doesn't tell what the bindings are of: a sum of float32 reads as one of int32 does.
      key: [...outputs, '<', ...writer.elements, text, writer.declarations].join(' '),
      outputs: tail ? outputs : program.outputs,
      inputs: writer.elements,
      uniforms: writer.uniforms,
      hooks,
      declarations: writer.declarations,
    },
    outputs: tail?.outputs.map(({ buffer }) => buffer),
    inputs: writer.buffers,
    words: writer.words,
  };
}

/**
 * Statements that compute a graph's nodes for element `i`, of operands that are loaded by these expressions, and a node's
 * value by name. All that is read is read before the first statement of the caller's that may write.
 */
export function writeNodes<B>(
  { nodes }: Graph<B>,
  loaded: readonly string[],
  root: string | undefined,
): { lines: string[]; result: (node: number) => string } {
  const value = (arg: number): string => {
    if (arg === ROOT) return root ?? '0f';
    return arg >= 0 ? `n${arg}` : `o${-1 - arg}`;
  };
  const used = new Set(nodes.flatMap(({ args }) => args.filter((arg) => arg < 0 && arg !== ROOT)));
  const lines = [...used].map((arg) => `let o${-1 - arg} = ${loaded[-1 - arg]};`);
  for (const [k, { code, args }] of nodes.entries()) {
    lines.push(`let n${k} = ${code.replace(/\$(\d)/g, (_, digit) => value(args[Number(digit)]))};`);
  }
  return { lines, result: value };
}

/** Writes graphs as WGSL, and collects the bindings and uniforms that they need. */
class Writer<B> {
  readonly buffers: B[] = [];
  readonly elements: Element[] = [];
  readonly uniforms: string[] = [];
  readonly words: number[] = [];
  declarations = '';
  readonly #first: number;
  #accesses = 0;

  constructor(first: number) {
    this.#first = first;
  }

  write(graph: Graph<B>, root: string | undefined): { lines: string[]; result: (node: number) => string } {
    const loaded = graph.operands.map((operand) => {
      const name = this.#bind(operand);
      const at = this.#index(operand.access);
      return widened(operand.element, `${name}[${at}]`);
    });
    return writeNodes(graph, loaded, root);
  }

  #bind({ buffer, element }: Operand<B>): string {
    let place = this.buffers.findIndex((known, k) => known === buffer && this.elements[k] === element);
    if (place < 0) {
      place = this.buffers.push(buffer) - 1;
      this.elements.push(element);
    }
    return `x${this.#first + place}`;
  }

  #index(access: Access): string {
    if (access === 'same') return 'i';
    const { dims, strides, offset } = access;
    if (dims.length === 0 && offset === 0) return '0u';
    const number = this.#accesses++;
    const field = (name: string, value: number): string => {
      this.uniforms.push(`${name}: u32`);
      this.words.push(value);
      return `u.${name}`;
    };
    const lines = ['var rest = i;'];
    const terms = [field(`offset${number}`, offset)];
    for (let k = dims.length - 1; k >= 0; k--) {
      const dim = field(`dim${number}_${k}`, dims[k]);
      const stride = field(`stride${number}_${k}`, strides[k]);
      lines.push(`let d${k} = rest % ${dim};`, `rest = rest / ${dim};`);
      terms.push(`d${k} * ${stride}`);
    }
    this.declarations += `fn at${number}(i: u32) -> u32 {\n${lines.join('\n')}\nreturn ${terms.join(' + ')};\n}\n`;
    return `at${number}(i)`;
  }
}
