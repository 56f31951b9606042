import type { Element, Program } from './program.js';

/** What is kept in two bytes in the place of four, and what it is read as. */
const NARROW: Partial<Record<Element, Element>> = { f32: 'f16', vec4f: 'vec4h' };
const WIDE: Partial<Record<Element, Element>> = { f16: 'f32', vec4h: 'vec4f' };

/** The float16 element in the place of one of float32; undefined where there is none. */
export function narrowElement(element: Element): Element | undefined {
  return NARROW[element];
}

/** What code sees of an element: float16 is read as float32. */
export function wideElement(element: Element): Element {
  return WIDE[element] ?? element;
}

/** WGSL of an element as it is seen by code. */
export function widened(element: Element, read: string): string {
  return element in WIDE ? `${wideElement(element)}(${read})` : read;
}

/** WGSL of a value as an element is kept: what float16 can't hold becomes infinite, on every GPU. */
export function narrowed(element: Element, value: string): string {
  if (element === 'f16') return `narrowed(${value})`;
  return element === 'vec4h' ? `narrowedVector(${value})` : value;
}

/**
 * The program with some of its inputs and outputs, by their numbers, kept in float16. Its code is as it was, but that it
 * converts where it reads `xN[…]` and where it writes `yN[…] = …;`: WGSL has no conversion of its own between the two.
 */
export function inFloat16(
  program: Program,
  inputs: ReadonlySet<number>,
  outputs: ReadonlySet<number>,
): Program {
  if (inputs.size + outputs.size === 0) return program;
  const replaced = (elements: readonly Element[], which: ReadonlySet<number>): Element[] =>
    elements.map((element, k) => (which.has(k) ? (narrowElement(element) ?? element) : element));
  const reads = replaced(program.inputs, inputs);
  const writes = replaced(program.outputs, outputs);
  const rewrite = (code: string): string => {
    let text = code;
    for (const k of inputs) text = withReads(text, `x${k}`, (read) => widened(reads[k], read));
    for (const k of outputs) text = withWrites(text, `y${k}`, (value) => narrowed(writes[k], value));
    return text;
  };
  return {
    ...program,
    key: `${program.key} float16 ${[...inputs].sort()}>${[...outputs].sort()}`,
    inputs: reads,
    outputs: writes,
    ...(program.declarations !== undefined && { declarations: rewrite(program.declarations) }),
    body: rewrite(program.body),
  };
}

/** Replaces every `name[…]`. */
function withReads(code: string, name: string, replace: (read: string) => string): string {
  let text = '';
  let from = 0;
  for (const { index } of code.matchAll(new RegExp(`\\b${name}\\[`, 'g'))) {
    // A read in the index of another one has been taken along.
    if (index < from) continue;
    const inside = index + name.length + 1;
    const end = closing(code, inside);
    text +=
      code.slice(from, index) + replace(`${name}[${withReads(code.slice(inside, end), name, replace)}]`);
    from = end + 1;
  }
  return text + code.slice(from);
}

/** Replaces the value of every `name[…] = value;`. */
function withWrites(code: string, name: string, replace: (value: string) => string): string {
  let text = '';
  let from = 0;
  for (const { index } of code.matchAll(new RegExp(`\\b${name}\\[`, 'g'))) {
    const end = closing(code, index + name.length + 1) + 1;
    const assigned = /^\s*=(?!=)\s*/.exec(code.slice(end));
    if (!assigned)
      throw new Error(`A program reads what it writes: ${name}, at ${code.slice(index, index + 40)}.`);
    const value = end + assigned[0].length;
    const stop = code.indexOf(';', value);
    text += code.slice(from, value) + replace(code.slice(value, stop));
    from = stop;
  }
  return text + code.slice(from);
}

/** The place of the bracket that closes what was opened just before `from`. */
function closing(code: string, from: number): number {
  let depth = 1;
  for (let at = from; at < code.length; at++) {
    if (code[at] === '[') depth++;
    if (code[at] === ']' && --depth === 0) return at;
  }
  throw new Error(`A bracket isn't closed: ${code.slice(from, from + 40)}.`);
}
