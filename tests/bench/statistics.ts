/** The middle value, or the mean of the middle two. NaN of nothing. */
export function median(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * The median of theirs / ours over the rounds in which both were measured. The machine's speed drifts from round to
 * round; within one, both had about the same. NaN where they share no round.
 */
export function ratioByRound(
  theirs: readonly (number | undefined)[],
  ours: readonly (number | undefined)[],
): number {
  return median(
    theirs.flatMap((time, round) => {
      const own = ours[round];
      return time === undefined || own === undefined ? [] : [time / own];
    }),
  );
}

/** What a warm-up tells about the rounds to come: how many steps in each, and in how many of them. */
export interface Plan {
  readonly steps: number;
  readonly rounds: number;
}

/**
 * Steps and rounds for something that takes `stepMs` a step and may take `roundMs` in each of `rounds` rounds: as many
 * steps as fit, at least 1 and at most 1,000. Where not even one fits, three times the round's share is still taken;
 * what is slower yet runs in fewer rounds, spread over the first of them, and at least in one.
 */
export function plan(stepMs: number, roundMs: number, rounds: number): Plan {
  const steps = Math.min(1000, Math.max(1, Math.floor(roundMs / stepMs)));
  if (stepMs <= 3 * roundMs) return { steps, rounds };
  return { steps: 1, rounds: Math.min(rounds, Math.max(1, Math.floor((3 * roundMs * rounds) / stepMs))) };
}
