import { linearGroups } from '../graph.js';
import type { Program } from '../program.js';
import type { Subgroups } from '../subgroups.js';
import { type Join, joining, LARGEST, SUM, sizeParameter, variantOf } from './join.js';
import { powerOfTwo, WORKGROUP } from './layout.js';

/** Elements that an invocation goes through, at the least, before another is asked to help. */
const LEAST_PER_LANE = 4;
/** Elements of an input that an invocation holds in registers, at the most. */
const MOST_HELD = 8;

/** How rows of so many elements are worked on: `lanes` invocations a row, several rows a workgroup if they are short. */
export interface RowLayout {
  readonly lanes: number;
  readonly rows: number;
  /** Elements that each invocation holds of a row; 0 for longer rows, which are read again in every pass. */
  readonly held: number;
}

export function rowLayout(count: number): RowLayout {
  const lanes = Math.min(WORKGROUP, powerOfTwo(count / LEAST_PER_LANE));
  const held = powerOfTwo(count / lanes);
  return { lanes, rows: WORKGROUP / lanes, held: held <= MOST_HELD ? held : 0 };
}

/** Workgroups for so many rows. */
export function rowGroups(rows: number, layout: RowLayout): [number, number, number] {
  return linearGroups(Math.ceil(rows / layout.rows), 1);
}

/** What the code of a row program is written with. */
export interface RowCode {
  /** Runs code for each `column` of the `row`, by all its invocations. */
  each(code: string): string;
  /** The element of an input in that column. */
  element(input: number): string;
  /** A number of each of the row's invocations, joined to one that all of them get; all have to come here. */
  sum(value: string): string;
  largest(value: string): string;
}

export interface RowProgram {
  readonly key: string;
  readonly outputs?: number;
  /** How many inputs there are; `wide` are those of [rows, count]. The first ones are loaded, once, where rows are short. */
  readonly inputs: number;
  readonly wide: readonly number[];
  /** Besides `rows` and `count`. */
  readonly uniforms?: readonly string[];
  /** Inputs that are read by `loadN` whatever the length of rows. */
  readonly loads?: readonly number[];
  readonly stores?: boolean;
  readonly float16?: Program['float16'];
  /**
   * WGSL. There are `row`, `base` (where it begins), `inside` (whether it is one), and `along` (which of the row's
   * invocations this is).
   */
  code(row: RowCode): string;
}

/** A program of float32 that works on rows, each by a few invocations or by a workgroup. */
export function rowProgram(
  subgroups: Subgroups | undefined,
  layout: RowLayout,
  program: RowProgram,
): Program {
  const { lanes, rows, held } = layout;
  const { wide, loads = [] } = program;
  const each = (code: string): string =>
    held > 0
      ? `for (var j = 0u; j < ${held}u; j++) {
          let column = along + j * ${lanes}u;
          if (inside && column < u.count) { ${code} }
        }`
      : `if (inside) { for (var column = along; column < u.count; column += ${lanes}u) { ${code} } }`;
  const element = (input: number): string => (held > 0 ? `held${input}[j]` : `x${input}[base + column]`);
  const { parameter, argument } = sizeParameter(subgroups);
  const joined = (name: string) => (value: string) => `${name}OfRow(lane, ${argument}${value})`;
  const code = program.code({ each, element, sum: joined('sum'), largest: joined('largest') });
  const joins = Object.entries(JOINS)
    .filter(([name]) => code.includes(`${name}OfRow`))
    .map(([name, join]) => ({ name, ...joining(subgroups, { lanes, width: 1 }, join, 'all') }));
  return {
    key: `${program.key} ${lanes} ${held}${variantOf(subgroups)}`,
    outputs: Array(program.outputs ?? 1).fill('f32'),
    inputs: Array(program.inputs).fill('f32'),
    uniforms: ['rows: u32', 'count: u32', ...(program.uniforms ?? [])],
    workgroup: [WORKGROUP, 1, 1],
    stores: program.stores ?? true,
    ...(program.float16 && { float16: program.float16 }),
    loads: [...loads, ...(held > 0 ? wide : [])].sort(),
    declarations: [
      joins[0]?.declarations ?? '',
      ...joins.map(
        (join) => `fn ${join.name}OfRow(lane: u32, ${parameter}value: f32) -> f32 {
          var total = value;
          ${join.code}
          return total;
        }`,
      ),
    ].join('\n'),
    body: `
      let along = lane % ${lanes}u;
      let row = (group.y * groups.x + group.x) * ${rows}u + lane / ${lanes}u;
      let inside = row < u.rows;
      let base = row * u.count;
      ${held > 0 ? wide.map((input) => `var held${input}: array<f32, ${held}>;`).join('\n') : ''}
      ${held > 0 ? each(wide.map((input) => `held${input}[j] = load${input}(base + column);`).join(' ')) : ''}
      ${code}`,
  };
}

const JOINS: { readonly [name in 'sum' | 'largest']: Join } = { sum: SUM, largest: LARGEST };
