import {
  type Backend,
  type Downloaded,
  type Feed,
  isTenonError,
  type Json,
  type Loss,
  type Metric,
  type ModelArtifact,
  type NdArray,
  preprocess,
  read,
  release,
  TenonError,
  type TensorSpec,
  type Transform,
  type Tree,
  treeLeaves,
  upload,
} from '@tenon-ml/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Figures } from './events.js';
import type { AnyLoss } from './options.js';
import { type BatchTensors, compileEvaluationStep, type Seen } from './step.js';

type EvaluationSeen = Pick<Seen, 'weighted' | 'total' | 'observed'>;

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
export function addSeen(tally: Tally, metrics: readonly Metric[], seen: Downloaded<EvaluationSeen>): void {
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

/** What a batch is prepared for: the network's preprocessing and shapes, and the loss that checks targets. */
export interface Preparation {
  readonly preprocessing: readonly Transform[];
  readonly input: Tree<TensorSpec>;
  readonly output: Tree<TensorSpec>;
  readonly loss: Loss<Tree<Tensor>, Tree<Tensor>>;
}

/**
 * A batch as the compiled steps take it: preprocessed, and its targets checked, since a compiled step can't throw for
 * a value. Errors name `where`.
 */
export function prepareBatch(
  batch: Batch,
  { preprocessing, input, output, loss }: Preparation,
  where: string,
): Feed<BatchTensors> {
  try {
    loss.check?.(batch.target, output);
    const { target, weight } = batch;
    return {
      input: preprocess({ preprocessing, input }, batch.input),
      target,
      ...(weight && { weight }),
    };
  } catch (error) {
    throw isTenonError(error) ? error.within(where) : error;
  }
}

/** The figures over some data, by a compiled evaluation step with the weights already bound. */
export async function evaluateBatches(
  step: (batch: Feed<BatchTensors>) => EvaluationSeen,
  batches: AsyncIterable<Batch>,
  preparation: Preparation,
  metrics: readonly Metric[],
  signal?: AbortSignal,
): Promise<Figures> {
  const tally = emptyTally(metrics);
  const breathe = createBreather();
  let index = 0;
  for await (const batch of batches) {
    if (signal?.aborted) break;
    const where = `evaluation, batch ${++index}`;
    countExamples(batch, where);
    addSeen(tally, metrics, await read(step(prepareBatch(batch, preparation, where))));
    await breathe();
  }
  return figuresOf(tally, metrics);
}

/** The figures of a model over some data: what `trainer.evaluate` gives for the weights that were saved, bit for bit. */
export async function evaluateModel(
  artifact: ModelArtifact,
  batches: AsyncIterable<Batch>,
  options: {
    readonly loss: AnyLoss;
    readonly metrics?: readonly Metric[];
    readonly backend: Backend;
    readonly signal?: AbortSignal;
  },
): Promise<Figures> {
  const { metrics = [], backend, signal } = options;
  const loss = options.loss as Preparation['loss'];
  await backend.init();
  const step = compileEvaluationStep({ model: artifact.layer, loss, metrics, backend });
  const weights = upload({ params: artifact.params, state: artifact.state }, backend);
  try {
    const run = (batch: Feed<BatchTensors>): EvaluationSeen => step(weights.params, weights.state, batch);
    return await evaluateBatches(run, batches, { ...artifact, loss }, metrics, signal);
  } finally {
    release(weights);
  }
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
