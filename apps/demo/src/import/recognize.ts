import { TenonError } from '@tenon-ml/core/errors';
import { baseName, pathOf } from './dropped_files.js';
import { checkLimit } from './limits.js';

/** What files are, by their names alone. 'archive': CIFAR-10's; 'zip': a model's; 'json': a document, or a mistake. */
export type FilesKind = 'cifar10' | 'archive' | 'pictures' | 'csv' | 'text' | 'model' | 'zip' | 'json';

export interface Recognized {
  readonly kind: FilesKind;
  /** Those that are of this kind, by path. */
  readonly files: readonly File[];
  /** Paths of what came with them and is left out. */
  readonly ignored: readonly string[];
}

const cifar10File = /^(data_batch_\d+|test_batch)\.bin$/;
const endings: readonly (readonly [FilesKind, RegExp])[] = [
  ['cifar10', cifar10File],
  ['archive', /\.(tar\.gz|tgz)$/i],
  ['zip', /\.zip$/i],
  ['pictures', /\.(png|jpe?g|webp|gif|bmp)$/i],
  ['csv', /\.(csv|tsv)$/i],
  ['text', /\.(txt|md)$/i],
  ['json', /\.json$/i],
];

/** Of these, the first takes the other as something that lies beside it: a readme, labels, a description. */
const companions: { readonly [kind in FilesKind]?: readonly FilesKind[] } = {
  cifar10: ['text'],
  pictures: ['text', 'json'],
  csv: ['text', 'json'],
};

/** What systems leave in folders, and nobody means to drop. */
const litter = /(^|\/)(\.[^/]*|Thumbs\.db|desktop\.ini|__MACOSX\/.*)$/i;

/**
 * What these files are, by name. Throws `INVALID_ARGUMENT` for too many, and `USAGE` for nothing, for what nothing here
 * can read, and for a mixture: the message says what was understood and what not.
 */
export function recognize(all: readonly File[]): Recognized {
  checkLimit('files', all.length, 'what was dropped');
  const files = [...all]
    .filter((file) => !litter.test(pathOf(file)))
    .sort((a, b) => (pathOf(a) < pathOf(b) ? -1 : 1));
  const model = modelFolder(files);
  if (model !== undefined) {
    const inside = (file: File): boolean => pathOf(file).startsWith(model);
    return { kind: 'model', files: files.filter(inside), ignored: pathsOf(files.filter((f) => !inside(f))) };
  }
  const groups = new Map<FilesKind, File[]>();
  const unknown: File[] = [];
  for (const file of files) {
    const kind = endings.find(([, ending]) => ending.test(baseName(file.name)))?.[0];
    if (!kind) unknown.push(file);
    else if (groups.has(kind)) groups.get(kind)?.push(file);
    else groups.set(kind, [file]);
  }
  for (const [kind] of endings) {
    const own = groups.get(kind);
    const others = [...groups.keys()].filter((other) => other !== kind);
    if (!own || !others.every((other) => companions[kind]?.includes(other))) continue;
    const single = kind === 'archive' || kind === 'zip' || kind === 'csv' || kind === 'json';
    if (single && own.length > 1) throw tooMany(kind, own);
    const ignored = [...unknown, ...others.flatMap((other) => groups.get(other) as File[])];
    return { kind, files: own, ignored: pathsOf(ignored).sort() };
  }
  throw notUnderstood(groups, unknown);
}

/** The folder that holds a `model.json`, with its '/', if there is one. The outermost: a run has copies inside. */
function modelFolder(files: readonly File[]): string | undefined {
  const found = files.filter((file) => baseName(pathOf(file)) === 'model.json').map(pathOf);
  const depth = (path: string): number => path.split('/').length;
  const [first] = found.sort((a, b) => depth(a) - depth(b));
  return first?.slice(0, -'model.json'.length);
}

const nouns: { readonly [kind in FilesKind]: string } = {
  cifar10: "files of CIFAR-10's binary version",
  archive: '.tar.gz archives',
  zip: '.zip archives',
  pictures: 'pictures',
  csv: 'CSV files',
  text: 'text files',
  json: '.json files',
  model: 'files of a model',
};

const taken =
  'one of: data_batch_*.bin and test_batch.bin (or cifar-10-binary.tar.gz); folders of pictures, one for each class; a .csv; .txt files; a saved model or run; an experiment (.json)';

function tooMany(kind: FilesKind, files: readonly File[]): TenonError {
  return new TenonError({
    code: 'USAGE',
    where: 'what was dropped',
    expected: `one of the ${nouns[kind]}`,
    got: `${files.length}: ${some(pathsOf(files))}`,
    hint: 'Drop them one at a time.',
  });
}

function notUnderstood(
  groups: ReadonlyMap<FilesKind, readonly File[]>,
  unknown: readonly File[],
): TenonError {
  const understood = [...groups].map(([kind, { length }]) => `${length} ${nouns[kind]}`);
  const python = unknown.some(({ name }) => /^(data_batch_\d|test_batch)$/.test(name));
  const parts = [
    ...understood,
    ...(unknown.length > 0 ? [`${unknown.length} that nothing here reads (${some(pathsOf(unknown))})`] : []),
  ];
  return new TenonError({
    code: 'USAGE',
    where: 'what was dropped',
    expected: taken,
    got: parts.length > 0 ? parts.join(', ') : 'no files',
    hint: python
      ? "These look like CIFAR-10's Python version: take the binary one, cifar-10-binary.tar.gz."
      : understood.length > 1
        ? 'Drop one kind at a time.'
        : undefined,
  });
}

function pathsOf(files: readonly File[]): string[] {
  return files.map(pathOf);
}

/** A few names, for a message. */
export function some(names: readonly string[], count = 3): string {
  return `${names.slice(0, count).join(', ')}${names.length > count ? `, … (${names.length} in all)` : ''}`;
}
