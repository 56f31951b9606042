import { isNdArray, type Key, TenonError } from '@tenon-ml/core';
import type { Dataset, SplitOptions, SplitSizes } from './dataset.js';
import { recordError } from './record_error.js';
import { indexedSource, type Source } from './source.js';
import { describeKey } from './stages/map.js';
import { reordered } from './stages/shuffle.js';

/** The parts of a source, by name. */
export async function splitSource<T, P extends SplitSizes>(
  source: Source<T>,
  sizes: P,
  options: SplitOptions<T>,
  create: (source: Source<T>) => Dataset<T>,
): Promise<{ readonly [K in keyof P]: Dataset<T> }> {
  const { view, length, description } = source;
  if (!view || length === null || !source.stable) {
    throw new TenonError({
      code: 'INVALID_ARGUMENT',
      where: 'split',
      expected: 'records that can be read by their number, and keep it from epoch to epoch',
      got: description,
      hint: source.stable
        ? 'Split before filter and prefetch, or read it into memory: fromExamples(await data.toArray()).'
        : 'Split before shuffle and repeat: otherwise a record is in several parts over time.',
    });
  }
  const names = Object.keys(sizes);
  const fractions = checkSizes(sizes, length);
  const totals = largestRemainder(fractions, length);

  let parts: number[][];
  if ('contiguous' in options) {
    let end = 0;
    parts = totals.map((total) => range(end, (end += total)));
  } else {
    const key = options.key.foldIn('split');
    if (options.stratify) {
      const classes = await classMembers(source, options.stratify, length);
      parts = stratifiedParts(classes, fractions, totals, key);
    } else {
      parts = deal([...key.permutation(length)], totals);
    }
    for (const part of parts) part.sort((a, b) => a - b);
  }

  const how =
    'contiguous' in options ? '' : `, ${describeKey(options.key)}${options.stratify ? ', stratified' : ''}`;
  const datasets = names.map((name, p) => {
    const indices = Uint32Array.from(parts[p]);
    return create(
      indexedSource({
        description: `${description} > split(${name} ${indices.length} of ${length}${how})`,
        length: indices.length,
        stable: true,
        view: (epoch) => reordered(view(epoch), (index) => indices[index], indices.length),
      }),
    );
  });
  return Object.fromEntries(names.map((name, p) => [name, datasets[p]])) as {
    [K in keyof P]: Dataset<T>;
  };
}

/** The sizes as fractions of the length. */
function checkSizes(sizes: SplitSizes, length: number): number[] {
  const values = Object.values(sizes);
  const sum = values.reduce((a, b) => a + b, 0);
  const positive = values.length > 0 && values.every((value) => value >= 0);
  if (positive && Math.abs(sum - 1) < 1e-9) return values.map((value) => value / sum);
  if (positive && sum === length && values.every(Number.isInteger)) {
    return values.map((value) => (length === 0 ? 1 / values.length : value / length));
  }
  throw new TenonError({
    code: 'INVALID_ARGUMENT',
    where: 'split',
    expected: `fractions of at least 0 whose sum is 1, or numbers of records whose sum is ${length}`,
    got: `${JSON.stringify(sizes)}, whose sum is ${sum}`,
  });
}

/**
 * `total` in whole shares by largest remainder (Hamilton): each gets the whole part of fraction·total, and what is
 * left goes one by one to the largest fractional parts, to the first of equals.
 */
export function largestRemainder(fractions: readonly number[], total: number): number[] {
  const exact = fractions.map((fraction) => tidy(fraction * total));
  const shares = exact.map(Math.floor);
  const left = total - shares.reduce((a, b) => a + b, 0);
  const order = exact.map((_, p) => p).sort((a, b) => exact[b] - shares[b] - (exact[a] - shares[a]) || a - b);
  for (let i = 0; i < left; i++) shares[order[i % order.length]]++;
  return shares;
}

/**
 * Each class by largest remainder; then extra records change parts within their classes until the totals are those
 * wanted, as far as every class may keep its share rounded up or down.
 */
export function stratifiedCounts(
  classSizes: readonly number[],
  fractions: readonly number[],
  totals: readonly number[],
): number[][] {
  const counts = classSizes.map((size) => largestRemainder(fractions, size));
  const exact = classSizes.map((size) => fractions.map((fraction) => tidy(fraction * size)));
  const surplus = totals.map((total, p) => counts.reduce((sum, row) => sum + row[p], 0) - total);
  const rounding = (c: number, p: number): number => counts[c][p] - exact[c][p];
  /** The class in which a record moves from part to part at the least cost, if both then are rounded up or down. */
  const classFor = (from: number, to: number): number | undefined => {
    let best: number | undefined;
    let bestCost = Number.POSITIVE_INFINITY;
    for (let c = 0; c < counts.length; c++) {
      if (rounding(c, from) <= 0 || rounding(c, to) >= 0) continue;
      const cost = rounding(c, to) - rounding(c, from);
      if (cost < bestCost) {
        best = c;
        bestCost = cost;
      }
    }
    return best;
  };
  for (;;) {
    const path = surplusPath(surplus, (from, to) => classFor(from, to) !== undefined);
    if (!path) return counts;
    for (let i = 1; i < path.length; i++) {
      const row = counts[classFor(path[i - 1], path[i]) as number];
      row[path[i - 1]]--;
      row[path[i]]++;
    }
    surplus[path[0]]--;
    surplus[path[path.length - 1]]++;
  }
}

/** The shortest way from a part with too many to one with too few, over moves that are possible. */
function surplusPath(
  surplus: readonly number[],
  movable: (from: number, to: number) => boolean,
): number[] | undefined {
  const paths = surplus.flatMap((value, p) => (value > 0 ? [[p]] : []));
  const seen = new Set(paths.map(([p]) => p));
  for (const path of paths) {
    const from = path[path.length - 1];
    if (surplus[from] < 0) return path;
    for (let to = 0; to < surplus.length; to++) {
      if (seen.has(to) || !movable(from, to)) continue;
      seen.add(to);
      paths.push([...path, to]);
    }
  }
  return undefined;
}

function stratifiedParts(
  classes: ReadonlyMap<number | string, readonly number[]>,
  fractions: readonly number[],
  totals: readonly number[],
  key: Key,
): number[][] {
  // By label, not by first appearance: the draw of a class doesn't depend on the order of the records of others.
  const labels = [...classes.keys()].sort((a, b) => (String(a) < String(b) ? -1 : 1));
  const members = labels.map((label) => classes.get(label) as readonly number[]);
  const counts = stratifiedCounts(
    members.map((indices) => indices.length),
    fractions,
    totals,
  );
  const parts: number[][] = fractions.map(() => []);
  for (const [c, indices] of members.entries()) {
    const order = key.foldIn('class').foldIn(String(labels[c])).permutation(indices.length);
    const dealt = deal(
      [...order].map((i) => indices[i]),
      counts[c],
    );
    for (const [p, part] of dealt.entries()) for (const index of part) parts[p].push(index);
  }
  return parts;
}

async function classMembers<T>(
  source: Source<T>,
  stratify: (element: T) => unknown,
  length: number,
): Promise<Map<number | string, number[]>> {
  const elements = source.view?.(0);
  const classes = new Map<number | string, number[]>();
  for (let index = 0; index < length && elements; index++) {
    const element = await elements.load(index);
    let label: unknown;
    try {
      label = stratify(element);
    } catch (error) {
      throw recordError(error, 'split, stratify', elements.record(index));
    }
    const value = isNdArray(label) && label.data.length === 1 ? Number(label.data[0]) : label;
    if (typeof value !== 'string' && !(typeof value === 'number' && Number.isFinite(value))) {
      throw new TenonError({
        code: 'DATA_INVALID',
        where: `split, stratify, ${elements.record(index)}`,
        expected: 'a class: a number, a string, or an NdArray with one element',
        got: typeof value === 'object' ? (JSON.stringify(value) ?? 'null').slice(0, 80) : String(value),
      });
    }
    const known = classes.get(value);
    if (known) known.push(index);
    else classes.set(value, [index]);
  }
  return classes;
}

function deal(items: readonly number[], counts: readonly number[]): number[][] {
  let end = 0;
  return counts.map((count) => items.slice(end, (end += count)));
}

function range(begin: number, end: number): number[] {
  return Array.from({ length: end - begin }, (_, i) => begin + i);
}

/** Without the last bits, which decide neither whether 0.7·10 is whole nor whether 0.35·10 and 0.65·10 tie. */
function tidy(value: number): number {
  return Number(value.toPrecision(12));
}
