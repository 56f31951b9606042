import type { Backend, BackendInfo } from '@tenon-ml/core';
import { opfsStore } from '@tenon-ml/core/browser';
import { documentExperiment, type LearningRateControl, learningRateControl } from '@tenon-ml/experiment';
import {
  type AnyPlan,
  type EpochRecord,
  type RunEvent,
  type RunReport,
  runExperiment,
  type Trainer,
} from '@tenon-ml/train';
import { createBackend, recreateBackend } from './backends.js';
import { plainError } from './calls.js';
import { openData } from './data.js';
import { holding, runLock } from './locks.js';
import { createPatience, type Patience } from './patience.js';
import type { PlainError, RunOrigin, RunPosition, RunStatus, RunUpdate, StepPoint } from './protocol.js';
import { learningRateOf } from './rates.js';
import { holdsRun, originOf, type PastEvents, readCurves } from './runs.js';
import { createSpeed } from './speed.js';
import { createGate, createTurns } from './turns.js';

/** How often the page hears of a run, and how often one is saved that nobody pauses, in milliseconds. */
const TELL_EVERY = 200;
const SAVE_EVERY = 15_000;

/** What there is to look into while a run is there: its trainer, and what it learns from. */
export interface RunInside {
  readonly trainer: Trainer;
  readonly plan: AnyPlan;
  readonly backend: Backend;
  /** Runs between two steps: what reads the network's arrays must not meet a step that replaces them. */
  readonly turn: <T>(f: () => Promise<T> | T) => Promise<T>;
  readonly step: () => number;
}

/** One run, in this worker: started or gone on with, paused, stepped, stopped. */
export interface RunHost {
  /**
   * Begins a run, or goes on with what its folder holds. Resolves when it has ended, been stopped or failed; all of this is
   * told by `tell`. Throws 'IN_USE' where another tab holds it.
   *
   * Where the storage is full it pauses with that error, at the step where it is; `resume` tries again what could not be
   * written, and goes on; `stop` gives it up.
   */
  start(id: string, origin: RunOrigin, resume: boolean, tell: (update: RunUpdate) => void): Promise<void>;
  /** Stops after the step under way, and saves; what goes on later goes on from there, a reload later too. */
  pause(): void;
  resume(): void;
  /** One step, then a pause again. */
  step(): void;
  /** Ends the run after the step under way; it is saved, with its model as it stands. */
  stop(): void;
  setRateFactor(factor: number): Promise<void>;
  /** While it runs or is paused. */
  inside(): RunInside | null;
  origin(): RunOrigin | null;
  /** Once it has ended with a saved model: where that is, and the backend that is still there. */
  saved(): { readonly id: string; readonly backend: Backend } | null;
}

export function createRunHost(): RunHost {
  const gate = createGate();
  const turn = createTurns();
  const stopping = new AbortController();
  let inside: RunInside | null = null;
  let origin: RunOrigin | null = null;
  let runId = '';
  let status: RunStatus = 'starting';
  let position: RunPosition = { step: 0, epoch: 0, epochs: 0, stepsPerEpoch: null };
  let steps: StepPoint[] = [];
  let epochs: EpochRecord[] = [];
  let parameters = 0;
  let info: BackendInfo | null = null;
  let report: RunReport | null = null;
  let error: PlainError | null = null;
  let rate: LearningRateControl | null = null;
  let backend: Backend | undefined;
  let patience: Patience | undefined;
  let past: Pick<PastEvents, 'steps' | 'epochs'> = { steps: [], epochs: [] };
  let tell: (update: RunUpdate) => void = () => {};
  let told = 0;
  let saveWanted = false;
  /** Whether a step was asked for that hasn't been made. */
  let owed = false;
  let saved = performance.now();
  const speed = createSpeed();

  const send = (now = false): void => {
    const time = performance.now();
    if (!now && time - told < TELL_EVERY) return;
    told = time;
    tell({
      status,
      position,
      steps,
      epochs,
      speed: status === 'training' ? speed.read() : null,
      parameters,
      backend: info,
      memory: backend?.memory?.() ?? null,
      rateFactor: rate?.factor(position.step) ?? 1,
      report,
      error,
    });
    steps = [];
    epochs = [];
  };

  const note = (event: RunEvent): void => {
    if (event.type === 'start') {
      const { step, epoch, epochs: total, stepsPerEpoch } = event;
      position = { step, epoch, epochs: total, stepsPerEpoch };
      parameters = event.parameters;
      // The curves of what came before the checkpoint: what came after it is done again.
      steps = past.steps.filter(({ step: before }) => before <= step);
      epochs = past.epochs.filter((before) => before.epoch < epoch);
      if (status === 'starting') status = 'training';
    } else if (event.type === 'step') {
      position = { ...position, step: event.step, epoch: event.epoch };
      steps.push({ step: event.step, loss: event.loss, learningRate: learningRateOf(event.scalars) });
      speed.add(event.examples);
      owed = false;
    } else if (event.type === 'epoch') {
      const { type: _, ...record } = event;
      position = { ...position, epoch: event.epoch + 1 };
      epochs.push(record);
    } else if (event.type === 'checkpoint') {
      saved = performance.now();
      // That of an epoch's end comes before the step that was asked for.
      saveWanted = owed;
    } else if (event.type === 'report') {
      // Not before: its model is saved only now.
      report = event.report;
      status = report.reason === 'aborted' ? 'stopped' : 'ended';
    }
  };

  /** The next event. With the end its trainer is gone, and none of the turns behind this one may find it still there. */
  const advance = async (events: AsyncGenerator<RunEvent>): Promise<IteratorResult<RunEvent, void>> => {
    try {
      const next = await events.next();
      if (next.done) inside = null;
      return next;
    } catch (error) {
      inside = null;
      throw error;
    }
  };

  const hold = (): void => {
    status = 'paused';
    gate.set(false);
    speed.clear();
  };

  const drive = async (events: AsyncGenerator<RunEvent>, { until, retry }: Patience): Promise<void> => {
    let pending: Promise<IteratorResult<RunEvent, void>> | null = null;
    for (;;) {
      await gate.pass();
      const next = await turn(() => {
        if (pending) retry();
        pending ??= advance(events);
        return until(pending);
      });
      if (!next) {
        // Nothing is under way but a write that waits for room: the network may be looked into.
        error = plainError(patience?.error);
        hold();
        send(true);
        continue;
      }
      pending = null;
      if (next.done) return;
      note(next.value);
      // Who stops while a pause comes means the end: the checkpoint is that of the end then.
      if (next.value.type === 'checkpoint' && status === 'pausing' && !owed && !stopping.signal.aborted)
        hold();
      send(next.value.type !== 'step' || status === 'paused');
    }
  };

  const save = (next: RunStatus): void => {
    status = next;
    saveWanted = true;
  };

  return {
    inside: () => inside,
    origin: () => origin,
    saved: () => (report && backend ? { id: runId, backend } : null),
    start: (id, given, wanted, listener) =>
      holding(runLock(id), async () => {
        tell = listener;
        runId = id;
        let events: AsyncGenerator<RunEvent> | undefined;
        try {
          const store = await opfsStore(`runs/${id}`);
          origin = given;
          patience = createPatience(store);
          // One that failed before its first write begins anew.
          const resume = wanted && (await holdsRun(store));
          if (resume) past = await readCurves(store);
          const files = await openData(origin.dataId);
          backend = await (resume ? recreateBackend : createBackend)(origin.backend);
          info = await backend.init();
          rate = await learningRateControl(store);
          const experiment = documentExperiment(origin.document, files);
          events = runExperiment(experiment, {
            backend,
            store: patience.store,
            seed: origin.document.seed,
            origin: originOf(origin),
            resume,
            adjust: rate.adjust,
            signal: stopping.signal,
            checkpointWanted: () => saveWanted || performance.now() - saved > SAVE_EVERY,
            onTrainer: (trainer, plan) => {
              inside = { trainer, plan, backend: backend as Backend, turn, step: () => position.step };
            },
          });
          await drive(events, patience);
          send(true);
        } catch (cause) {
          status = 'failed';
          inside = null;
          // Where it wasn't the run that failed: its trainer goes, and its log is written.
          await events?.return(undefined).catch(() => {});
          error = plainError(cause);
          send(true);
        }
      }),
    pause() {
      if (status === 'training' || status === 'starting') save('pausing');
      send(true);
    },
    resume() {
      if (status !== 'paused' && status !== 'pausing') return;
      status = 'training';
      error = null;
      owed = false;
      saveWanted = false;
      gate.set(true);
      send(true);
    },
    step() {
      if (status !== 'paused') return;
      error = null;
      owed = true;
      save('pausing');
      gate.set(true);
      send(true);
    },
    stop() {
      if (patience?.error) patience.giveUp();
      else stopping.abort();
      gate.set(true);
    },
    async setRateFactor(factor) {
      await turn(() => rate?.set(factor));
      send(true);
    },
  };
}
