import {
  type ArtifactStore,
  type Backend,
  type BackendInfo,
  checkVersion,
  createKey,
  type Json,
  type Precision,
  readJson,
  TenonError,
  writeJson,
} from '@tenon-ml/core';
import { createEventLog } from './event_log.js';
import type { BestEpoch, EpochRecord, Figures, TrainEvent } from './events.js';
import {
  type AnyPlan,
  type Experiment,
  type ExperimentOptions,
  resolveOptions,
  type SetupContext,
} from './experiment.js';
import type { FitResult, Trainer } from './options.js';
import { startTrainer } from './trainer.js';

/** What a run was started with: enough to set it up again. `run.json`. */
export interface RunDescription {
  readonly format: 'tenon-run';
  readonly version: number;
  readonly name: string;
  /** Where the experiment is found again: a recipe's name, a file's path. The caller's own. */
  readonly origin: Json;
  readonly options: ExperimentOptions;
  readonly seed: number;
  readonly backend: string;
  readonly data?: string;
  /** Where it was said; the plan's otherwise. */
  readonly precision?: Precision;
}

/** What came out of a run. `report.json`. */
export interface RunReport {
  readonly format: 'tenon-report';
  readonly version: number;
  readonly name: string;
  readonly reason: FitResult['reason'];
  readonly step: number;
  readonly history: readonly EpochRecord[];
  readonly best?: BestEpoch;
  /**
   * The test data's figures, for the model that was saved: in float32, whatever the run trained in. Absent without test
   * data, and for an aborted run.
   */
  readonly test?: Figures;
  readonly backend: BackendInfo;
  /** Wall-clock seconds of this process; a resumed run counts only what came after. */
  readonly seconds: { readonly training: number; readonly total: number };
}

export type RunEvent = TrainEvent | { readonly type: 'report'; readonly report: RunReport };

export interface RunExperimentOptions {
  readonly backend: Backend;
  /** The run's folder. */
  readonly store: ArtifactStore;
  readonly options?: ExperimentOptions;
  readonly seed?: number;
  readonly data?: string;
  readonly origin?: Json;
  /** What it trains in, in the place of what the plan says. */
  readonly precision?: Precision;
  readonly signal?: AbortSignal;
  /** Goes on where the run in the store stopped; options, seed, data and precision are the run's own. */
  readonly resume?: boolean;
  /** Asked after every step: whether to write a checkpoint now, besides those of the plan. */
  readonly checkpointWanted?: () => boolean;
  /** Is told what takes long while the experiment sets itself up. */
  readonly note?: (text: string) => void;
  /**
   * Changes the plan before it is run: wraps the optimizer (`adjustLearningRate`), keeps a dataset to look at. What makes
   * the run another one, model, specs, data, is the experiment's; a resume needs the same changes to be the same run.
   */
  readonly adjust?: (plan: AnyPlan) => AnyPlan;
  /**
   * Is given the trainer and the plan before the first event. Between two events `evaluate`, `predict` and `artifact` are
   * free to be called, and change nothing in the run; it is the run that moves the trainer on and disposes of it.
   */
  readonly onTrainer?: (trainer: Trainer, plan: AnyPlan) => void;
}

const runPath = 'run.json';
const reportPath = 'report.json';
const eventsPath = 'events.jsonl';
const formatVersion = 1;

/**
 * Runs an experiment into a folder: `run.json`, `events.jsonl`, `checkpoints/`, then the saved model and
 * `report.json`. It can be killed at any moment and resumed: the run that comes out is the same, bit for bit.
 *
 * Figures that are not finite are null in `events.jsonl`, `report.json` and `model.json`, since JSON has no word for
 * them; checkpoints keep them. A folder belongs to one process at a time: who starts several has to see to that.
 */
export async function* runExperiment(
  experiment: Experiment,
  { backend, store, signal, resume = false, adjust, onTrainer, ...given }: RunExperimentOptions,
): AsyncGenerator<RunEvent, void, undefined> {
  const started = performance.now();
  if (!resume && (await holds(store, runPath))) {
    throw new TenonError({
      code: 'USAGE',
      where: store.location,
      message: 'there is a run in this store already',
      hint: 'Go on with it by `resume: true`, or choose another store.',
    });
  }
  const description: RunDescription = resume
    ? await readRun(store)
    : {
        format: 'tenon-run',
        version: formatVersion,
        name: experiment.name,
        origin: given.origin ?? null,
        options: resolveOptions(experiment, given.options ?? {}),
        seed: given.seed ?? 0,
        backend: backend.name,
        data: given.data,
        precision: given.precision,
      };
  const info = await backend.init();
  const own = await setUpRun(experiment, description, { signal, note: given.note });
  const plan = adjust ? adjust(own) : own;
  const { seed, precision = plan.precision } = description;
  const trainer = await startTrainer({ ...plan, seed, precision, backend });
  const log = createEventLog(store, eventsPath);
  try {
    onTrainer?.(trainer, plan);
    let truncated = false;
    let end: Extract<TrainEvent, { type: 'end' }> | undefined;
    let lastFlush = performance.now();
    const events = trainer.run(plan.train, {
      epochs: plan.epochs,
      validation: plan.validation,
      monitor: plan.monitor,
      earlyStopping: plan.earlyStopping,
      restoreBest: plan.restoreBest,
      signal,
      resume,
      checkpoints: {
        store,
        everySteps: plan.checkpointEverySteps,
        wanted: given.checkpointWanted,
        note: async () => ({ eventsLength: await log.length() }),
        onResume: async (note) => {
          truncated = true;
          await log.truncate(Number((note as { eventsLength?: number } | null)?.eventsLength ?? 0));
        },
      },
    });
    for await (const event of events) {
      if (event.type === 'start') {
        // Only now: a run that can't even begin leaves no folder behind.
        if (!resume) await writeJson(store, runPath, description);
        if (!truncated) await log.truncate(0);
      }
      // A resumed run's log reads as if it had never stopped.
      if (!(event.type === 'start' && event.resumed) && event.type !== 'checkpoint') log.add(event);
      if (event.type === 'end') end = event;
      if (event.type !== 'step' || performance.now() - lastFlush > 1000) {
        await log.flush();
        lastFlush = performance.now();
      }
      yield event;
    }
    if (!end) return;
    const training = (performance.now() - started) / 1000;
    const tested = plan.test && end.reason !== 'aborted' ? plan.test : undefined;
    const test = tested && (await trainer.evaluate(tested, { precision: 'float32' }));
    await trainer.save(store, { name: experiment.name, ...plan.card, ...(test && { metrics: { test } }) });
    const report: RunReport = {
      format: 'tenon-report',
      version: formatVersion,
      name: experiment.name,
      reason: end.reason,
      step: end.step,
      history: trainer.history,
      best: end.best,
      test,
      backend: info,
      seconds: { training, total: (performance.now() - started) / 1000 },
    };
    await writeJson(store, reportPath, report);
    yield { type: 'report', report };
  } catch (error) {
    // What came before it is what people look for; the error counts more than another one here.
    await log.flush().catch(() => {});
    throw error;
  } finally {
    trainer.dispose();
  }
}

/** The plan of a run, set up as it was the first time: for `tenon evaluate`. */
export async function setUpRun(
  experiment: Experiment,
  description: RunDescription,
  waiting: Pick<SetupContext, 'signal' | 'note'> = {},
): Promise<AnyPlan> {
  const { seed, data } = description;
  const options = resolveOptions(experiment, description.options);
  return experiment.setup(options, { ...waiting, seed, data, key: createKey(seed).foldIn('setup') });
}

/** Reads `run.json`. Throws `NOT_FOUND` for a folder that holds no run, `FORMAT_TOO_NEW`, `ARTIFACT_INVALID`. */
export async function readRun(store: ArtifactStore): Promise<RunDescription> {
  const where = `${store.location}/${runPath}`;
  const file = (await readJson(store, runPath)) as Partial<RunDescription> | null;
  const refuse = (expected: string, got: string): never => {
    throw new TenonError({ code: 'ARTIFACT_INVALID', where, expected, got });
  };
  if (file?.format !== 'tenon-run')
    return refuse("the format 'tenon-run'", JSON.stringify(file?.format) ?? 'none');
  checkVersion(runPath, file.version, formatVersion, where);
  if (!file.options || typeof file.seed !== 'number')
    return refuse("the fields 'options' and 'seed'", Object.keys(file).join(', '));
  return file as RunDescription;
}

/** Reads `report.json`; null for a run that hasn't ended or been stopped yet. */
export async function readReport(store: ArtifactStore): Promise<RunReport | null> {
  if (!(await holds(store, reportPath))) return null;
  return (await readJson(store, reportPath)) as RunReport;
}

async function holds(store: ArtifactStore, path: string): Promise<boolean> {
  return (await store.list(path)).includes(path);
}
