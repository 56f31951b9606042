import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  type ArtifactStore,
  isTenonError,
  type Json,
  nearestNames,
  prefixedStore,
  TenonError,
} from '@tenon-ml/core';
import { folderStore } from '@tenon-ml/core/node';
import { readCsvText } from '@tenon-ml/data/node';
import {
  documentExperiment,
  documentOrigin,
  type ExperimentDocument,
  originDocument,
  parseDocument,
  readDocument,
} from '@tenon-ml/experiment';
import { type Experiment, isExperiment } from '@tenon-ml/train';
import { createJiti } from 'jiti';
import { recipes } from './recipes/index.js';
import { isZip } from './run_store.js';

/** An experiment, and what `run.json` keeps to find it again. */
export interface FoundExperiment {
  readonly experiment: Experiment;
  readonly origin: Json;
  /** Of a document: what a run is started with where nothing else is said. */
  readonly seed?: number;
}

/** Where an experiment finds its data. */
export interface DataPlace {
  /** The run's folder. */
  readonly store: ArtifactStore;
  /** The path of `--data`. */
  readonly data?: string;
}

/** What the command line sets in a document: it becomes part of it, so that the run keeps a document that is its own. */
export interface DocumentChanges {
  readonly seed?: number;
  readonly epochs?: number;
}

/** The recipe of that name, or the experiment that a file exports as its default. */
export async function findExperiment(nameOrFile: string): Promise<FoundExperiment> {
  if (Object.hasOwn(recipes, nameOrFile)) {
    return { experiment: recipes[nameOrFile], origin: { recipe: nameOrFile } };
  }
  const file = resolve(nameOrFile);
  if (looksLikeFile(nameOrFile)) return { experiment: await loadFile(file), origin: { file } };
  const near = nearestNames(nameOrFile, Object.keys(recipes));
  throw new TenonError({
    code: 'UNKNOWN_NAME',
    message: `There is no recipe '${nameOrFile}'.`,
    hint: `${near.length > 0 ? `Did you mean ${near.map((name) => `'${name}'`).join(' or ')}? ` : ''}\`tenon recipes\` lists them; for an experiment of your own, give its file: ./experiment.ts.`,
  });
}

/** Whether this names a document (`experiment.json`), which `tenon train` takes as well. */
export function isDocumentFile(name: string): boolean {
  return name.endsWith('.json');
}

/** The document in a file, with what the call changes. Throws what `parseDocument` throws, with the file. */
export async function readDocumentFile(
  file: string,
  { seed, epochs }: DocumentChanges,
): Promise<ExperimentDocument> {
  const document = parseDocument(await readCsvText(file), file);
  const training = { ...document.training, epochs: epochs ?? document.training.epochs };
  return readDocument({ ...document, seed: seed ?? document.seed, training }, file);
}

/** The experiment of a document. Its data is where the call or the run says, or else in the run's own `data/`. */
export function foundDocument(document: ExperimentDocument, { store, data }: DataPlace): FoundExperiment {
  const files = data === undefined ? prefixedStore(store, 'data/') : folderStore(data);
  const experiment: Experiment = documentExperiment(document, files);
  return {
    experiment: {
      ...experiment,
      setup: (...args) => pointingToData(data, () => experiment.setup(...args)),
    },
    origin: documentOrigin(document),
    seed: document.seed,
  };
}

/** The experiment that a run was started with. */
export async function findOrigin(origin: Json, where: string, place: DataPlace): Promise<FoundExperiment> {
  const document = originDocument(origin, `${where}, origin`);
  if (document) return foundDocument(document, place);
  const { recipe, file } = (origin ?? {}) as { recipe?: string; file?: string };
  if (recipe) return findExperiment(recipe);
  if (file) {
    // A zip comes from anywhere: which code runs here is not for it to say.
    if (isZip(place.store.location)) throw codeInZip(place.store.location, file);
    return { experiment: await loadFile(file), origin };
  }
  throw new TenonError({
    code: 'ARTIFACT_INVALID',
    where,
    expected: 'a run of a recipe, of a file or of a document',
    got: JSON.stringify(origin),
  });
}

function codeInZip(where: string, file: string): TenonError {
  return new TenonError({
    code: 'USAGE',
    where,
    message: `this run is of the experiment in ${file}, which a zip doesn't get to run`,
    hint: 'Unpack it where you trust that file, and give the folder.',
  });
}

/** Says with a file that is missing how to say where it is. */
async function pointingToData<T>(data: string | undefined, f: () => T | Promise<T>): Promise<T> {
  try {
    return await f();
  } catch (error) {
    if (data !== undefined || !isTenonError(error) || error.code !== 'NOT_FOUND') throw error;
    throw new TenonError({
      code: 'NOT_FOUND',
      message: error.message,
      hint: 'Give the folder that holds the data: --data FOLDER.',
      cause: error,
    });
  }
}

function looksLikeFile(name: string): boolean {
  return /\.[cm]?[jt]s$/.test(name) || name.includes('/');
}

async function loadFile(file: string): Promise<Experiment> {
  if (!existsSync(file)) {
    throw new TenonError({
      code: 'NOT_FOUND',
      where: file,
      message: 'there is no such experiment file',
      hint: 'A run looks for it where it was when the run began.',
    });
  }
  const jiti = createJiti(pathToFileURL(file).href);
  const experiment = await blaming(file, 'loaded', () => jiti.import(file, { default: true }));
  if (isExperiment(experiment)) {
    return {
      ...experiment,
      setup: (...args) => blaming(file, 'set up', () => experiment.setup(...args)),
    };
  }
  throw new TenonError({
    code: 'INVALID_ARGUMENT',
    where: file,
    expected: 'an experiment as the default export',
    got: describe(experiment),
    hint: 'Write: export default defineExperiment({ name, description, options, setup }).',
  });
}

/** A module without a default export comes as an object of its exports. */
function describe(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  const names = Object.keys(value);
  return names.length === 0 ? 'nothing' : `an object of ${names.join(', ')}`;
}

/** Runs what is the user's own: an error that isn't one of ours names the line in the file, instead of its stack. */
async function blaming<T>(file: string, what: string, f: () => T | Promise<T>): Promise<T> {
  try {
    return await f();
  } catch (cause) {
    if (isTenonError(cause)) throw cause;
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new TenonError({
      code: 'INVALID_ARGUMENT',
      where: placeOf(cause, file),
      message: `this experiment could not be ${what}: ${message.split('\n')[0].trim()}`,
      cause,
    });
  }
}

/** The file, with the line that the error names in it, in its message (syntax) or its stack; columns are jiti's. */
function placeOf(error: unknown, file: string): string {
  const { message = '', stack = '' } = error instanceof Error ? error : {};
  const text = `${message}\n${stack}`;
  const at = text.indexOf(`${file}:`);
  const [, position] = at === -1 ? [] : (/^:(\d+):/.exec(text.slice(at + file.length)) ?? []);
  return position ? `${file}:${position}` : file;
}
