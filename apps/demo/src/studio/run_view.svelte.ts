import type { BackendInfo, BackendMemory } from '@tenon-ml/core';
import type { RunReport } from '@tenon-ml/train';
import { proxy } from 'comlink';
import { WorkerError } from '../worker/calls.js';
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
  private readonly onError: (error: unknown) => void;

  constructor(id: string, origin: RunOrigin, onError: (error: unknown) => void) {
    this.id = id;
    this.origin = origin;
    this.onError = onError;
    this.position = { step: 0, epoch: 0, epochs: origin.document.training.epochs, stepsPerEpoch: null };
  }

  /** One that lies in the browser's storage, and doesn't move. */
  static stored(run: StoredRun, onError: (error: unknown) => void): RunView {
    const view = new RunView(run.id, run, onError);
    view.report = run.report;
    view.status = statusOf(run.report);
    view.position = { ...view.position, step: run.checkpoint ?? run.report?.step ?? 0 };
    view.backend = run.report?.backend ?? null;
    return view;
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
    const worker = openWorker();
    this.worker = worker;
    this.status = 'starting';
    this.error = null;
    this.report = null;
    if (resume) this.clearCurves();
    // Resolves when the run is over; what happens meanwhile is told by updates.
    worker.api.run
      .start(
        this.id,
        resume ? null : this.origin,
        proxy((update: RunUpdate) => {
          // A worker that is gone may still be heard.
          if (this.worker === worker) this.take(update);
        }),
      )
      .catch((error: unknown) => {
        worker.close();
        if (this.worker === worker) {
          this.status = 'paused';
          this.worker = null;
        }
        this.onError(error);
      });
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

  private take(update: RunUpdate): void {
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
  }

  private clearCurves(): void {
    clearCurves(this.curves);
    this.version++;
  }
}

function statusOf(report: RunReport | null): RunStatus {
  if (!report) return 'paused';
  return report.reason === 'aborted' ? 'stopped' : 'ended';
}
