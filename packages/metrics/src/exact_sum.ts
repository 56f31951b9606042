/**
 * Sums of float64 numbers without rounding, so that a metric has the same bits whatever the batches, their order and
 * the workers that its parts were merged from: plain float64 addition is not associative.
 *
 * A sum is held as an expansion: numbers that don't overlap, whose exact sum it is (Shewchuk, "Adaptive precision
 * floating-point arithmetic", 1997; Python's `math.fsum` is made of the same). Mostly there is just one.
 */

/**
 * An exact sum, largest part first: element 0 is the sum correctly rounded, element 1 what that leaves, correctly
 * rounded, and so on. Empty for 0. Equal sums have equal elements.
 */
export type ExactSum = readonly number[];

/** Exact sums by name; a name that is absent has the sum 0. */
export type Sums = { readonly [name: string]: ExactSum };

/** The sum of what was added, rounded once. */
export function total(sum: ExactSum | undefined): number {
  return sum?.[0] ?? 0;
}

/** a + b, exactly. */
export function addExact(a: ExactSum, b: ExactSum): ExactSum {
  if (a.length === 0) return b;
  if (b.length === 0) return a;
  const parts = [...a].reverse();
  for (const part of b) grow(parts, part);
  return canonical(parts);
}

/** The sums of each name, exactly. */
export function addSums(a: Sums, b: Sums): Sums {
  const names = Object.keys(b);
  if (names.length === 0) return a;
  const added: { [name: string]: ExactSum } = { ...a };
  for (const name of names) added[name] = addExact(added[name] ?? [], b[name]);
  return added;
}

/** Collects one batch's sums: cheaper than adding one `ExactSum` after the other. */
export class Summation {
  readonly #parts = new Map<string | number, number[]>();

  /** Adds a finite number to the sum called `name`. */
  add(name: string | number, value: number): void {
    let parts = this.#parts.get(name);
    if (!parts) this.#parts.set(name, (parts = []));
    grow(parts, value);
  }

  /** The sum called `name`. */
  sum(name: string | number): ExactSum {
    return canonical(this.#parts.get(name) ?? []);
  }

  /** All sums that aren't 0. */
  sums(): Sums {
    const entries = [...this.#parts.keys()].map((name) => [name, this.sum(name)] as const);
    return Object.fromEntries(entries.filter(([, sum]) => sum.length > 0));
  }
}

/** Adds to an expansion whose parts stand smallest first; stays one. */
function grow(parts: number[], value: number): void {
  let kept = 0;
  let carry = value;
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i];
    const [large, small] = Math.abs(carry) < Math.abs(part) ? [part, carry] : [carry, part];
    carry = large + small;
    const lost = small - (carry - large);
    if (lost !== 0) parts[kept++] = lost;
  }
  parts.length = kept;
  if (carry !== 0) parts.push(carry);
}

/** The one representation of an expansion's sum. Consumes `parts`. */
function canonical(parts: number[]): ExactSum {
  if (parts.length < 2) return [...parts];
  const result: number[] = [];
  while (parts.length > 0) {
    const rounded = round(parts);
    result.push(rounded);
    grow(parts, -rounded);
  }
  return result;
}

/** The sum of an expansion, smallest part first, rounded to nearest, ties to even. */
function round(parts: readonly number[]): number {
  let i = parts.length - 1;
  let high = parts[i];
  let low = 0;
  while (i > 0 && low === 0) {
    const part = parts[--i];
    const sum = high + part;
    low = part - (sum - high);
    high = sum;
  }
  // Exactly half a unit was lost: whether that is a tie is for the parts below to say.
  if (i > 0 && low !== 0 && Math.sign(low) === Math.sign(parts[i - 1])) {
    const doubled = low * 2;
    const next = high + doubled;
    if (next - high === doubled) return next;
  }
  return high;
}
