import {
  type Backend,
  checkInput,
  checkPrecision,
  type Downloaded,
  type Feed,
  isTenonError,
  type Loss,
  type Metric,
  type ModelArtifact,
  type NdArray,
  type Precision,
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
import type { Position } from './checkpoint.js';
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
export type Tally = Pick<Position, 'sums' | 'metrics'>;

export function emptyTally(metrics: readonly Metric[]): Tally {
  return { sums: { weighted: 0, total: 0 }, metrics: metrics.map((metric) => metric.empty()) };
}

/** A tally with what a step saw. */
export function addSeen(
  { sums, metrics: states }: Tally,
  metrics: readonly Metric[],
  { weighted, total, observed }: Downloaded<EvaluationSeen>,
): Tally {
  return {
    sums: {
      weighted: sums.weighted + Number(weighted.data[0]),
      total: sums.total + Number(total.data[0]),
    },
    metrics: metrics.map((metric, i) => metric.update(states[i], observed[i])),
  };
}

/** The figures of a tally. The loss of examples whose weights sum to 0 is 0. */
export function figuresOf({ sums, metrics: states }: Tally, metrics: readonly Metric[]): Figures {
  const named = metrics.map((metric, i) => [metric.name, metric.compute(states[i])] as const);
  return { loss: sums.total === 0 ? 0 : sums.weighted / sums.total, ...Object.fromEntries(named) };
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
 * A batch as the compiled steps take it: preprocessed, and its inputs and targets checked, since a compiled step can't
 * throw for a value. Errors name `where`.
 */
export function prepareBatch(
  batch: Batch,
  { preprocessing, input, output, loss }: Preparation,
  where: string,
): Feed<BatchTensors> {
  try {
    const { target, weight } = batch;
    const prepared = preprocess({ preprocessing, input }, batch.input);
    checkInput(prepared, input);
    loss.check?.(target, output);
    return { input: prepared, target, ...(weight && { weight }) };
  } catch (error) {
    throw isTenonError(error) ? error.within(where) : error;
  }
}

/**
 * The figures over some data, by a compiled evaluation step with the weights already bound; undefined where the signal
 * came before the data's end. Throws `DATA_INVALID` where there is no batch, whose figures would look like perfect ones.
 */
export async function evaluateBatches(
  step: (batch: Feed<BatchTensors>) => EvaluationSeen,
  batches: AsyncIterable<Batch>,
  preparation: Preparation,
  metrics: readonly Metric[],
  { where, signal }: { readonly where: string; readonly signal?: AbortSignal },
): Promise<Figures | undefined> {
  let tally = emptyTally(metrics);
  const breathe = createBreather();
  let count = 0;
  if (signal?.aborted) return undefined;
  for await (const batch of batches) {
    const place = `${where}, batch ${++count}`;
    countExamples(batch, place);
    tally = addSeen(tally, metrics, await read(step(prepareBatch(batch, preparation, place))));
    await breathe();
    if (signal?.aborted) return undefined;
  }
  if (count === 0) throw noBatches(where);
  return figuresOf(tally, metrics);
}

/** The error for data that yields nothing. */
export function noBatches(where: string): TenonError {
  return new TenonError({
    code: 'DATA_INVALID',
    where,
    expected: 'at least one batch',
    got: 'none',
    hint: 'Is the data empty, or all of it left out (by filter, take, or dropRemainder)?',
  });
}

/**
 * The figures of a model over some data: what `trainer.evaluate` gives for the weights that were saved, bit for bit, in the
 * same precision. That is float32 by default, whatever the model was trained in. Throws `DATA_INVALID` for data without a
 * batch, and the signal's reason where it is aborted.
 */
export async function evaluateModel(
  artifact: ModelArtifact,
  batches: AsyncIterable<Batch>,
  options: {
    readonly loss: AnyLoss;
    readonly metrics?: readonly Metric[];
    readonly backend: Backend;
    readonly precision?: Precision;
    readonly signal?: AbortSignal;
  },
): Promise<Figures> {
  const { metrics = [], backend, precision, signal } = options;
  const loss = options.loss as Preparation['loss'];
  await backend.init();
  if (precision !== undefined) checkPrecision(precision, backend, 'evaluateModel, precision');
  const step = compileEvaluationStep({ model: artifact.layer, loss, metrics, backend, precision });
  const weights = upload({ params: artifact.params, state: artifact.state }, backend);
  try {
    const run = (batch: Feed<BatchTensors>): EvaluationSeen => step(weights.params, weights.state, batch);
    const figures = await evaluateBatches(run, batches, { ...artifact, loss }, metrics, {
      where: 'evaluation',
      signal,
    });
    return unlessAborted(figures, signal);
  } finally {
    release(weights);
  }
}

/** Figures that a signal may have cut short: throws its reason, since those of a part would pass for the whole's. */
export function unlessAborted(figures: Figures | undefined, signal: AbortSignal | undefined): Figures {
  if (figures) return figures;
  throw signal?.reason;
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
