import { existsSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { type Precision, TenonError } from '@tenon-ml/core';
import { folderStore } from '@tenon-ml/core/node';
import { learningRateControl } from '@tenon-ml/experiment';
import {
  type ExperimentOptions,
  type RunReport,
  readRun,
  resolveOptions,
  runExperiment,
} from '@tenon-ml/train';
import { type BackendFlags, passedOver, startBackend } from '../backends.js';
import {
  type FoundExperiment,
  findExperiment,
  findOrigin,
  foundDocument,
  isDocumentFile,
  readDocumentFile,
} from '../experiments.js';
import { Interrupted, interruption } from '../interruption.js';
import { formatResult, type Output } from '../output.js';
import { lockRun } from '../run_lock.js';
import { refuseZip } from '../run_store.js';

export interface TrainFlags extends BackendFlags {
  readonly out?: string;
  /** 0 by default, a document's own. */
  readonly seed?: number;
  readonly epochs?: number;
  readonly set: readonly string[];
  readonly data?: string;
}

/** What a training ends with. */
export interface TrainResult {
  /** The run's folder. */
  readonly run: string;
  readonly report: RunReport;
  /** 0, or 130 after Ctrl-C (128 + the signal's number). */
  readonly exitCode: number;
}

/** `tenon train RECIPE|FILE`; a .json file is a document. */
export async function train(nameOrFile: string, flags: TrainFlags, output: Output): Promise<TrainResult> {
  const { found, folder } = await findTraining(nameOrFile, flags);
  const options = resolveOptions(found.experiment, parseOptions(found, flags));
  if (existsSync(join(folder, 'run.json'))) {
    throw new TenonError({
      code: 'USAGE',
      where: folder,
      message: 'there is a run in this folder already',
      hint: `Go on with it: tenon resume ${show(folder)}; or choose another folder with --out.`,
    });
  }
  const { seed = found.seed ?? 0, data, precision } = flags;
  const description = { options, seed, data: data && resolve(data), precision };
  return execute(found, { folder, flags, ...description, resume: false }, output);
}

/** What is to be trained, and the run's folder: a document looks for its data there, where no other place is given. */
async function findTraining(
  nameOrFile: string,
  flags: TrainFlags,
): Promise<{ readonly found: FoundExperiment; readonly folder: string }> {
  const { data, seed, epochs, out } = flags;
  if (!isDocumentFile(nameOrFile)) {
    const found = await findExperiment(nameOrFile);
    return { found, folder: resolve(out ?? newRunFolder(found.experiment.name)) };
  }
  const document = await readDocumentFile(nameOrFile, { seed, epochs });
  const folder = resolve(out ?? newRunFolder(document.name));
  const place = { store: folderStore(folder), data: data && resolve(data) };
  return { found: foundDocument(document, place), folder };
}

/** `tenon resume RUN` */
export async function resume(run: string, flags: BackendFlags, output: Output): Promise<TrainResult> {
  refuseZip(run);
  const folder = resolve(run);
  const store = folderStore(folder);
  const description = await readRun(store);
  const found = await findOrigin(description.origin, join(folder, 'run.json'), {
    store,
    data: description.data,
  });
  return execute(found, { folder, flags, standard: description.backend, resume: true }, output);
}

interface Execution {
  readonly folder: string;
  readonly flags: BackendFlags;
  /** The backend, where the flags name none. */
  readonly standard?: string;
  readonly resume: boolean;
  readonly options?: ExperimentOptions;
  readonly seed?: number;
  readonly data?: string;
  readonly precision?: Precision;
}

async function execute(found: FoundExperiment, execution: Execution, output: Output): Promise<TrainResult> {
  const unlock = await lockRun(execution.folder);
  try {
    return await executeLocked(found, execution, output);
  } finally {
    unlock();
  }
}

async function executeLocked(
  { experiment, origin }: FoundExperiment,
  execution: Execution,
  output: Output,
): Promise<TrainResult> {
  const { folder, flags, standard, ...rest } = execution;
  const selected = await startBackend(flags, standard);
  const { backend, info } = selected;
  const view = output.trainView();
  const interrupted = interruption(() =>
    view.note('Stopping after this step, and saving. Again to stop at once.'),
  );
  let report: RunReport | undefined;
  try {
    view.note(`${experiment.name} on ${info.name}${passedOver(selected)}, into ${show(folder)}`);
    const store = folderStore(folder);
    // What was changed by hand while it ran, in the studio, is part of the run.
    const rate = await learningRateControl(store);
    for await (const event of runExperiment(experiment, {
      ...rest,
      backend,
      store,
      origin,
      signal: interrupted.signal,
      note: view.note,
      ...(rate.changes.length > 0 && { adjust: rate.adjust }),
    })) {
      view.event(event);
      if (event.type === 'report') report = event.report;
    }
  } catch (error) {
    if (!interrupted.signal.aborted || error !== interrupted.signal.reason) throw error;
    throw new Interrupted(interrupted.exitCode());
  } finally {
    view.close();
    interrupted.release();
    await backend.dispose();
  }
  if (!report) throw new Error('The run ended without a report.');
  const exitCode = report.reason === 'aborted' ? interrupted.exitCode() : 0;
  return { run: folder, report, exitCode };
}

/** Prints what a training came to, or how to go on with it, and returns the exit code. */
export function printTrained({ run, report, exitCode }: TrainResult, output: Output): number {
  const { reason, step, best, test } = report;
  const folder = show(run);
  const lines =
    reason === 'aborted'
      ? [`Saved. Go on with: tenon resume ${folder}`]
      : [
          ...(test
            ? [
                `test ${Object.entries(test)
                  .map(([name, value]) => `${name} ${formatResult(value)}`)
                  .join(', ')}`,
              ]
            : []),
          `The run is in ${folder}`,
        ];
  output.result({ run, reason, step, best, test }, lines.join('\n'));
  return exitCode;
}

/** `--epochs 3` and `--set learningRate=0.01`, typed as the experiment's defaults are. */
function parseOptions({ experiment }: FoundExperiment, flags: TrainFlags): ExperimentOptions {
  const given: Record<string, number | string | boolean> = {};
  if (flags.epochs !== undefined) given.epochs = flags.epochs;
  for (const assignment of flags.set) {
    const [name, ...rest] = assignment.split('=');
    if (rest.length === 0) {
      throw new TenonError({ code: 'USAGE', where: '--set', expected: 'name=value', got: `'${assignment}'` });
    }
    const text = rest.join('=');
    const standard = experiment.options[name];
    given[name] =
      typeof standard === 'number' && text.trim() !== '' && !Number.isNaN(Number(text))
        ? Number(text)
        : typeof standard === 'boolean'
          ? parseBoolean(text)
          : text;
  }
  return given;
}

function parseBoolean(text: string): boolean | string {
  return text === 'true' ? true : text === 'false' ? false : text;
}

/** runs/digits-cnn-20261123-174500, with a number behind it if that exists. */
function newRunFolder(name: string): string {
  const stamp = new Date().toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15);
  const base = join('runs', `${name.replace(/[^\w.-]+/g, '-')}-${stamp}`);
  for (let i = 1; ; i++) {
    const folder = i === 1 ? base : `${base}-${i}`;
    if (!existsSync(folder)) return folder;
  }
}

/** A path as short as it can be said from here. */
export function show(path: string): string {
  const short = relative(process.cwd(), path);
  return short === '' ? '.' : short.startsWith('..') ? path : short;
}
