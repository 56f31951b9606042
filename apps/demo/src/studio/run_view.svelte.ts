import type { BackendInfo, BackendMemory } from '@tenon-ml/core';
import type { RunReport } from '@tenon-ml/train';
import { proxy } from 'comlink';
import { plainError, WorkerError } from '../worker/calls.js';
import type {
  PlainError,
  RunOrigin,
  RunPosition,
  RunStatus,
  RunUpdate,
  StoredRun,
} from '../worker/protocol.js';
import type { PastEvents } from '../worker/runs.js';
import { addSteps, type Curves, clearCurves, emptyCurves } from './curves.js';
import { type OpenWorker, openWorker } from './workers.js';

/** A run as the page shows it, and what can be done with it. Its worker lives while it trains, is paused, or is looked into. */
export class RunView {
  readonly id: string;
  readonly origin: RunOrigin;
  readonly curves: Curves = emptyCurves();
  /** Grows with the curves, which are plain arrays. */
  version = $state(0);
  status = $state<RunStatus>('paused');
  position = $state.raw<RunPosition>({ step: 0, epoch: 0, epochs: 0, stepsPerEpoch: null });
  speed = $state.raw<RunUpdate['speed']>(null);
  parameters = $state(0);
  backend = $state.raw<BackendInfo | null>(null);
  memory = $state.raw<BackendMemory | null>(null);
  rateFactor = $state(1);
  report = $state.raw<RunReport | null>(null);
  error = $state.raw<PlainError | null>(null);
  worker = $state.raw<OpenWorker | null>(null);
  /** Whether another tab was found to train it. */
  elsewhere = $state(false);
  /** Whether its curves are to be replaced by those that come. */
  private renewed = false;
  private readonly onError: (error: unknown) => void;

  constructor(id: string, origin: RunOrigin, onError: (error: unknown) => void) {
    this.id = id;
    this.origin = origin;
    this.onError = onError;
    this.position = { step: 0, epoch: 0, epochs: origin.document.training.epochs, stepsPerEpoch: null };
  }

  /** One that lies in the browser's storage, and doesn't move. */
  static stored(run: StoredRun, onError: (error: unknown) => void): RunView {
    const { document, dataId, backend, created } = run;
    const view = new RunView(run.id, { document, dataId, backend, created }, onError);
    view.takeStored(run);
    return view;
  }

  /** Looks at what lies in the storage: another tab may have gone on with it. Whether anything has changed. */
  refresh(run: StoredRun): boolean {
    if (this.alive) return false;
    this.elsewhere = run.inUse;
    if (stepOf(run) <= this.position.step && (run.report === null) === (this.report === null)) return false;
    // What this tab had open of it is no longer what is there.
    this.close();
    this.error = null;
    this.takeStored(run);
    return true;
  }

  get name(): string {
    return this.origin.document.name;
  }

  get alive(): boolean {
    return this.worker !== null && ['starting', 'training', 'pausing', 'paused'].includes(this.status);
  }

  get resumable(): boolean {
    return ['paused', 'stopped', 'failed'].includes(this.status);
  }

  /** Begins it, or goes on with what the browser's storage holds of it. */
  start(resume: boolean): void {
    this.worker?.close();
    const { status, report } = this;
    /** What was is again, where it can't begin. */
    const fail = (error: unknown): void => {
      worker.close();
      if (this.worker === worker) {
        this.status = status;
        this.report = report;
        this.elsewhere = plainError(error).code === 'IN_USE';
        this.worker = null;
      }
      this.onError(error);
    };
    const worker = openWorker(fail);
    this.worker = worker;
    this.status = 'starting';
    this.error = null;
    this.report = null;
    this.renewed = resume;
    // Resolves when the run is over; what happens meanwhile is told by updates.
    worker.api.run
      .start(
        this.id,
        this.origin,
        resume,
        proxy((update: RunUpdate) => {
          // A worker that is gone may still be heard.
          if (this.worker === worker) this.take(update);
        }),
      )
      .catch(fail);
  }

  /** Goes on: the worker that is there, or a new one from the last checkpoint. */
  resume(): void {
    if (this.alive) void this.worker?.api.run.resume();
    else this.start(true);
  }

  pause(): void {
    this.status = 'pausing';
    void this.worker?.api.run.pause();
  }

  step(): void {
    void this.worker?.api.run.step();
  }

  stop(): void {
    void this.worker?.api.run.stop();
  }

  async setRateFactor(factor: number): Promise<void> {
    this.rateFactor = factor;
    await this.worker?.api.run.setRateFactor(factor);
  }

  /** Gives its worker back. One that moved can go on from its last checkpoint. */
  close(): void {
    if (this.alive) this.status = 'paused';
    this.worker?.close();
    this.worker = null;
  }

  /** The curves of a run in the storage. */
  fill(curves: PastEvents): void {
    this.clearCurves();
    addSteps(this.curves, curves.steps);
    this.curves.epochs = curves.epochs;
    const last = curves.steps.at(-1)?.step ?? 0;
    const { stepsPerEpoch = null, parameters = 0 } = curves.start ?? {};
    this.parameters = parameters;
    this.position = {
      ...this.position,
      step: Math.max(this.position.step, last),
      epoch: curves.epochs.length,
      stepsPerEpoch,
    };
    this.version++;
  }

  private takeStored(run: StoredRun): void {
    this.report = run.report;
    this.status = statusOf(run.report);
    this.position = { ...this.position, step: stepOf(run) };
    this.backend = run.report?.backend ?? null;
    this.elsewhere = run.inUse;
  }

  private take(update: RunUpdate): void {
    this.elsewhere = false;
    if (this.renewed && update.status !== 'failed') {
      this.renewed = false;
      this.clearCurves();
    }
    addSteps(this.curves, update.steps);
    if (update.epochs.length > 0) this.curves.epochs = [...this.curves.epochs, ...update.epochs];
    this.status = update.status;
    this.position = update.position;
    this.speed = update.speed;
    this.parameters = update.parameters;
    this.backend = update.backend;
    this.memory = update.memory;
    this.rateFactor = update.rateFactor;
    this.report = update.report;
    this.version++;
    if (update.error && update.error.message !== this.error?.message)
      this.onError(new WorkerError(update.error));
    this.error = update.error;
    // It has nothing left to look into, and may hold a good part of the memory.
    if (update.status === 'failed') this.close();
  }

  private clearCurves(): void {
    clearCurves(this.curves);
    this.version++;
  }
}

function stepOf({ checkpoint, report }: StoredRun): number {
  return Math.max(checkpoint ?? 0, report?.step ?? 0);
}

function statusOf(report: RunReport | null): RunStatus {
  if (!report) return 'paused';
  return report.reason === 'aborted' ? 'stopped' : 'ended';
}
