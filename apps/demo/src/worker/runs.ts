import { type ArtifactStore, isTenonError, type Json, readText } from '@tenon-ml/core';
import { listFolders, opfsStore, removeTree } from '@tenon-ml/core/browser';
import { documentOrigin } from '@tenon-ml/experiment';
import {
  type EpochRecord,
  listCheckpoints,
  readReport,
  readRun,
  type StartEvent,
  type TrainEvent,
} from '@tenon-ml/train';
import { heldNames, holding, runLock } from './locks.js';
import type { RunOrigin, StepPoint, StoredRun } from './protocol.js';
import { learningRateOf } from './rates.js';

/** The runs in the browser's storage, the newest first. What is damaged is left out: it can't be gone on with. */
export async function listRuns(): Promise<StoredRun[]> {
  const held = await heldNames();
  const found = await Promise.all((await listFolders('runs')).map((id) => describe(id, held)));
  return found.filter((run) => run !== null).sort((a, b) => b.created - a.created);
}

async function describe(id: string, held: ReadonlySet<string>): Promise<StoredRun | null> {
  try {
    const store = await opfsStore(`runs/${id}`);
    const [origin, report, checkpoints, bytes] = await Promise.all([
      readOrigin(store),
      readReport(store),
      listCheckpoints(store),
      sizeOf(`runs/${id}`),
    ]);
    const checkpoint = checkpoints.at(-1);
    return {
      ...origin,
      id,
      report,
      checkpoint: checkpoint === undefined ? null : Number(/(\d+)\.safetensors$/.exec(checkpoint)?.[1]),
      inUse: held.has(runLock(id)),
      bytes,
    };
  } catch (error) {
    if (isTenonError(error)) return null;
    throw error;
  }
}

/** The bytes of a folder's files; nothing for one that another tab has removed meanwhile. */
async function sizeOf(path: string): Promise<number> {
  try {
    let folder = await navigator.storage.getDirectory();
    for (const name of path.split('/')) folder = await folder.getDirectoryHandle(name);
    return await bytesIn(folder);
  } catch (error) {
    if (error instanceof DOMException && error.name === 'NotFoundError') return 0;
    throw error;
  }
}

async function bytesIn(folder: FileSystemDirectoryHandle): Promise<number> {
  let bytes = 0;
  for await (const handle of folder.values()) {
    try {
      bytes +=
        handle.kind === 'directory'
          ? await bytesIn(handle as FileSystemDirectoryHandle)
          : (await (handle as FileSystemFileHandle).getFile()).size;
    } catch {
      // A run in another tab replaces its checkpoints.
    }
  }
  return bytes;
}

/** What `run.json` keeps of a run: the document, for the command line too, and beside it what only the studio knows. */
export function originOf({ document, dataId, backend, created }: RunOrigin): Json {
  return { ...(documentOrigin(document) as object), studio: { dataId, backend, created } };
}

/** What a run was started with. */
export async function readOrigin(store: ArtifactStore): Promise<RunOrigin> {
  const { origin } = await readRun(store);
  const { document, studio } = origin as unknown as {
    readonly document: RunOrigin['document'];
    readonly studio: Omit<RunOrigin, 'document'>;
  };
  return { ...studio, document };
}

/** Whether there is a run to go on with. */
export async function holdsRun(store: ArtifactStore): Promise<boolean> {
  return (await store.list('run.json')).includes('run.json');
}

/** How long an ended worker may take to let go of its run, in milliseconds. */
const LETTING_GO = 3000;

/** Removes a run for good. Throws 'IN_USE' where a tab holds it. */
export async function removeRun(id: string): Promise<void> {
  await holding(runLock(id), () => removeTree(`runs/${id}`), LETTING_GO);
}

/** What a run's log holds: its curves, and what it began with. */
export interface PastEvents {
  readonly steps: StepPoint[];
  readonly epochs: EpochRecord[];
  readonly start: Pick<StartEvent, 'stepsPerEpoch' | 'parameters'> | null;
}

export async function readCurves(store: ArtifactStore): Promise<PastEvents> {
  const steps: StepPoint[] = [];
  const epochs: EpochRecord[] = [];
  let start: PastEvents['start'] = null;
  if ((await store.list('events.jsonl')).length === 0) return { steps, epochs, start };
  for (const line of (await readText(store, 'events.jsonl')).split('\n')) {
    const event = parse(line);
    if (event?.type === 'step') {
      steps.push({ step: event.step, loss: event.loss, learningRate: learningRateOf(event.scalars) });
    } else if (event?.type === 'epoch') {
      const { type: _, ...record } = event;
      epochs.push(record);
    } else if (event?.type === 'start') {
      start = { stepsPerEpoch: event.stepsPerEpoch, parameters: event.parameters };
    }
  }
  return { steps, epochs, start };
}

/** A line of the log; nothing for the last one of a tab that was closed while it wrote it. */
function parse(line: string): TrainEvent | undefined {
  try {
    return line === '' ? undefined : (JSON.parse(line) as TrainEvent);
  } catch {
    return undefined;
  }
}
