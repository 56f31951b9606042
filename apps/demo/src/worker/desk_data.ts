import { type ArtifactStore, createKey, TenonError, type TensorSpec } from '@tenon-ml/core';
import { listFolders, opfsStore, removeTree } from '@tenon-ml/core/browser';
import { augment } from '@tenon-ml/data';
import {
  type AugmentationSpec,
  augmentationsOf,
  type DataKind,
  type DataSpec,
  type DocumentData,
  type ExperimentDocument,
  fitNetwork,
  loadDocumentData,
  readDocument,
} from '@tenon-ml/experiment';
import { type ImportNote, type ImportProgress, importFiles } from '../import/import_files.js';
import { type ArraysLook, lookAt, type TableLook, type TextLook } from '../import/look.js';
import { examplesToArrays } from '../import/pictures.js';
import type { Channels } from '../import/resize.js';
import { adoptData, networkEnds } from './adopt_data.js';
import { renaming } from './calls.js';
import { openData } from './data.js';
import { dataLock } from './locks.js';
import { pictureOf } from './pictures.js';
import type { Picture } from './protocol.js';
import { listRuns } from './runs.js';

/** What the page shows of data before anything is trained on it. */
export interface DataLook {
  readonly kind: DataKind;
  /** What the network takes; null for the batch. */
  readonly input: TensorSpec;
  readonly task: DocumentData['task'];
  readonly outputs: number;
  readonly classNames: readonly string[];
  /** Examples to be split; characters of a text. */
  readonly count: number | null;
  /** Of the test part that the data brings along; null where the split makes it. */
  readonly testCount: number | null;
  readonly detail: ArraysLook | TableLook | TextLook;
}

/** What became of files that were dropped or chosen. */
export type ImportResult =
  | {
      readonly kind: 'data';
      readonly name: string;
      readonly data: DataSpec;
      readonly examples: number;
      readonly columns: readonly string[];
      readonly notes: readonly ImportNote[];
    }
  | {
      readonly kind: 'model';
      readonly name: string;
      readonly files: readonly (readonly [string, Uint8Array])[];
      readonly notes: readonly ImportNote[];
    }
  | {
      readonly kind: 'document';
      readonly document: ExperimentDocument;
      readonly notes: readonly ImportNote[];
    }
  | { readonly kind: 'cancelled' };

export interface PictureSize {
  readonly side: number;
  readonly channels: Channels;
}

/** A class of pictures of the person's own. */
export interface OwnClass {
  readonly name: string;
  readonly pictures: readonly Picture[];
}

/** An example before and after it was changed at random. */
export interface AugmentedPair {
  readonly before: Picture;
  readonly after: Picture;
}

/** What is said of data without looking at every example of it. */
type Outline = Omit<DataLook, 'detail'> & { readonly range: DocumentData['range'] };

/** The data of experiments: what is brought in, what it is like, which network it takes. */
export function createDataDesk() {
  let outlined: { readonly key: string; readonly outline: Promise<Outline> } | null = null;
  let sampled: { readonly key: string; readonly samples: Promise<Samples> } | null = null;
  let importing: AbortController | null = null;

  /** Of the data asked about last, which is asked about several times. */
  function outlineOf(data: DataSpec, dataId: string | null): Promise<Outline> {
    const key = JSON.stringify([data, dataId]);
    if (outlined?.key !== key) {
      const outline = outlineData(data, dataId);
      outlined = { key, outline };
      outline.catch(() => {
        if (outlined?.outline === outline) outlined = null;
      });
    }
    return outlined.outline;
  }

  return {
    async look(data: DataSpec, dataId: string | null): Promise<DataLook> {
      const { range: _, ...outline } = await outlineOf(data, dataId);
      return { ...outline, detail: await detailOf(data, dataId, outline.classNames.length) };
    },

    /** The document with its network's ends fitted to its data. */
    async fit(document: ExperimentDocument, dataId: string | null): Promise<ExperimentDocument> {
      return fitNetwork(document, networkEnds(await outlineOf(document.data, dataId)));
    },

    /** The document on other data, with a network that takes it: its own, or that of a preset. */
    async adopt(
      document: ExperimentDocument,
      data: DataSpec,
      dataId: string | null,
    ): Promise<ExperimentDocument> {
      return adoptData(document, data, await outlineOf(data, dataId));
    },

    /** Brings files in: data into a folder of its own. What was there already stays as it is, whatever happens. */
    async importFiles(
      files: readonly File[],
      dataId: string,
      size: PictureSize,
      onProgress: (progress: ImportProgress) => void,
    ): Promise<ImportResult> {
      const controller = new AbortController();
      importing?.abort();
      importing = controller;
      const { signal } = controller;
      let keep = false;
      try {
        const store = await opfsStore(`data/${dataId}`);
        const result = await renaming({ INVALID_ARGUMENT: 'TOO_LARGE', USAGE: 'NOT_UNDERSTOOD' }, () =>
          importFiles(files, store, { ...size, signal, onProgress: seldom(onProgress) }),
        );
        signal.throwIfAborted();
        keep = result.kind === 'data';
        switch (result.kind) {
          case 'data': {
            const { columns = [], ...rest } = result;
            return { ...rest, columns: columns.map(({ name }) => name) };
          }
          case 'model':
            return {
              kind: 'model',
              name: result.name,
              files: await filesOf(result.store),
              notes: result.notes,
            };
          case 'document':
            return {
              kind: 'document',
              document: await renaming({ INVALID_ARGUMENT: 'DOCUMENT_INVALID' }, async () =>
                readDocument(result.document, result.name),
              ),
              notes: result.notes,
            };
        }
      } catch (error) {
        if (signal.aborted) return { kind: 'cancelled' };
        throw error;
      } finally {
        if (importing === controller) importing = null;
        if (!keep) await removeTree(`data/${dataId}`);
      }
    },

    cancelImport(): void {
      importing?.abort();
    },

    /** Writes pictures of one's own as data. */
    async makeData(
      classes: readonly OwnClass[],
      { side, channels }: PictureSize,
      dataId: string,
    ): Promise<{ readonly data: DataSpec; readonly examples: number }> {
      const { bytes, data, examples } = examplesToArrays(
        classes.map(({ name, pictures }) => ({
          name,
          images: pictures.map(({ width, height, rgba }) => ({ width, height, data: rgba })),
        })),
        side,
        channels,
      );
      await (await opfsStore(`data/${dataId}`)).write(data.file, bytes);
      return { data, examples };
    },

    /** Some examples as they are and as training may see them. Another seed, other changes. */
    async augmented(
      data: DataSpec,
      dataId: string | null,
      augmentation: AugmentationSpec,
      seed: number,
    ): Promise<readonly AugmentedPair[]> {
      const key = JSON.stringify([data, dataId]);
      if (sampled?.key !== key) {
        const samples = samplesOf(data, dataId);
        sampled = { key, samples };
        samples.catch(() => {
          if (sampled?.samples === samples) sampled = null;
        });
      }
      const { examples, range } = await sampled.samples;
      const change = augment(...augmentationsOf(augmentation));
      const ink = data.source === 'digits';
      return examples.map((example, i) => ({
        before: pictureOf(example.input, range, { ink }),
        after: pictureOf(change(example, { key: createKey(seed).foldIn(i) }).input, range, { ink }),
      }));
    },

    /** Removes the data that no run in the storage, none of these, and no tab is using. */
    async removeUnused(used: readonly string[]): Promise<void> {
      const needed = new Set([...used, ...(await listRuns()).map((run) => run.dataId)]);
      for (const id of await listFolders('data')) {
        if (needed.has(id)) continue;
        await navigator.locks.request(dataLock(id), { ifAvailable: true }, async (lock) => {
          if (lock) await removeTree(`data/${id}`);
        });
      }
    },
  };
}

/** How many examples are shown before and after. */
const SAMPLES = 6;

interface Samples {
  readonly examples: Awaited<ReturnType<DocumentData['examples']['toArray']>>;
  readonly range: DocumentData['range'];
}

/** Examples from all over the data, the same ones each time. */
async function samplesOf(data: DataSpec, dataId: string | null): Promise<Samples> {
  // Of CIFAR-10, whose order is random, one file is enough.
  const few: DataSpec = data.source === 'cifar10' ? { ...data, limit: SAMPLES } : data;
  const { kind, examples, range } = await loadDocumentData(few, await openData(dataId));
  if (kind !== 'images') {
    throw new TenonError({ code: 'USAGE', where: 'augmentation', expected: 'pictures', got: kind });
  }
  return {
    examples: await examples
      .shuffle({ key: createKey(0) })
      .take(SAMPLES)
      .toArray(),
    range,
  };
}

async function outlineData(data: DataSpec, dataId: string | null): Promise<Outline> {
  const loaded = await loadDocumentData(data, await openData(dataId));
  const { kind, input, task, outputs, classNames, examples, test, points, range } = loaded;
  const count = points?.shape[0] ?? examples.length;
  return { kind, input, task, outputs, classNames, range, count, testCount: test?.length ?? null };
}

async function detailOf(data: DataSpec, dataId: string | null, classes: number): Promise<DataLook['detail']> {
  const files = (await openData(dataId)) ?? noFiles;
  const detail = await lookAt(data, files, { thumbnails: Math.min(160, 8 * Math.max(1, classes)) });
  if (data.source !== 'digits' || detail.kind !== 'arrays') return detail;
  // Ink on paper, as everywhere on the page.
  const thumbnails = detail.thumbnails.map((one) => ({ ...one, rgba: inverted(one.rgba) }));
  return { ...detail, thumbnails };
}

function inverted(rgba: Uint8ClampedArray): Uint8ClampedArray<ArrayBuffer> {
  return new Uint8ClampedArray(rgba.map((value, i) => (i % 4 === 3 ? value : 255 - value)));
}

/** What embedded data is given. */
const noFiles: ArtifactStore = {
  location: 'nowhere',
  read: (path) => Promise.reject(new Error(`There is no ${path}.`)),
  write: (path) => Promise.reject(new Error(`${path} can't be written.`)),
  append: (path) => Promise.reject(new Error(`${path} can't be written.`)),
  list: async () => [],
  remove: async () => {},
};

async function filesOf(store: ArtifactStore): Promise<(readonly [string, Uint8Array])[]> {
  const paths = await store.list();
  return Promise.all(paths.map(async (path) => [path, await store.read(path)] as const));
}

/** Ten times a second at most, but at the end. */
function seldom(tell: (progress: ImportProgress) => void): (progress: ImportProgress) => void {
  let last = 0;
  return (progress) => {
    const now = performance.now();
    if (now - last < 100 && progress.done < progress.total) return;
    last = now;
    tell(progress);
  };
}
