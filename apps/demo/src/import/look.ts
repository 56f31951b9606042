import {
  type ArtifactStore,
  type NdArray,
  readSafetensors,
  readText,
  rows,
  TenonError,
} from '@tenon-ml/core';
import { type CsvTable, parseCsv } from '@tenon-ml/data';
import { cifar10Info, parseCifar10 } from '@tenon-ml/data/cifar10';
import { digits, digitsInfo } from '@tenon-ml/data/digits';
import type { DataSpec } from '@tenon-ml/experiment';
import { columnsOf } from './csv.js';
import { type Statistics, statisticsCounter } from './statistics.js';

export interface ClassCount {
  readonly name: string;
  readonly count: number;
}

/** A picture of an example, for a canvas: `new ImageData(rgba, width, height)`. */
export interface Thumbnail {
  readonly width: number;
  readonly height: number;
  readonly rgba: Uint8ClampedArray<ArrayBuffer>;
  /** The class's name. */
  readonly label: string;
}

export interface ArraysLook {
  readonly kind: 'arrays';
  readonly examples: number;
  /** Of one input. */
  readonly shape: readonly number[];
  readonly classes: readonly ClassCount[];
  /** Of each channel (or feature): the last axis of the inputs. */
  readonly statistics: readonly Statistics[];
  /** The first examples of each class in turn; none where inputs are no images. */
  readonly thumbnails: readonly Thumbnail[];
}

export interface ColumnLook {
  readonly name: string;
  readonly numeric: boolean;
  readonly distinct: number;
  /** Of a column of numbers. */
  readonly statistics?: Statistics;
  /** Of another column: its values by how often they occur, at most 20. */
  readonly values?: readonly ClassCount[];
}

export interface TableLook {
  readonly kind: 'table';
  readonly examples: number;
  readonly columns: readonly ColumnLook[];
  /** Of a classification's target: by the order of names. */
  readonly classes: readonly ClassCount[];
  /** The first rows, as text. */
  readonly head: readonly (readonly string[])[];
}

export interface TextLook {
  readonly kind: 'text';
  /** Unicode code points. */
  readonly characters: number;
  readonly lines: number;
  /** Each character once with how often it occurs, the most frequent first. */
  readonly vocabulary: readonly ClassCount[];
  readonly head: string;
}

export type DataLook = ArraysLook | TableLook | TextLook;

export interface LookOptions {
  /** How many pictures, 30 by default. */
  readonly thumbnails?: number;
  /** How many rows of a table, 10 by default. */
  readonly rows?: number;
}

/** Arrays of examples: `input` [examples, …] and `target` int32 [examples]. */
export interface Examples {
  readonly input: NdArray;
  readonly target: NdArray;
}

/** What an experiment's data is like, whatever its source. Throws what reading it throws. */
export async function lookAt(
  data: DataSpec,
  files: ArtifactStore,
  options: LookOptions = {},
): Promise<DataLook> {
  switch (data.source) {
    case 'digits':
      return lookAtArrays(embedded(), digitsInfo.classNames ?? [], { max: 16, ...options });
    case 'cifar10':
      return lookAtArrays(cifar10Parts(files, data.limit), cifar10Info.classNames ?? [], options);
    case 'arrays': {
      const { tensors } = readSafetensors(await files.read(data.file), data.file);
      const { input, target } = tensors;
      if (input && target) return lookAtArrays([{ input, target }], data.classNames, options);
      throw new TenonError({
        code: 'DATA_INVALID',
        where: data.file,
        expected: "the arrays 'input' and 'target'",
        got: Object.keys(tensors).join(', ') || 'none',
      });
    }
    case 'csv': {
      const table = parseCsv(await readText(files, data.file), { file: data.file });
      return lookAtTable(table, data, options);
    }
    case 'text':
      return lookAtText(await readText(files, data.file));
  }
}

async function* embedded(): AsyncGenerator<Examples> {
  yield* digits().batch(2000);
}

/** The records that an experiment reads, a file at a time: all of them together are 180 MB. */
async function* cifar10Parts(files: ArtifactStore, limit?: number): AsyncGenerator<Examples> {
  const paths = await files.list();
  const parts = [
    [/(^|\/)data_batch_\d+\.bin$/, limit],
    [/(^|\/)test_batch\.bin$/, limit && Math.ceil(limit / 5)],
  ] as const;
  for (const [names, most = Number.POSITIVE_INFINITY] of parts) {
    let left = most;
    for (const path of paths.filter((name) => names.test(name))) {
      if (left === 0) break;
      const { input, target } = parseCifar10(await files.read(path), path);
      const count = Math.min(left, target.shape[0]);
      left -= count;
      yield { input: rows(input, 0, count), target: rows(target, 0, count) };
    }
  }
}

/**
 * What arrays of examples are like, in one pass over their parts. Images are inputs [height, width, 1 or 3] with values
 * from 0 to `max` (by default 255 for uint8, 1 for others). Throws `DATA_INVALID` for parts of different inputs, and
 * `LABEL_OUT_OF_RANGE` for a label that has no class.
 */
export async function lookAtArrays(
  parts: Iterable<Examples> | AsyncIterable<Examples>,
  classNames: readonly string[],
  options: LookOptions & { readonly max?: number } = {},
): Promise<ArraysLook> {
  const { thumbnails = 30 } = options;
  const counts = new Array<number>(classNames.length).fill(0);
  const perClass = Math.ceil(thumbnails / Math.max(1, classNames.length));
  const chosen: Thumbnail[][] = classNames.map(() => []);
  let shape: readonly number[] | undefined;
  let counter = statisticsCounter(0);
  let examples = 0;
  for await (const { input, target } of parts) {
    const own = input.shape.slice(1);
    if (shape === undefined) {
      shape = own;
      counter = statisticsCounter(own.at(-1) ?? 1);
    } else if (String(shape) !== String(own)) {
      throw new TenonError({
        code: 'DATA_INVALID',
        where: 'input',
        expected: `inputs of [${shape.join(', ')}] everywhere`,
        got: `[${own.join(', ')}]`,
      });
    }
    counter.add(input);
    for (let i = 0; i < target.data.length; i++) {
      const label = Number(target.data[i]);
      if (!(label in counts)) throw noClass(examples + i, label, classNames.length);
      counts[label]++;
      if (isImage(own) && chosen[label].length < perClass) {
        chosen[label].push({ ...thumbnail(input, i, options.max), label: classNames[label] });
      }
    }
    examples += target.data.length;
  }
  const inTurn = Array.from({ length: perClass }, (_, i) =>
    chosen.flatMap((own) => own.slice(i, i + 1)),
  ).flat();
  return {
    kind: 'arrays',
    examples,
    shape: shape ?? [],
    classes: classNames.map((name, i) => ({ name, count: counts[i] })),
    statistics: counter.compute(),
    thumbnails: inTurn.slice(0, thumbnails),
  };
}

function isImage(shape: readonly number[]): boolean {
  return shape.length === 3 && (shape[2] === 1 || shape[2] === 3);
}

/** One of the images [examples, height, width, 1 or 3] with values from 0 to `max`, as a canvas takes it. */
export function thumbnail(
  { shape, data, dtype }: NdArray,
  index: number,
  max = dtype === 'uint8' ? 255 : 1,
): Omit<Thumbnail, 'label'> {
  const [, height, width, channels] = shape;
  const rgba = new Uint8ClampedArray(height * width * 4);
  const from = index * height * width * channels;
  const scale = 255 / max;
  for (let pixel = 0; pixel < height * width; pixel++) {
    for (let c = 0; c < 3; c++) {
      // Clamped and rounded by the array.
      rgba[4 * pixel + c] = scale * Number(data[from + pixel * channels + (channels === 3 ? c : 0)]);
    }
    rgba[4 * pixel + 3] = 255;
  }
  return { width, height, rgba };
}

/** What a table is like; its columns are those of the file, the target too. */
export function lookAtTable(
  table: CsvTable,
  { target, task }: { readonly target: string; readonly task: 'classification' | 'regression' },
  { rows = 10 }: LookOptions = {},
): TableLook {
  const columns = columnsOf(table).map((column, c): ColumnLook => {
    if (!column.numeric) return { ...column, values: frequencies(table, c).slice(0, 20) };
    const counter = statisticsCounter(1);
    const data = Float64Array.from(table.rows, (row) => Number(row[c]));
    counter.add({ dtype: 'float64', shape: [data.length, 1], data });
    return { ...column, statistics: counter.compute()[0] };
  });
  const at = table.columns.indexOf(target);
  const classes = task === 'classification' && at >= 0 ? frequencies(table, at) : [];
  const numeric = classes.every(({ name }) => Number.isFinite(Number(name)));
  return {
    kind: 'table',
    examples: table.rows.length,
    columns,
    classes: classes.sort((a, b) => (numeric ? Number(a.name) - Number(b.name) : a.name < b.name ? -1 : 1)),
    head: table.rows.slice(0, rows),
  };
}

function frequencies({ rows }: CsvTable, column: number): ClassCount[] {
  const counts = new Map<string, number>();
  for (const row of rows) {
    const cell = row[column].trim();
    counts.set(cell, (counts.get(cell) ?? 0) + 1);
  }
  return byCount(counts);
}

function byCount(counts: ReadonlyMap<string, number>): ClassCount[] {
  return [...counts]
    .map(([name, count]) => ({ name, count }))
    .sort((a, b) => b.count - a.count || (a.name < b.name ? -1 : 1));
}

/** How much of a text is shown. */
const headCharacters = 2000;

/** What a text is like. */
export function lookAtText(text: string): TextLook {
  const counts = new Map<number, number>();
  let characters = 0;
  for (let i = 0; i < text.length; i++) {
    const point = text.codePointAt(i) as number;
    if (point > 0xffff) i++;
    characters++;
    counts.set(point, (counts.get(point) ?? 0) + 1);
  }
  const breaks = counts.get(10) ?? 0;
  return {
    kind: 'text',
    characters,
    lines: text === '' ? 0 : breaks + (text.endsWith('\n') ? 0 : 1),
    vocabulary: byCount(new Map([...counts].map(([point, count]) => [String.fromCodePoint(point), count]))),
    head: [...text.slice(0, 2 * headCharacters)].slice(0, headCharacters).join(''),
  };
}

function noClass(example: number, label: number, classes: number): TenonError {
  return new TenonError({
    code: 'LABEL_OUT_OF_RANGE',
    where: `example ${example}`,
    expected: `a class from 0 to ${classes - 1}`,
    got: String(label),
  });
}
