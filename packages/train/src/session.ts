import {
  type ArtifactStore,
  checkPrecision,
  type Json,
  type Metric,
  type ModelArtifact,
  type ModelCard,
  type NdArray,
  openModel,
  type Precision,
  saveModel,
  TenonError,
  type TensorSpec,
  type Transform,
  type Tree,
} from '@tenon-ml/core';
import type { Dataset } from '@tenon-ml/data';
import { checkNoneBeyond, type Position, readLatestCheckpoint, writeCheckpoint } from './checkpoint.js';
import {
  addSeen,
  type Batch,
  createBreather,
  emptyTally,
  evaluateBatches,
  figuresOf,
  noBatches,
  type Preparation,
  unlessAborted,
} from './evaluate.js';
import type { EpochRecord, Figures, TrainEvent } from './events.js';
import { type MadeStep, makeStep, type StepMaker } from './host_step.js';
import { firstLossScale, resolveLossScaling, skippedSince } from './loss_scaling.js';
import { bestOf, better, isStale, type Monitor, resolveMonitor } from './monitor.js';
import { createNetwork, inferInput, type Network, type Weights } from './network.js';
import {
  type AnyTrainerOptions,
  type CheckpointOptions,
  checkMetricNames,
  checkRunOptions,
  type FitResult,
  isDue,
  type RunOptions,
  type Trainer,
} from './options.js';
import { compileEvaluationStep, compileTrainStep, type StepParts } from './step.js';

/** A trainer: where training stands, and what moves it on. */
export class Session implements Trainer {
  private readonly parts: StepParts;
  private readonly preprocessing: readonly Transform[];
  private readonly options: AnyTrainerOptions;
  private readonly maker: StepMaker;
  private readonly evaluationSteps: { readonly [P in Precision]: ReturnType<typeof compileEvaluationStep> };
  private network: Network | undefined;
  private position: Position;
  /** The weights of an epoch that was the best one when it ended. */
  private kept: { readonly epoch: number; readonly weights: Weights } | undefined;
  private status: 'idle' | 'training' | 'disposed' = 'idle';

  constructor(options: AnyTrainerOptions) {
    const { model, optimizer, metrics = [], backend, seed = 0, precision = 'float32' } = options;
    const loss = options.loss as StepParts['loss'];
    checkMetricNames(metrics);
    this.options = options;
    const lossScaling = resolveLossScaling(options.lossScaling, precision);
    this.parts = { model, loss, optimizer, metrics, backend, precision };
    this.preprocessing = options.preprocessing ?? [];
    this.maker = { parts: this.parts, trainStep: compileTrainStep(this.parts), lossScaling, seed };
    this.evaluationSteps = {
      float32: compileEvaluationStep({ ...this.parts, precision: 'float32' }),
      'mixed-float16': compileEvaluationStep({ ...this.parts, precision: 'mixed-float16' }),
    };
    this.position = { ...freshPosition(metrics), lossScale: firstLossScale(lossScaling) };
    if (options.input) this.build(options.input);
  }

  get history(): readonly EpochRecord[] {
    return this.position.history;
  }

  async *run(batches: Dataset<Batch>, options: RunOptions): AsyncGenerator<TrainEvent, void, undefined> {
    checkRunOptions(batches, options);
    this.checkAlive('run');
    if (this.status === 'training') {
      throw new TenonError({
        code: 'USAGE',
        where: 'trainer.run',
        message: 'this trainer is training already',
        hint: 'Wait for it, or create another trainer.',
      });
    }
    this.status = 'training';
    try {
      yield* this.train(batches, options);
    } finally {
      if (this.status === 'training') this.status = 'idle';
    }
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
    const resumed = checkpoints !== undefined && (await this.takeUp(checkpoints, options.resume === true));
    const network = this.network ?? this.build(await inferInput(batches, this.preprocessing));
    // Of this run's monitor, whatever the runs before looked at.
    const best = bestOf(monitor, this.position.history, earlyStopping?.minDelta);
    this.position = { ...this.position, best };
    if (restoreBest) this.checkKept();

    yield {
      type: 'start',
      step: this.position.step,
      epoch: this.position.epoch,
      epochs,
      stepsPerEpoch: batches.length,
      parameters: network.parameters,
      resumed,
    };
    let reason: FitResult['reason'] = 'completed';
    while (this.position.epoch < epochs) {
      if (isStale(earlyStopping, this.position)) {
        reason = 'early-stopping';
        break;
      }
      yield* this.trainEpoch(network, batches, options);
      const validated = validation && (await this.validate(network, validation, signal));
      if (signal?.aborted) {
        reason = 'aborted';
        break;
      }
      yield { type: 'epoch', ...(await this.closeEpoch(network, validated, monitor, options)) };
      if (checkpoints) yield await this.saveCheckpoint(network, checkpoints);
    }
    if (reason !== 'aborted') this.restore(restoreBest);
    else if (checkpoints) yield await this.saveCheckpoint(network, checkpoints);
    yield {
      type: 'end',
      step: this.position.step,
      epoch: this.position.epoch,
      reason,
      best: this.position.best,
    };
  }

  /** The steps of the epoch that are left, until the signal comes. */
  private async *trainEpoch(
    network: Network,
    batches: Dataset<Batch>,
    { signal, checkpoints }: RunOptions,
  ): AsyncGenerator<TrainEvent, void, undefined> {
    const { epoch } = this.position;
    const breathe = createBreather();
    const iterator = batches.iterator({ epoch });
    try {
      if (this.position.data !== null) await iterator.restore(this.position.data);
      while (!signal?.aborted) {
        const next = await iterator.next();
        if (next.done) {
          if (this.position.data === null) throw noBatches(`training data, epoch ${epoch + 1}`);
          return;
        }
        const seen = await this.step(network, next.value, iterator.state());
        yield { type: 'step', step: this.position.step, epoch, ...seen };
        if (checkpoints && isDue(checkpoints, this.position.step)) {
          yield await this.saveCheckpoint(network, checkpoints);
        }
        await breathe();
      }
    } finally {
      await iterator.return();
    }
  }

  /** One update, or a skip; `data` is the position of the data behind this batch. */
  private async step(network: Network, batch: Batch, data: Json): Promise<MadeStep['event']> {
    const preparation = this.preparation(network);
    const { position, seen, event } = await makeStep(
      this.maker,
      network,
      preparation,
      this.position,
      batch,
      data,
    );
    // The step is made: it counts even where a metric fails.
    this.position = position;
    this.position = { ...position, ...addSeen(position, this.parts.metrics, seen) };
    return event;
  }

  private validate(
    network: Network,
    validation: Dataset<Batch>,
    signal: AbortSignal | undefined,
  ): Promise<Figures | undefined> {
    const where = `validation after epoch ${this.position.epoch + 1}`;
    return this.evaluateOn(network, validation, { where, signal });
  }

  private async closeEpoch(
    network: Network,
    validation: Figures | undefined,
    monitor: Monitor,
    { earlyStopping, restoreBest }: RunOptions,
  ): Promise<EpochRecord> {
    const { metrics } = this.parts;
    const { epoch, step, history, lossScale } = this.position;
    const figures = { epoch, train: figuresOf(this.position, metrics), ...(validation && { validation }) };
    const best = better(monitor, this.position.best, figures, earlyStopping?.minDelta);
    const skipped = lossScale && { skipped: skippedSince(history, lossScale) };
    const record: EpochRecord = { step, ...figures, best: best?.epoch === epoch, ...skipped };
    if (record.best && restoreBest) this.kept = { epoch, weights: await network.weights() };
    this.position = {
      ...freshPosition(metrics),
      step,
      epoch: epoch + 1,
      history: [...history, record],
      best,
      lossScale,
    };
    return record;
  }

  /** Throws `USAGE` where the best epoch lies in a run that kept no weights. */
  private checkKept(): void {
    const { best } = this.position;
    if (!best || best.epoch === this.kept?.epoch) return;
    throw new TenonError({
      code: 'USAGE',
      where: 'restoreBest',
      message: `the weights of the best epoch so far, epoch ${best.epoch + 1}, were not kept`,
      hint: 'Give `restoreBest`, and the same `monitor`, from the first run on.',
    });
  }

  private restore(restoreBest: boolean): void {
    const { kept, position } = this;
    if (restoreBest && kept && kept.epoch === position.best?.epoch) this.network?.setWeights(kept.weights);
  }

  async evaluate(
    batches: AsyncIterable<Batch>,
    options: { readonly signal?: AbortSignal; readonly precision?: Precision } = {},
  ): Promise<Figures> {
    const { signal, precision } = options;
    const where = 'evaluation';
    if (precision !== undefined) checkPrecision(precision, this.parts.backend, 'evaluate, precision');
    const figures = await this.evaluateOn(this.built('evaluate'), batches, { ...options, where });
    return unlessAborted(figures, signal);
  }

  private async evaluateOn(
    network: Network,
    batches: AsyncIterable<Batch>,
    options: { readonly where: string; readonly signal?: AbortSignal; readonly precision?: Precision },
  ): Promise<Figures | undefined> {
    const { params, state } = network.carry;
    const { metrics, precision = 'float32' } = this.parts;
    const step = this.evaluationSteps[options.precision ?? precision];
    return evaluateBatches(
      (batch) => step(params, state, batch),
      batches,
      this.preparation(network),
      metrics,
      options,
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
      outputActivation: loss.outputActivation ?? null,
      classNames: this.options.classNames,
      card,
    };
  }

  dispose(): void {
    this.network?.dispose();
    this.network = undefined;
    this.status = 'disposed';
  }

  private preparation({ input, output }: Network): Preparation {
    return { preprocessing: this.preprocessing, input, output, loss: this.parts.loss };
  }

  private checkAlive(what: string): void {
    if (this.status !== 'disposed') return;
    throw new TenonError({
      code: 'USAGE',
      where: `trainer.${what}`,
      message: 'this trainer was disposed',
      hint: 'Create another one.',
    });
  }

  private built(what: string): Network {
    this.checkAlive(what);
    if (this.network) return this.network;
    throw new TenonError({
      code: 'USAGE',
      where: `trainer.${what}`,
      message: 'this trainer has no weights yet, since it knows no input',
      hint: 'Train first, or give createTrainer the option `input`.',
    });
  }

  private build(input: Tree<TensorSpec>): Network {
    const { seed, lossScaling } = this.maker;
    this.network = createNetwork(this.parts, this.preprocessing, seed, lossScaling, input);
    return this.network;
  }

  private async saveCheckpoint(
    network: Network,
    { store, keep = 2, note }: CheckpointOptions,
  ): Promise<TrainEvent> {
    const { position, kept } = this;
    const checkpoint = {
      identity: network.identity,
      position,
      carry: await network.hostCarry(),
      best: kept?.epoch === position.best?.epoch ? kept?.weights : undefined,
      note: (await note?.()) ?? null,
    };
    const path = await writeCheckpoint(store, checkpoint, keep);
    return { type: 'checkpoint', step: position.step, epoch: position.epoch, path };
  }

  /** Goes on from the newest checkpoint, if that is wanted and there is one. */
  private async takeUp({ store, onResume }: CheckpointOptions, resume: boolean): Promise<boolean> {
    if (!resume) {
      await checkNoneBeyond(store, this.position.step);
      return false;
    }
    const stored = await readLatestCheckpoint(store);
    if (!stored) return false;
    const network = this.network ?? this.build(stored.identity.input);
    const { best: weights } = network.load(stored, `${store.location}/${stored.path}`);
    const { position } = stored;
    this.position = position;
    this.kept = weights && position.best && { epoch: position.best.epoch, weights };
    await onResume?.(stored.note);
    return true;
  }
}

function freshPosition(metrics: readonly Metric[]): Position {
  return { step: 0, epoch: 0, data: null, ...emptyTally(metrics), history: [] };
}
