import { type ArtifactStore, TenonError } from '@tenon-ml/core';
import type { DataSpec } from '@tenon-ml/experiment';
import { importCifar10, importCifar10Archive } from './cifar10.js';
import { importCsv, type TableColumns } from './csv.js';
import { baseName, pathOf, readUtf8 } from './dropped_files.js';
import { checkLimit } from './limits.js';
import { modelOfFiles, modelOfZip } from './model.js';
import { importPictures, type PictureDecoder, type PictureOptions } from './pictures.js';
import { recognize } from './recognize.js';

/** How far an import is: of `total` files, or of so many bytes of an archive. */
export interface ImportProgress {
  readonly done: number;
  readonly total: number;
}

export interface ImportOptions extends PictureOptions {
  readonly onProgress?: (progress: ImportProgress) => void;
  readonly signal?: AbortSignal;
  /** Decodes pictures; in a worker by default. */
  readonly decoder?: PictureDecoder;
}

/** What a person should know of an import that went well. */
export type ImportNote =
  /** Files that came along and are no part of it. */
  | { readonly code: 'IGNORED'; readonly files: readonly string[] }
  /** Pictures that the browser can't decode: they are left out. */
  | { readonly code: 'UNREADABLE'; readonly files: readonly string[] }
  /** The CSV was rewritten with commas between its fields. */
  | { readonly code: 'DELIMITER'; readonly delimiter: string }
  /** In these columns of the CSV decimal commas became points. */
  | { readonly code: 'DECIMAL_COMMAS'; readonly columns: readonly string[] };

/** What was dropped, and what became of it. `name` is for a title. */
export type Imported =
  | {
      readonly kind: 'data';
      readonly name: string;
      /** Its files are in the store that was given. */
      readonly data: DataSpec;
      readonly examples: number;
      readonly notes: readonly ImportNote[];
      /** Of a CSV: its columns, for the choice of target and features. */
      readonly columns?: TableColumns;
    }
  | {
      readonly kind: 'model';
      readonly name: string;
      /** In memory: model.json, weights.safetensors, and of a run the rest. */
      readonly store: ArtifactStore;
      readonly run: boolean;
      readonly notes: readonly ImportNote[];
    }
  | {
      readonly kind: 'document';
      readonly name: string;
      /** JSON of the format tenon-experiment, not checked further. */
      readonly document: unknown;
      readonly notes: readonly ImportNote[];
    };

/**
 * Decides what files are, and brings them in: data into `store`, which the experiment then reads; a model into memory.
 *
 * Sizes are checked before anything is read. Throws `USAGE` for what isn't understood, `INVALID_ARGUMENT` for what is too
 * large, `DATA_INVALID` and `ARTIFACT_INVALID` for what isn't what its name says, `STORAGE_FULL` and the store's other
 * errors, and the signal's reason where it was aborted; files may then be in `store` that nothing refers to.
 */
export async function importFiles(
  all: readonly File[],
  store: ArtifactStore,
  options: ImportOptions = {},
): Promise<Imported> {
  options.signal?.throwIfAborted();
  const { kind, files, ignored } = recognize(all);
  const notes: ImportNote[] = ignored.length > 0 ? [{ code: 'IGNORED', files: ignored }] : [];
  const [first] = files;
  const name = titleOf(files);
  switch (kind) {
    case 'cifar10':
    case 'archive': {
      const examples =
        kind === 'cifar10'
          ? await importCifar10(files, store, options)
          : await importCifar10Archive(first, store, options);
      return { kind: 'data', name: 'CIFAR-10', data: { source: 'cifar10' }, examples, notes };
    }
    case 'pictures': {
      const { data, examples, unreadable } = await importPictures(files, store, options);
      if (unreadable.length > 0) notes.push({ code: 'UNREADABLE', files: unreadable });
      return { kind: 'data', name, data, examples, notes };
    }
    case 'csv': {
      const { data, examples, columns, notes: made } = await importCsv(first, store);
      return { kind: 'data', name, data, examples, columns, notes: [...notes, ...made] };
    }
    case 'text': {
      const { data, examples } = await importText(files, store);
      return { kind: 'data', name, data, examples, notes };
    }
    case 'model':
    case 'zip': {
      const model = kind === 'model' ? await modelOfFiles(files) : await modelOfZip(first);
      const run = (await model.list('run.json')).includes('run.json');
      return { kind: 'model', name, store: model, run, notes };
    }
    case 'json':
      return { kind: 'document', name, document: await readDocument(first), notes };
  }
}

/** The file's name without its ending, or the folder's where there are several. */
function titleOf(files: readonly File[]): string {
  const [first] = files;
  const path = pathOf(first);
  if (files.length > 1 && path.includes('/')) return path.slice(0, path.indexOf('/'));
  return baseName(path).replace(/\.[^.]+$/, '');
}

/** What the windows of a text are until the person says otherwise: shorter in a short text, so that each part has some. */
function textSpec(characters: number): DataSpec & { source: 'text' } {
  const context = Math.min(64, Math.floor(characters / 20));
  return { source: 'text', file: 'text.txt', context, stepsPerEpoch: 100 };
}

/** Less than this is nothing to learn from. */
const fewestCharacters = 200;

async function importText(
  files: readonly File[],
  store: ArtifactStore,
): Promise<{ data: DataSpec; examples: number }> {
  const where = files.length === 1 ? pathOf(files[0]) : `${files.length} text files`;
  checkLimit(
    'text',
    files.reduce((sum, { size }) => sum + size, 0),
    where,
  );
  const texts: string[] = [];
  for (const file of files) texts.push((await readUtf8(file, 'text')).replaceAll('\r\n', '\n'));
  const text = texts.join('\n');
  let examples = 0;
  for (const _ of text) examples++;
  if (examples < fewestCharacters) {
    throw new TenonError({
      code: 'DATA_INVALID',
      where,
      expected: `a text of at least ${fewestCharacters} characters`,
      got: String(examples),
    });
  }
  await store.write('text.txt', new TextEncoder().encode(text));
  return { data: textSpec(examples), examples };
}

async function readDocument(file: File): Promise<unknown> {
  const path = pathOf(file);
  const text = await readUtf8(file, 'document');
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw new TenonError({
      code: 'ARTIFACT_INVALID',
      where: path,
      expected: 'JSON',
      got: `${text.length} characters that don't parse: ${(cause as Error).message}`,
      cause,
    });
  }
  const format = typeof document === 'object' && document !== null && 'format' in document && document.format;
  if (format === 'tenon-experiment') return document;
  throw new TenonError({
    code: 'ARTIFACT_INVALID',
    where: path,
    expected: "an experiment: JSON with the format 'tenon-experiment'",
    got: typeof format === 'string' ? `'${format.slice(0, 40)}'` : 'JSON without a format',
    hint: 'A model is dropped as a folder or a zip, with its model.json.',
  });
}
