import {
  type ArtifactStore,
  createKey,
  type Metric,
  type ModelArtifact,
  type ModelCard,
  type NdArray,
  type OutputActivation,
  openModel,
  preprocess,
  read,
  saveModel,
  scalars,
  TenonError,
  type TensorSpec,
  type Transform,
  type Tree,
  treeMap,
} from '@tenon-ml/core';
import type { Dataset } from '@tenon-ml/data';
import type { Tensor } from '@tensorflow/tfjs-core';
import { type Checkpoint, type Position, readLatestCheckpoint, writeCheckpoint } from './checkpoint.js';
import { diagnose } from './diagnosis.js';
import {
  addSeen,
  type Batch,
  countExamples,
  createBreather,
  emptyTally,
  evaluateBatches,
  figuresOf,
  type Preparation,
  prepareBatch,
  type Tally,
} from './evaluate.js';
import type { EpochRecord, Figures, TrainEvent } from './events.js';
import { type EarlyStopping, improves, monitored, resolveMonitor } from './monitor.js';
import { createNetwork, type Network } from './network.js';
import {
  type AnyTrainerOptions,
  type CheckpointOptions,
  checkMetricNames,
  checkRunOptions,
  type FitResult,
  type RunOptions,
  type Trainer,
  type TrainerOptions,
} from './options.js';
import { compileEvaluationStep, compileTrainStep, type StepParts } from './step.js';

/**
 * A trainer: a network, a loss, an optimizer and a backend, put together. Starts the backend.
 *
 * The steps are the ones you would write by hand with `compile` and `valueAndGrad`: `examples/own-loop.ts` does, and
 * ends with the same bits.
 */
export function createTrainer<In extends Tree<Tensor>, Out extends Tree<Tensor>, Target extends Tree<Tensor>>(
  options: TrainerOptions<In, Out, Target>,
): Promise<Trainer>;
export async function createTrainer(options: AnyTrainerOptions): Promise<Trainer> {
  return startTrainer(options);
}

/** `createTrainer` for parts whose types are not known to fit. */
export async function startTrainer(options: AnyTrainerOptions): Promise<Trainer> {
  await options.backend.init();
  return new Session(options);
}

const probabilityActivations: Readonly<Record<string, OutputActivation>> = {
  softmaxCrossEntropy: 'softmax',
  sigmoidCrossEntropy: 'sigmoid',
};

class Session implements Trainer {
  private readonly parts: StepParts;
  private readonly preprocessing: readonly Transform[];
  private readonly seed: number;
  private readonly options: AnyTrainerOptions;
  private readonly trainStep: ReturnType<typeof compileTrainStep>;
  private readonly evaluationStep: ReturnType<typeof compileEvaluationStep>;
  private network: Network | undefined;
  private position: Position;
  private best: Checkpoint['best'];
  private busy = false;

  constructor(options: AnyTrainerOptions) {
    const { model, optimizer, metrics = [], backend, seed = 0 } = options;
    const loss = options.loss as StepParts['loss'];
    checkMetricNames(metrics);
    this.options = options;
    this.parts = { model, loss, optimizer, metrics, backend };
    this.preprocessing = options.preprocessing ?? [];
    this.seed = seed;
    this.trainStep = compileTrainStep(this.parts);
    this.evaluationStep = compileEvaluationStep(this.parts);
    this.position = freshPosition(metrics);
    if (options.input) this.build(options.input);
  }

  async *run(batches: Dataset<Batch>, options: RunOptions): AsyncGenerator<TrainEvent, void, undefined> {
    checkRunOptions(options);
    if (this.busy) {
      throw new TenonError({
        code: 'USAGE',
        where: 'trainer.run',
        message: 'this trainer is training already',
        hint: 'Wait for it, or create another trainer.',
      });
    }
    this.busy = true;
    try {
      yield* this.train(batches, options);
    } finally {
      this.busy = false;
    }
  }

  get history(): readonly EpochRecord[] {
    return this.position.history;
  }

  async fit(batches: Dataset<Batch>, options: Parameters<Trainer['fit']>[1]): Promise<FitResult> {
    let reason: FitResult['reason'] = 'completed';
    for await (const event of this.run(batches, options)) {
      options.onEvent?.(event);
      if (event.type === 'end') reason = event.reason;
    }
    const { step, history, best } = this.position;
    return { reason, step, history, best };
  }

  private async *train(
    batches: Dataset<Batch>,
    options: RunOptions,
  ): AsyncGenerator<TrainEvent, void, undefined> {
    const { metrics } = this.parts;
    const { epochs, validation, signal, earlyStopping, restoreBest = false, checkpoints } = options;
    const monitor = resolveMonitor(options.monitor, metrics, validation !== undefined);
    const resumed = options.resume === true && checkpoints !== undefined && (await this.resume(checkpoints));
    const network = this.network ?? this.build(await this.inferInput(batches));
    const breathe = createBreather();
    const save = async (): Promise<TrainEvent> => {
      const path = await this.saveCheckpoint(network, checkpoints as CheckpointOptions);
      return { type: 'checkpoint', step: this.position.step, epoch: this.position.epoch, path };
    };
    const end = (reason: FitResult['reason']): TrainEvent => {
      const { step, epoch, best } = this.position;
      return { type: 'end', step, epoch, reason, best };
    };

    yield {
      type: 'start',
      step: this.position.step,
      epoch: this.position.epoch,
      epochs,
      stepsPerEpoch: batches.length,
      parameters: network.parameters,
      resumed,
    };

    while (this.position.epoch < epochs) {
      if (this.isStale(earlyStopping)) {
        this.restore(restoreBest);
        yield end('early-stopping');
        return;
      }
      const { epoch } = this.position;
      const iterator = batches.iterator({ epoch });
      if (this.position.data !== null) await iterator.restore(this.position.data);
      const tally: Tally = structuredClone({
        sums: this.position.sums,
        metrics: [...this.position.metrics],
      }) as Tally;
      const remember = (): void => {
        this.position = {
          ...this.position,
          data: iterator.state(),
          sums: { ...tally.sums },
          metrics: [...tally.metrics],
        };
      };
      try {
        for (;;) {
          if (signal?.aborted) {
            remember();
            if (checkpoints) yield await save();
            yield end('aborted');
            return;
          }
          const next = await iterator.next();
          if (next.done) break;
          const seen = await this.step(network, next.value, tally);
          yield { type: 'step', step: this.position.step, epoch, ...seen };
          if (checkpoints?.everySteps && this.position.step % checkpoints.everySteps === 0) {
            remember();
            yield await save();
          }
          await breathe();
        }
        const validated = validation && (await this.evaluateOn(network, validation, signal));
        if (signal?.aborted) continue;
        const record = await this.closeEpoch(network, figuresOf(tally, metrics), validated, monitor, options);
        yield { type: 'epoch', ...record };
        if (checkpoints) yield await save();
      } finally {
        // Left in the middle (aborted, a `break` of the consumer, an error): the next run goes on from here.
        if (this.position.epoch === epoch) remember();
        await iterator.return?.();
      }
    }
    this.restore(restoreBest);
    yield end(this.isStale(earlyStopping) ? 'early-stopping' : 'completed');
  }

  private async step(
    network: Network,
    batch: Batch,
    tally: Tally,
  ): Promise<{ loss: number; examples: number; scalars: Record<string, number> }> {
    const { metrics, optimizer } = this.parts;
    const { step, epoch } = this.position;
    const where = `step ${step + 1} (epoch ${epoch + 1})`;
    const examples = countExamples(batch, where);
    const prepared = prepareBatch(batch, this.preparation(network), where);
    const rates = { ...optimizer.scalars(step) };
    const control = {
      scalars: scalars(rates),
      key: createKey(this.seed).foldIn('step').foldIn(step).toNdArray(),
    };
    const { carry, seen } = this.trainStep(network.carry, prepared, control);
    network.carry = carry;
    const host = await read(seen);
    const loss = Number(host.loss.data[0]);
    if (host.halted.data[0] !== 0) {
      network.clearHalt();
      throw await diagnose(this.parts, network.carry, prepared, control, loss, where);
    }
    addSeen(tally, metrics, host);
    this.position = { ...this.position, step: step + 1 };
    return { loss, examples, scalars: rates };
  }

  private async closeEpoch(
    network: Network,
    train: Figures,
    validation: Figures | undefined,
    monitor: ReturnType<typeof resolveMonitor>,
    options: RunOptions,
  ): Promise<EpochRecord> {
    const { epoch, step, history } = this.position;
    const value = monitored(monitor, { train, validation });
    const best = improves(monitor, value, this.position.best, options.earlyStopping?.minDelta);
    if (best && options.restoreBest) this.best = await network.weights();
    const record: EpochRecord = { step, epoch, train, ...(validation && { validation }), best };
    this.position = {
      ...freshPosition(this.parts.metrics),
      step,
      epoch: epoch + 1,
      history: [...history, record],
      best: best ? { epoch, monitor: monitor.figure, value } : this.position.best,
    };
    return record;
  }

  /** Whether the monitored figure has not improved for the patience that was given. */
  private isStale(earlyStopping: EarlyStopping | undefined): boolean {
    const { epoch, best } = this.position;
    return (
      earlyStopping !== undefined && epoch > 0 && epoch - 1 - (best?.epoch ?? -1) >= earlyStopping.patience
    );
  }

  private restore(restoreBest: boolean): void {
    if (restoreBest && this.best) this.network?.setWeights(this.best);
  }

  async evaluate(
    batches: AsyncIterable<Batch>,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<Figures> {
    return this.evaluateOn(this.built('evaluate'), batches, options.signal);
  }

  private async evaluateOn(
    network: Network,
    batches: AsyncIterable<Batch>,
    signal?: AbortSignal,
  ): Promise<Figures> {
    const { params, state } = network.carry;
    const { metrics } = this.parts;
    return evaluateBatches(
      (batch) => this.evaluationStep(params, state, batch),
      batches,
      this.preparation(network),
      metrics,
      signal,
    );
  }

  async predict(input: Tree<NdArray>): Promise<Tree<NdArray>> {
    const model = await openModel(await this.artifact(), this.parts.backend);
    try {
      return await model.predict(input);
    } finally {
      model.dispose();
    }
  }

  async save(store: ArtifactStore, card: ModelCard = {}): Promise<void> {
    await saveModel(store, await this.artifact(card));
  }

  async artifact(card: ModelCard = {}): Promise<ModelArtifact> {
    const network = this.built('artifact');
    const { model, loss } = this.parts;
    return {
      layer: model,
      ...(await network.weights()),
      input: network.input,
      output: network.output,
      preprocessing: this.preprocessing,
      outputActivation: probabilityActivations[loss.spec.loss] ?? null,
      classNames: this.options.classNames,
      card,
    };
  }

  dispose(): void {
    this.network?.dispose();
    this.network = undefined;
  }

  private preparation({ input, output }: Network): Preparation {
    return { preprocessing: this.preprocessing, input, output, loss: this.parts.loss };
  }

  private built(what: string): Network {
    if (this.network) return this.network;
    throw new TenonError({
      code: 'USAGE',
      where: `trainer.${what}`,
      message: 'this trainer has no weights yet, since it knows no input',
      hint: 'Train first, or give createTrainer the option `input`.',
    });
  }

  private async inferInput(batches: Dataset<Batch>): Promise<Tree<TensorSpec>> {
    const iterator = batches.iterator({ epoch: 0 });
    try {
      const first = await iterator.next();
      if (first.done)
        throw new TenonError({
          code: 'DATA_INVALID',
          where: 'training data',
          expected: 'at least one batch',
          got: 'none',
        });
      const input = preprocess({ preprocessing: this.preprocessing, input: [] }, first.value.input);
      return treeMap<NdArray, TensorSpec>(input, ({ dtype, shape }) => ({
        dtype,
        shape: [null, ...shape.slice(1)],
      }));
    } finally {
      await iterator.return?.();
    }
  }

  private build(input: Tree<TensorSpec>): Network {
    this.network = createNetwork(this.parts, this.seed, input);
    return this.network;
  }

  private async saveCheckpoint(
    network: Network,
    { store, keep = 2, note }: CheckpointOptions,
  ): Promise<string> {
    const { identity } = network;
    const { position, best } = this;
    const carry = await network.hostCarry();
    return writeCheckpoint(store, { identity, position, carry, best, note: (await note?.()) ?? null }, keep);
  }

  private async resume({ store, onResume }: CheckpointOptions): Promise<boolean> {
    const stored = await readLatestCheckpoint(store);
    if (!stored) return false;
    const network = this.network ?? this.build(stored.identity.input);
    this.best = network.load(stored, `${store.location}/${stored.path}`).best;
    this.position = stored.position;
    await onResume?.(stored.note);
    return true;
  }
}

function freshPosition(metrics: readonly Metric[]): Position {
  const { sums, metrics: states } = emptyTally(metrics);
  return { step: 0, epoch: 0, data: null, sums, metrics: states, history: [] };
}
