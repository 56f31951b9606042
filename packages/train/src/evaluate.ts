import {
  type Host,
  type Json,
  type Loss,
  type Metric,
  type NdArray,
  preprocess,
  type Specs,
  TenonError,
  type TensorSpec,
  type Transform,
  type Tree,
  treeLeaves,
} from '@tenon-ml/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Figures } from './events.js';
import type { Seen } from './step.js';

/** A batch of examples on the host: trees of arrays whose first axis is the batch. */
export interface Batch<
  In extends Tree<NdArray> = Tree<NdArray>,
  Target extends Tree<NdArray> = Tree<NdArray>,
> {
  readonly input: In;
  readonly target: Target;
  /** One number an example, [batch]: how much it counts, in the loss and in the metrics; 1 by default. */
  readonly weight?: NdArray;
}

/** Sums over batches: the loss exactly as the steps saw it, each metric by its own monoid. */
export interface Tally {
  readonly sums: { weighted: number; total: number };
  readonly metrics: Json[];
}

export function emptyTally(metrics: readonly Metric[]): Tally {
  return { sums: { weighted: 0, total: 0 }, metrics: metrics.map((metric) => metric.empty()) };
}

/** Adds what a step saw. */
export function addSeen(
  tally: Tally,
  metrics: readonly Metric[],
  seen: Host<Pick<Seen, 'weighted' | 'total' | 'observed'>>,
): void {
  tally.sums.weighted += Number(seen.weighted.data[0]);
  tally.sums.total += Number(seen.total.data[0]);
  for (const [i, metric] of metrics.entries()) {
    tally.metrics[i] = metric.update(tally.metrics[i], (seen.observed as readonly Tree<NdArray>[])[i]);
  }
}

/** The figures of a tally. The loss of no examples is 0. */
export function figuresOf(tally: Tally, metrics: readonly Metric[]): Figures {
  const { weighted, total } = tally.sums;
  const named = metrics.map((metric, i) => [metric.name, metric.compute(tally.metrics[i])] as const);
  return { loss: total === 0 ? 0 : weighted / total, ...Object.fromEntries(named) };
}

/** The number of examples of a batch. Throws `SHAPE_MISMATCH` where input, target and weight disagree about it. */
export function countExamples(batch: Batch, where: string): number {
  const leaves = [...treeLeaves<NdArray>(batch.input), ...treeLeaves<NdArray>(batch.target)];
  if (batch.weight) leaves.push(batch.weight);
  const counts = new Set(leaves.map(({ shape }) => shape[0]));
  const [count] = counts;
  if (counts.size === 1 && count !== undefined) return count;
  throw new TenonError({
    code: 'SHAPE_MISMATCH',
    where,
    expected: 'input, target and weight with the same number of examples along the first axis',
    got: leaves.map(({ shape }) => `[${shape.join(', ')}]`).join(' and '),
    hint: 'Batch the data: dataset.batch(32).',
  });
}

/** What the compiled steps take: preprocessed, and its targets checked, since a compiled step can't throw for a value. */
export function prepareBatch(
  batch: Batch,
  parts: {
    readonly preprocessing: readonly Transform[];
    readonly input: Tree<TensorSpec>;
    readonly output: Specs<Tree<Tensor>>;
    readonly loss: Loss<Tree<Tensor>, Tree<Tensor>>;
  },
): { input: Tree<NdArray>; target: Tree<NdArray>; weight?: NdArray } {
  parts.loss.check?.(batch.target, parts.output);
  const input = preprocess(parts, batch.input);
  return batch.weight
    ? { input, target: batch.target, weight: batch.weight }
    : { input, target: batch.target };
}

/** Lets the event loop run (signals, timers, a page's input) when `elapsed` milliseconds have passed since it last did. */
export function createBreather(elapsed = 12): () => Promise<void> | undefined {
  let last = performance.now();
  return () => {
    if (performance.now() - last < elapsed) return undefined;
    return nextTurn().then(() => {
      last = performance.now();
    });
  };
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === 'function') {
      setImmediate(resolve);
      return;
    }
    // setTimeout waits 4 ms in browsers; a message doesn't.
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
