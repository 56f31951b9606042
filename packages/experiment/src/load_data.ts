import {
  type ArtifactStore,
  isTenonError,
  type NdArray,
  readSafetensors,
  TenonError,
  type TensorSpec,
} from '@tenon-ml/core';
import {
  type Characters,
  characters,
  codePoints,
  type Dataset,
  type DatasetInfo,
  type Example,
  fromArrays,
  fromCsv,
  textWindows,
} from '@tenon-ml/data';
import { cifar10Info, parseCifar10 } from '@tenon-ml/data/cifar10';
import { digits, digitsInfo } from '@tenon-ml/data/digits';
import type { DataSpec } from './document.js';

/** What data is, and what is predicted from it. */
export type DataKind = 'images' | 'table' | 'text';

/** The data of a document, as it can be looked at before it is trained on. */
export interface DocumentData {
  readonly kind: DataKind;
  /** What is predicted: a class, numbers, the next character. */
  readonly task: 'classification' | 'regression' | 'text';
  /**
   * Raw examples, one by one, without a batch axis: images [height, width, channels] with a label int32 []; rows float32
   * [features] with a label, or with numbers float32 [targets]; windows of code points int32 [context] that follow each
   * other, with the indices of the characters one place further.
   */
  readonly examples: Dataset<Example<NdArray, NdArray>>;
  /** The test part that the source brings along. */
  readonly test?: Dataset<Example<NdArray, NdArray>>;
  /** Of classes; the characters of a text; empty in a regression. */
  readonly classNames: readonly string[];
  readonly featureNames?: readonly string[];
  /** What the network takes, after preprocessing; null for the batch. */
  readonly input: TensorSpec;
  /** How many numbers come out for each example, or each place of a text. */
  readonly outputs: number;
  readonly vocabulary?: Characters;
  /** All code points of a text, int32 [characters]. */
  readonly points?: NdArray<'int32'>;
  /** Within which the raw values lie: [0, 16] of the digits. Of a table what occurs. */
  readonly range: readonly [least: number, greatest: number];
  /** Where a known data set comes from. */
  readonly info?: DatasetInfo;
}

/**
 * The data that a document names, in memory. `files` is its data folder: 'digits' needs none, all others do.
 *
 * Throws `USAGE` without the files, `NOT_FOUND` for one that isn't there, and what reading it throws (`DATA_INVALID`,
 * `SAFETENSORS_INVALID`, `UNKNOWN_NAME` for a column), with the file.
 */
export async function loadDocumentData(data: DataSpec, files?: ArtifactStore): Promise<DocumentData> {
  if (data.source === 'digits') {
    const input: TensorSpec = { dtype: 'float32', shape: [null, 8, 8, 1] };
    return images({ examples: digits(), input, range: [0, 16], ...withInfo(digitsInfo) });
  }
  if (!files) throw noFiles(data.source);
  switch (data.source) {
    case 'cifar10':
      return loadCifar10(files, data.limit);
    case 'csv':
      return loadTable(data, files);
    case 'arrays':
      return loadArrays(data, files);
    default:
      return loadText(data, files);
  }
}

function images(
  parts: Pick<DocumentData, 'examples' | 'test' | 'classNames' | 'input' | 'range' | 'info'>,
): DocumentData {
  return { kind: 'images', task: 'classification', outputs: parts.classNames.length, ...parts };
}

function withInfo(info: DatasetInfo): Pick<DocumentData, 'info' | 'classNames'> {
  return { info, classNames: info.classNames };
}

/** The files that are there, wherever they lie; no more of them than `limit` asks for. */
async function loadCifar10(files: ArtifactStore, limit?: number): Promise<DocumentData> {
  const paths = await files.list();
  const named = (pattern: RegExp): string[] => paths.filter((path) => pattern.test(path));
  const trainPaths = named(/(^|\/)data_batch_\d+\.bin$/);
  if (trainPaths.length === 0) {
    throw new TenonError({
      code: 'NOT_FOUND',
      where: files.location,
      message: "there are no files data_batch_1.bin, data_batch_2.bin, … of CIFAR-10's binary version here",
      hint: 'Give the folder that they were unpacked into: https://www.cs.toronto.edu/~kriz/cifar.html',
    });
  }
  const [testPath] = named(/(^|\/)test_batch\.bin$/);
  const all = await readCifar10(files, trainPaths, limit);
  const test =
    testPath === undefined ? undefined : await readCifar10(files, [testPath], limit && Math.ceil(limit / 5));
  return images({
    examples: all,
    ...(test && { test }),
    input: { dtype: 'float32', shape: [null, 32, 32, 3] },
    range: [0, 255],
    ...withInfo(cifar10Info),
  });
}

async function readCifar10(
  files: ArtifactStore,
  paths: readonly string[],
  limit = Number.POSITIVE_INFINITY,
): Promise<Dataset<Example<NdArray, NdArray>>> {
  const parts: { readonly input: NdArray; readonly target: NdArray }[] = [];
  let count = 0;
  for (const path of paths) {
    if (count >= limit) break;
    const part = parseCifar10(await files.read(path), `${files.location}/${path}`);
    parts.push(part);
    count += part.input.shape[0];
  }
  const pixels = new Uint8Array(count * 32 * 32 * 3);
  const labels = new Int32Array(count);
  let at = 0;
  for (const { input, target } of parts) {
    pixels.set(input.data as Uint8Array, at * 32 * 32 * 3);
    labels.set(target.data as Int32Array, at);
    at += input.shape[0];
  }
  const examples = fromArrays<NdArray, NdArray>({
    input: { dtype: 'uint8', shape: [count, 32, 32, 3], data: pixels },
    target: { dtype: 'int32', shape: [count], data: labels },
  });
  return count > limit ? examples.take(limit) : examples;
}

async function loadTable(
  { file, target, task, features }: Extract<DataSpec, { source: 'csv' }>,
  files: ArtifactStore,
): Promise<DocumentData> {
  const text = await readUtf8(files, file);
  const { examples, featureNames, classNames } = fromCsv(text, { file, target, task, features });
  const { input } = (await examples.batch(examples.length ?? 1).toArray())[0];
  return {
    kind: 'table',
    task,
    examples,
    classNames,
    featureNames,
    input: { dtype: 'float32', shape: [null, featureNames.length] },
    outputs: task === 'regression' ? 1 : classNames.length,
    range: extent(input),
  };
}

async function loadArrays(
  { file, classNames }: Extract<DataSpec, { source: 'arrays' }>,
  files: ArtifactStore,
): Promise<DocumentData> {
  const where = `${files.location}/${file}`;
  const { tensors } = readSafetensors(await files.read(file), where);
  const array = (name: string): NdArray => {
    if (Object.hasOwn(tensors, name)) return tensors[name];
    throw invalid(where, "the arrays 'input' and 'target'", Object.keys(tensors).join(', ') || 'none');
  };
  const input = array('input');
  const target = array('target');
  if (!['uint8', 'float32'].includes(input.dtype) || input.shape.length < 2 || input.shape[0] === 0) {
    throw invalid(`${where}, input`, 'uint8 or float32 [examples, …]', describe(input));
  }
  if (target.dtype !== 'int32' || target.shape.length !== 1 || target.shape[0] !== input.shape[0]) {
    throw invalid(`${where}, target`, `int32 [${input.shape[0]}], a label for each input`, describe(target));
  }
  const wrong = (target.data as Int32Array).findIndex((label) => label < 0 || label >= classNames.length);
  if (wrong >= 0) {
    throw new TenonError({
      code: 'LABEL_OUT_OF_RANGE',
      where: `${where}, target ${wrong}`,
      expected: `a label from 0 to ${classNames.length - 1}, one of the ${classNames.length} class names`,
      got: String(target.data[wrong]),
    });
  }
  return {
    ...images({
      examples: fromArrays<NdArray, NdArray>({ input, target }),
      classNames,
      input: { dtype: 'float32', shape: [null, ...input.shape.slice(1)] },
      range: input.dtype === 'uint8' ? [0, 255] : extent(input),
    }),
    kind: input.shape.length === 4 ? 'images' : 'table',
  };
}

async function loadText(
  { file, context }: Extract<DataSpec, { source: 'text' }>,
  files: ArtifactStore,
): Promise<DocumentData> {
  const text = await readUtf8(files, file);
  if (text === '') throw invalid(file, 'a text', 'an empty file');
  const vocabulary = characters(text);
  const points = codePoints(text);
  try {
    return {
      kind: 'text',
      task: 'text',
      examples: textWindows(points, { vocabulary, context, stride: context }),
      classNames: vocabulary.names,
      input: { dtype: 'int32', shape: [null, context] },
      outputs: vocabulary.names.length,
      vocabulary,
      points,
      range: [0, vocabulary.names.length - 1],
    };
  } catch (error) {
    throw isTenonError(error) ? error.within(file) : error;
  }
}

async function readUtf8(files: ArtifactStore, file: string): Promise<string> {
  const bytes = await files.read(file);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new TenonError({
      code: 'DATA_INVALID',
      where: `${files.location}/${file}`,
      expected: 'UTF-8 text',
      got: 'bytes that are none',
      hint: 'Save the file as UTF-8.',
      cause,
    });
  }
}

function extent({ data }: NdArray): readonly [number, number] {
  let [least, greatest] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < data.length; i++) {
    const value = Number(data[i]);
    if (value < least) least = value;
    if (value > greatest) greatest = value;
  }
  return [least, greatest];
}

function describe({ dtype, shape }: NdArray): string {
  return `${dtype} [${shape.join(', ')}]`;
}

function invalid(where: string, expected: string, got: string): TenonError {
  return new TenonError({ code: 'DATA_INVALID', where, expected, got });
}

function noFiles(source: string): TenonError {
  return new TenonError({
    code: 'USAGE',
    where: `data, source '${source}'`,
    message: 'this data is read from files, and none were given',
    hint: 'Give the folder that holds them: documentExperiment(document, files), or --data FOLDER.',
  });
}
