import {
  type ArtifactStore,
  checkVersion,
  type ErrorCode,
  formatSpec,
  isTenonError,
  type Json,
  type NdArray,
  type Params,
  readSafetensors,
  sameShape,
  TenonError,
  treeEntries,
  treeMap,
  writeSafetensors,
} from '@tenon-ml/core';
import type { BestEpoch, EpochRecord } from './events.js';
import type { Identity } from './identity.js';
import type { LossScale } from './loss_scaling.js';

/** The version of checkpoints that this build writes; it reads every version up to this one. */
export const checkpointFormatVersion = 1;

/** Weights and states on the host. */
export type HostCarry = {
  readonly params: Params<NdArray>;
  readonly state: Params<NdArray>;
  readonly optimizer: Params<NdArray>;
};

/** Where training stands: all that the next step depends on, besides the arrays. */
export interface Position {
  /** Steps made, those included that were skipped: so many batches were taken. */
  readonly step: number;
  readonly epoch: number;
  /** The data's position within the epoch; null at its beginning. */
  readonly data: Json;
  /** Σ loss·weight and Σ weight of the epoch so far. */
  readonly sums: { readonly weighted: number; readonly total: number };
  /** The metrics' states of the epoch so far. */
  readonly metrics: readonly Json[];
  /** The epochs that are over. */
  readonly history: readonly EpochRecord[];
  readonly best?: BestEpoch;
  /** Where the loss is scaled. */
  readonly lossScale?: LossScale;
}

/** The updates of the parameters so far: what bias corrections and schedules count. */
export function updatesMade({ step, lossScale }: Pick<Position, 'step' | 'lossScale'>): number {
  return step - (lossScale?.skipped ?? 0);
}

export interface Checkpoint {
  readonly identity: Identity;
  readonly position: Position;
  readonly carry: HostCarry;
  /** The weights of the best epoch, `position.best`, where they are to be restored. */
  readonly best?: Pick<HostCarry, 'params' | 'state'>;
  /** What the caller keeps with it: the length of its log. */
  readonly note: Json;
}

const folder = 'checkpoints/';

/**
 * Writes a checkpoint as one file, atomically, then removes all but the newest `keep` up to this one, and those beyond
 * it, which a resume has passed over. Returns its path.
 */
export async function writeCheckpoint(
  store: ArtifactStore,
  checkpoint: Checkpoint,
  keep: number,
): Promise<string> {
  const { identity, position, carry, best, note } = checkpoint;
  const tensors: Record<string, NdArray> = {};
  const put = (prefix: string, tree: Params<NdArray>): void => {
    for (const [path, array] of treeEntries<NdArray>(tree)) tensors[`${prefix}/${path}`] = array;
  };
  put('params', carry.params);
  put('state', carry.state);
  put('optimizer', carry.optimizer);
  if (best) {
    put('best.params', best.params);
    put('best.state', best.state);
  }
  const path = `${folder}step-${String(position.step).padStart(9, '0')}.safetensors`;
  const bytes = writeSafetensors(tensors, {
    format: 'tenon-checkpoint',
    version: String(checkpointFormatVersion),
    identity: JSON.stringify(identity),
    position: encodeNumbers(position),
    best: JSON.stringify(best !== undefined),
    note: JSON.stringify(note),
  });
  await store.write(path, bytes);
  const paths = await listCheckpoints(store);
  const kept = paths.filter((other) => stepOf(other) <= position.step).slice(-keep);
  for (const other of paths) if (!kept.includes(other)) await store.remove(other);
  return path;
}

/** The paths of a store's checkpoints, oldest first. */
export async function listCheckpoints(store: ArtifactStore): Promise<string[]> {
  const paths = (await store.list(folder)).filter((path) => !Number.isNaN(stepOf(path)));
  return paths.sort((a, b) => stepOf(a) - stepOf(b));
}

/**
 * Makes sure that a run which begins at `step`, and doesn't resume, meets no checkpoints from beyond it: a later resume
 * would take up those. Throws `USAGE`.
 */
export async function checkNoneBeyond(store: ArtifactStore, step: number): Promise<void> {
  const newest = (await listCheckpoints(store)).at(-1);
  if (newest === undefined || stepOf(newest) <= step) return;
  throw new TenonError({
    code: 'USAGE',
    where: `${store.location}/${newest}`,
    message: `this checkpoint is another run's: the one that begins here has made ${step} steps`,
    hint: 'Go on with that run by `resume: true`, or give this one another store.',
  });
}

/** The number of steps that a checkpoint's path tells; NaN for the path of something else. */
function stepOf(path: string): number {
  return Number(/\/step-(\d+)\.safetensors$/.exec(path)?.[1]);
}

/** A checkpoint's file as it lies, with its arrays not yet sorted into trees. */
export interface StoredCheckpoint {
  readonly path: string;
  readonly identity: Identity;
  readonly position: Position;
  readonly note: Json;
  /** Fills trees with the arrays. Throws `CHECKPOINT_INVALID` where one is missing or of another shape. */
  fill(templates: HostCarry): Pick<Checkpoint, 'carry' | 'best'>;
}

/** What tells of a damaged file. Anything else, such as a lack of permission, is not the file's fault. */
const damage: ReadonlySet<ErrorCode> = new Set([
  'SAFETENSORS_INVALID',
  'CHECKPOINT_INVALID',
  'ARTIFACT_INVALID',
]);

/**
 * The newest checkpoint of a store; null where there is none. A file that is damaged is passed over for the one before
 * it; if all are, the newest one's error is thrown. Throws `FORMAT_TOO_NEW` for a newer version's.
 */
export async function readLatestCheckpoint(store: ArtifactStore): Promise<StoredCheckpoint | null> {
  let firstError: unknown;
  for (const path of (await listCheckpoints(store)).reverse()) {
    try {
      return decode(await store.read(path), path, `${store.location}/${path}`);
    } catch (error) {
      if (!isTenonError(error) || !damage.has(error.code)) throw error;
      firstError ??= error;
    }
  }
  if (firstError) throw firstError;
  return null;
}

function decode(bytes: Uint8Array, path: string, where: string): StoredCheckpoint {
  const { tensors, metadata } = readSafetensors(bytes, where);
  if (metadata.format !== 'tenon-checkpoint') {
    throw new TenonError({
      code: 'CHECKPOINT_INVALID',
      where,
      expected: "the format 'tenon-checkpoint'",
      got: String(metadata.format),
    });
  }
  checkVersion('checkpoints', Number(metadata.version), checkpointFormatVersion, where);
  const take = <T extends Params<NdArray>>(prefix: string, template: T): T =>
    treeMap<NdArray, NdArray>(template, (expected, name) => {
      const found = tensors[`${prefix}/${name}`] as NdArray | undefined;
      if (found && found.dtype === expected.dtype && sameShape(found.shape, expected.shape)) return found;
      throw new TenonError({
        code: 'CHECKPOINT_INVALID',
        where: `${where}, ${prefix}/${name}`,
        expected: formatSpec(expected),
        got: found ? formatSpec(found) : 'nothing',
        hint: 'The experiment was changed since this checkpoint: start a new run.',
      });
    }) as T;
  const parse = (name: string): unknown => {
    try {
      return decodeNumbers(metadata[name]);
    } catch (cause) {
      throw new TenonError({
        code: 'CHECKPOINT_INVALID',
        where,
        expected: `JSON as '${name}'`,
        got: metadata[name] === undefined ? 'nothing' : 'text that does not parse',
        cause,
      });
    }
  };
  const hasBest = parse('best');
  return {
    path,
    identity: parse('identity') as Identity,
    position: parse('position') as Position,
    note: parse('note') as Json,
    fill: (templates) => ({
      carry: {
        params: take('params', templates.params),
        state: take('state', templates.state),
        optimizer: take('optimizer', templates.optimizer),
      },
      best: hasBest
        ? { params: take('best.params', templates.params), state: take('best.state', templates.state) }
        : undefined,
    }),
  };
}

const numberTag = '$number';

/** JSON in which the numbers that it has no words for stay what they are: NaN, infinities, −0. */
function encodeNumbers(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'number' && (!Number.isFinite(part) || Object.is(part, -0))
      ? { [numberTag]: Object.is(part, -0) ? '-0' : String(part) }
      : part,
  );
}

function decodeNumbers(text: string): unknown {
  return JSON.parse(text, (_, part) =>
    typeof part === 'object' && part !== null && typeof part[numberTag] === 'string'
      ? Number(part[numberTag])
      : part,
  );
}
