import { type Backend, type BackendInfo, writeJson } from '@tenon-ml/core';
import { opfsStore } from '@tenon-ml/core/browser';
import {
  documentExperiment,
  documentOrigin,
  type LearningRateControl,
  learningRateControl,
} from '@tenon-ml/experiment';
import {
  type AnyPlan,
  type EpochRecord,
  type RunEvent,
  type RunReport,
  runExperiment,
  type Trainer,
} from '@tenon-ml/train';
import { createBackend } from './backends.js';
import { plainError } from './calls.js';
import { openData } from './data.js';
import { holding, runLock } from './locks.js';
import type { PlainError, RunOrigin, RunPosition, RunStatus, RunUpdate, StepPoint } from './protocol.js';
import { learningRateOf } from './rates.js';
import { readCurves, readOrigin } from './runs.js';
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
   * Begins a run, or goes on with the one in the folder where `origin` is null. Resolves when it has ended, been stopped or
   * failed; all of this is told by `tell`. Throws 'IN_USE' where another tab holds it.
   */
  start(id: string, origin: RunOrigin | null, tell: (update: RunUpdate) => void): Promise<void>;
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
  let tell: (update: RunUpdate) => void = () => {};
  let told = 0;
  let saveWanted = false;
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
      if (status === 'starting') status = 'training';
    } else if (event.type === 'step') {
      position = { ...position, step: event.step, epoch: event.epoch };
      steps.push({ step: event.step, loss: event.loss, learningRate: learningRateOf(event.scalars) });
      speed.add(event.examples);
    } else if (event.type === 'epoch') {
      const { type: _, ...record } = event;
      position = { ...position, epoch: event.epoch + 1 };
      epochs.push(record);
    } else if (event.type === 'checkpoint') {
      saved = performance.now();
      saveWanted = false;
    } else if (event.type === 'end') {
      status = event.reason === 'aborted' ? 'stopped' : 'ended';
    } else {
      report = event.report;
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

  const drive = async (events: AsyncGenerator<RunEvent>): Promise<void> => {
    for (;;) {
      await gate.pass();
      const next = await turn(() => advance(events));
      if (next.done) return;
      note(next.value);
      // Who stops while a pause comes means the end: the checkpoint is that of the end then.
      if (next.value.type === 'checkpoint' && status === 'pausing' && !stopping.signal.aborted) {
        status = 'paused';
        gate.set(false);
        speed.clear();
      }
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
    start: (id, given, listener) =>
      holding(runLock(id), async () => {
        tell = listener;
        runId = id;
        let events: AsyncGenerator<RunEvent> | undefined;
        try {
          const store = await opfsStore(`runs/${id}`);
          origin = given ?? (await readOrigin(store));
          const past = given ? { steps: [], epochs: [] } : await readCurves(store);
          const files = await openData(origin.dataId);
          backend = await createBackend(origin.backend);
          info = await backend.init();
          rate = await learningRateControl(store);
          const experiment = documentExperiment(origin.document, files);
          events = runExperiment(experiment, {
            backend,
            store,
            seed: origin.document.seed,
            origin: documentOrigin(origin.document),
            resume: given === null,
            adjust: rate.adjust,
            signal: stopping.signal,
            checkpointWanted: () => saveWanted || performance.now() - saved > SAVE_EVERY,
            onTrainer: (trainer, plan) => {
              inside = { trainer, plan, backend: backend as Backend, turn, step: () => position.step };
            },
          });
          // The curves of what came before the checkpoint: what came after it is done again.
          const begun = events;
          const first = await turn(() => advance(begun));
          if (!first.done) note(first.value);
          // Beside the run's own file, which is there since its first event.
          if (given)
            await writeJson(store, 'studio.json', {
              dataId: given.dataId,
              backend: given.backend,
              created: given.created,
            });
          steps = past.steps.filter(({ step }) => step <= position.step);
          epochs = past.epochs.filter(({ epoch }) => epoch < position.epoch);
          send(true);
          await drive(begun);
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
      saveWanted = false;
      gate.set(true);
      send(true);
    },
    step() {
      if (status !== 'paused') return;
      save('pausing');
      gate.set(true);
    },
    stop() {
      stopping.abort();
      gate.set(true);
    },
    async setRateFactor(factor) {
      await turn(() => rate?.set(factor));
      send(true);
    },
  };
}
