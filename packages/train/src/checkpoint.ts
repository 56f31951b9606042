import {
  type ArtifactStore,
  checkVersion,
  formatSpec,
  isTenonError,
  type Json,
  type LayerSpec,
  type NdArray,
  type Params,
  readSafetensors,
  sameShape,
  TenonError,
  type TensorSpec,
  type TransformSpec,
  type Tree,
  treeEntries,
  treeMap,
  writeSafetensors,
} from '@tenon-ml/core';
import type { BestEpoch, EpochRecord } from './events.js';

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
  /** Updates made. */
  readonly step: number;
  readonly epoch: number;
  /** The data's position within the epoch; null at its beginning. */
  readonly data: Json;
  /** Σ loss·weight and Σ weight of the epoch so far. */
  readonly sums: { readonly weighted: number; readonly total: number };
  /** The metrics' states of the epoch so far. */
  readonly metrics: readonly Json[];
  readonly history: readonly EpochRecord[];
  readonly best?: BestEpoch;
}

/** What a checkpoint belongs to: a resume with another network or optimizer is refused. */
export interface Identity {
  readonly model: LayerSpec;
  readonly optimizer: TransformSpec;
  readonly seed: number;
  readonly input: Tree<TensorSpec>;
}

export interface Checkpoint {
  readonly identity: Identity;
  readonly position: Position;
  readonly carry: HostCarry;
  /** The weights of the best epoch, where they are to be restored. */
  readonly best?: Pick<HostCarry, 'params' | 'state'>;
  /** What the caller keeps with it: the length of its log. */
  readonly note: Json;
}

const folder = 'checkpoints/';

/** Writes a checkpoint as one file, atomically, then removes all but the newest `keep`. Returns its path. */
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
    position: JSON.stringify(position),
    best: JSON.stringify(best !== undefined),
    note: JSON.stringify(note),
  });
  await store.write(path, bytes);
  const paths = await listCheckpoints(store);
  for (const old of paths.slice(0, Math.max(0, paths.length - keep))) await store.remove(old);
  return path;
}

/** The paths of a store's checkpoints, oldest first. */
export async function listCheckpoints(store: ArtifactStore): Promise<string[]> {
  return (await store.list(folder)).filter((path) => /\/step-\d+\.safetensors$/.test(path));
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

/**
 * The newest checkpoint of a store that can be read; null where there is none. A file that is damaged is passed over
 * for the one before it; if all are, the newest one's error is thrown.
 */
export async function readLatestCheckpoint(store: ArtifactStore): Promise<StoredCheckpoint | null> {
  let firstError: unknown;
  for (const path of (await listCheckpoints(store)).reverse()) {
    try {
      return decode(await store.read(path), path, `${store.location}/${path}`);
    } catch (error) {
      if (!isTenonError(error) || error.code === 'FORMAT_TOO_NEW') throw error;
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
      const found = tensors[`${prefix}/${name}`];
      if (found && found.dtype === expected.dtype && sameShape(found.shape, expected.shape)) return found;
      throw new TenonError({
        code: 'CHECKPOINT_INVALID',
        where: `${where}, ${prefix}/${name}`,
        expected: formatSpec(expected),
        got: found ? formatSpec(found) : 'nothing',
        hint: 'The experiment was changed since this checkpoint: start a new run.',
      });
    }) as T;
  return {
    path,
    identity: JSON.parse(metadata.identity),
    position: JSON.parse(metadata.position),
    note: JSON.parse(metadata.note),
    fill: (templates) => ({
      carry: {
        params: take('params', templates.params),
        state: take('state', templates.state),
        optimizer: take('optimizer', templates.optimizer),
      },
      best: JSON.parse(metadata.best)
        ? { params: take('best.params', templates.params), state: take('best.state', templates.state) }
        : undefined,
    }),
  };
}
