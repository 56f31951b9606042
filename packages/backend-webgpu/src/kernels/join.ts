import type { Subgroups } from '../subgroups.js';
import { type Layout, WORKGROUP } from './layout.js';

/** How the numbers of several invocations become one, in WGSL. */
export interface Join {
  /** What is joined: 'f32', 'vec2f', or a struct. */
  readonly type: string;
  /** Of two, in either order. */
  combine(a: string, b: string): string;
  /** Of all that a subgroup's invocations have, where the language has a function for it. */
  whole?(value: string): string;
  /** What the invocation has whose number in the subgroup differs by `mask`; a struct says it for its members. */
  shuffled?(value: string, mask: string): string;
}

/** A sum of float32. */
export const SUM: Join = {
  type: 'f32',
  combine: (a, b) => `${a} + ${b}`,
  whole: (value) => `subgroupAdd(${value})`,
};

/** The largest float32, NaN if there is one. */
export const LARGEST: Join = {
  type: 'f32',
  combine: (a, b) => `maximum(${a}, ${b})`,
  whole: (value) => extremum('subgroupMax', value),
};

/** subgroupMax or subgroupMin, which say nothing of NaN, with NaN where there is one. */
export function extremum(name: string, value: string): string {
  return `select(${name}(${value}), nan(), subgroupAny(isNan(${value})))`;
}

/** Which invocations get what was joined: those with which a row or column begins, or all; with all, it may be repeated. */
export type Reach = 'first' | 'all';

/** WGSL by which the `total`s of the lanes of each row and column are joined; the code is for uniform control flow. */
export interface Joined {
  /** At module scope: the workgroup variable `scratch`, or nothing. */
  readonly declarations: string;
  readonly code: string;
}

/**
 * Joins by subgroups where there are some, and across them through workgroup memory; or all of it there, in a tree. A
 * layout of which the neighbours along the axis are never in one subgroup has the tree.
 */
export function joining(
  subgroups: Subgroups | undefined,
  layout: Pick<Layout, 'lanes' | 'width'>,
  join: Join,
  reach: Reach,
): Joined {
  if (layout.lanes === 1) return { declarations: '', code: '' };
  return subgroups && layout.width < subgroups.least
    ? bySubgroups(subgroups, layout, join, reach)
    : tree(layout, join, reach);
}

/** What tells programs with subgroups of some size apart from others. */
export function variantOf(subgroups: Subgroups | undefined): string {
  return subgroups ? ` subgroups ${subgroups.least} ${subgroups.most}` : '';
}

/** The parameter of functions that join by subgroups of more than one size, and the argument. */
export function sizeParameter(subgroups: Subgroups | undefined): { parameter: string; argument: string } {
  return subgroups && subgroups.least < subgroups.most
    ? { parameter: 'subgroupSize: u32, ', argument: 'subgroupSize, ' }
    : { parameter: '', argument: '' };
}

function scratchOf(type: string, length: number): string {
  return `var<workgroup> scratch: array<${type}, ${length}>;`;
}

function tree(
  { lanes, width }: Pick<Layout, 'lanes' | 'width'>,
  { type, combine }: Join,
  reach: Reach,
): Joined {
  const along = `(lane / ${width}u % ${lanes}u)`;
  return {
    declarations: scratchOf(type, WORKGROUP),
    code: `
    ${reach === 'all' ? 'workgroupBarrier();' : ''}
    scratch[lane] = total;
    for (var half = ${lanes / 2}u; half > 0u; half = half / 2u) {
      workgroupBarrier();
      if (${along} < half) {
        total = ${combine('total', `scratch[lane + half * ${width}u]`)};
        scratch[lane] = total;
      }
    }
    ${reach === 'all' ? `workgroupBarrier();\ntotal = scratch[lane - ${along} * ${width}u];` : ''}`,
  };
}

/**
 * Subgroups of S invocations, of which `width` columns take their turns: those of a column exchange their totals by the
 * bits of their number. What a subgroup has of each column goes into a slot; where a row has more than one subgroup, each of
 * these (or the first) reads the row's slots, an invocation each, and joins them in the same way.
 */
function bySubgroups(
  { least, most }: Subgroups,
  { lanes, width }: Pick<Layout, 'lanes' | 'width'>,
  join: Join,
  reach: Reach,
): Joined {
  const { combine, whole, shuffled = (value, mask) => `subgroupShuffleXor(${value}, ${mask})` } = join;
  const span = lanes * width;
  const fixed = least === most;
  const size = fixed ? `${least}u` : 'subgroupSize';
  const exchange = (mask: number): string => `total = ${combine('total', shuffled('total', `${mask}u`))};`;
  const within =
    whole && width === 1 && span >= most
      ? `total = ${whole('total')};`
      : masks(width, Math.min(span, most))
          .map((mask) => (mask < least ? exchange(mask) : `if (${size} > ${mask}u) { ${exchange(mask)} }`))
          .join('\n');
  if (span <= least) return { declarations: '', code: within };
  const slots = `(${span}u / ${size})`;
  const across = masks(width, Math.min((span / least) * width, most))
    .map((mask) =>
      fixed
        ? exchange(mask)
        : `if (${size} > ${mask}u && ${slots} * ${width}u > ${mask}u) { ${exchange(mask)} }`,
    )
    .join('\n');
  const code = `
    ${reach === 'all' ? 'workgroupBarrier();' : ''}
    if (lane % ${size} < ${width}u) { scratch[lane / ${size} * ${width}u + lane % ${width}u] = total; }
    workgroupBarrier();
    ${reach === 'first' ? `if (lane % ${span}u < ${size})` : ''} {
      let first = lane / ${span}u * ${slots} * ${width}u + lane % ${width}u;
      let place = lane % ${size} / ${width}u;
      total = scratch[first + place % ${slots} * ${width}u];
      for (var k = place + ${size} / ${width}u; k < ${slots}; k += ${size} / ${width}u) {
        total = ${combine('total', `scratch[first + k * ${width}u]`)};
      }
    }
    ${across}`;
  return {
    declarations: scratchOf(join.type, (WORKGROUP / least) * width),
    code: `${within}\n${fixed ? code : `if (${size} < ${span}u) {${code}\n}`}`,
  };
}

/** Powers of two from `first` on, below `end`. */
function masks(first: number, end: number): number[] {
  const all: number[] = [];
  for (let mask = first; mask < end; mask *= 2) all.push(mask);
  return all;
}
