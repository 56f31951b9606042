import { type NdArray, nearestNames, TenonError, unknownName } from '@tenon-ml/core';
import { initParser } from 'udsv';
import { type ScannedCsv, scanRecords } from './csv_scan.js';
import type { Dataset, Example } from './dataset.js';
import { fromArrays } from './sources.js';

export interface CsvOptions {
  /** The file's name, for messages: 'iris.csv'. 'csv' by default. */
  readonly file?: string;
  /** The character between fields, ',' by default. */
  readonly delimiter?: string;
  /**
   * Whether the first record holds the columns' names (the default); false: they are 'column_1', 'column_2', …; or the
   * names, for a file without a header.
   */
  readonly header?: boolean | readonly string[];
}

/** The cells of a CSV file, as text. */
export interface CsvTable {
  readonly file: string;
  readonly columns: readonly string[];
  /** One array of cells a record, without the header. */
  readonly rows: readonly (readonly string[])[];
  /** The line that each record begins on, from 1. */
  readonly lines: readonly number[];
}

/**
 * The cells of a CSV text (RFC 4180): fields may be quoted, and hold delimiters, line breaks and doubled quotes. Lines
 * end in \n or \r\n, also within quotes, where they are read as \n; a byte-order mark is skipped, and so are blank lines
 * at the end.
 *
 * Nothing is repaired or dropped: a record with another number of fields, a blank line between records, a quote that
 * isn't closed or stands within an unquoted field each throw `DATA_INVALID` with the file and the line:
 * `iris.csv:17: expected 5 fields, got 4.`
 */
export function parseCsv(text: string, options: CsvOptions = {}): CsvTable {
  const { file = 'csv', delimiter = ',', header = true } = options;
  if (delimiter.length !== 1 || /["\r\n]/.test(delimiter)) {
    throw new TenonError({
      code: 'INVALID_ARGUMENT',
      where: 'parseCsv: delimiter',
      expected: "one character such as ',' or '\\t'",
      got: JSON.stringify(delimiter),
    });
  }
  const scanned = scanRecords(text, delimiter, file);
  const { lines, fields } = scanned;
  const records = splitRecords(scanned, delimiter);
  if (header !== true) {
    const columns = header === false ? records[0]?.map((_, i) => `column_${i + 1}`) : [...header];
    if (columns && records[0] && columns.length !== fields) {
      throw invalid(`${file}:${lines[0]}`, `${columns.length} fields, for the names given`, String(fields));
    }
    return { file, columns: checkColumns(columns ?? [], file), rows: records, lines };
  }
  const [columns, ...rows] = records;
  if (!columns) throw invalid(file, 'a header and records', 'an empty text');
  if (columns.every(isNumber)) {
    throw new TenonError({
      code: 'DATA_INVALID',
      where: `${file}:${lines[0]}`,
      expected: "the columns' names",
      got: `numbers (${columns.slice(0, 3).join(delimiter)}${columns.length > 3 ? '…' : ''})`,
      hint: 'For a file without a header pass { header: false }.',
    });
  }
  return { file, columns: checkColumns(columns, `${file}:${lines[0]}`), rows, lines: lines.slice(1) };
}

/** The cells of a well-formed text. */
function splitRecords({ text, starts, lines, fields }: ScannedCsv, delimiter: string): string[][] {
  const enclosure = text.includes('"') ? '"' : '';
  if (fields <= 1) {
    // udsv takes a record of a single field for a blank line where there are quotes.
    return starts.map((start, r) => {
      const cell = text.slice(start, (starts[r + 1] ?? text.length) - 1);
      return [cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell];
    });
  }
  // The schema is given, not inferred: every column is text here.
  const parser = initParser({
    col: delimiter,
    row: '\n',
    encl: enclosure,
    esc: enclosure,
    trim: false,
    cols: Array.from({ length: fields }, (_, i) => ({
      name: String(i),
      type: 's' as const,
      repl: { empty: undefined, null: undefined, NaN: undefined },
    })),
  });
  const records = parser.stringArrs<string[]>(text);
  if (records.length !== lines.length)
    throw new Error(`udsv made ${records.length} records of ${lines.length}`);
  return records;
}

export interface CsvDatasetOptions extends CsvOptions {
  /**
   * The column to predict; several for a regression with several outputs. Without it, the file has inputs only.
   * Columns are given by name, or by number from 0, negative from the end: −1 is the last.
   */
  readonly target?: string | number | readonly (string | number)[];
  /** What the target is: a class (the default) or numbers. */
  readonly task?: 'classification' | 'regression';
  /** The columns of the input, in this order; all but the target by default. */
  readonly features?: readonly (string | number)[];
  /**
   * The classes by index, where they are fixed already (by a trained model): any other label is an error. By default
   * they are the labels that occur, sorted: by value where all are numbers, by code unit otherwise.
   */
  readonly classNames?: readonly string[];
}

/** The examples of a CSV file, and what its columns mean. */
export interface CsvDataset<E = Example> {
  /** `input` is float32 [features]; `target` int32 [], the index of the class, or float32 [targets] in a regression. */
  readonly examples: Dataset<E>;
  readonly featureNames: readonly string[];
  /** The classes by index; empty in a regression and without a target. */
  readonly classNames: readonly string[];
}

/**
 * A dataset from a CSV text of numeric columns and a target.
 *
 * ```ts
 * const { examples, classNames } = fromCsv(text, { file: 'iris.csv', target: 'species' });
 * ```
 *
 * Every cell of a feature must be a finite number that float32 can hold (`5.1`, `-2`, `1e-3`), rounded to nearest; spaces
 * around numbers and labels don't count. Throws `DATA_INVALID` with file, line and column for a cell that isn't one or is
 * empty, `UNKNOWN_NAME` for a column that doesn't exist, `LABEL_OUT_OF_RANGE` for a label that isn't among `classNames`,
 * and what `parseCsv` throws.
 */
export function fromCsv(
  text: string,
  options: CsvDatasetOptions & { readonly target: string | number | readonly (string | number)[] },
): CsvDataset;
export function fromCsv(text: string, options?: CsvDatasetOptions): CsvDataset<{ readonly input: NdArray }>;
export function fromCsv(
  text: string,
  options: CsvDatasetOptions = {},
): CsvDataset<{ readonly input: NdArray }> {
  const { task = 'classification' } = options;
  const table = parseCsv(text, options);
  if (table.rows.length === 0) throw invalid(table.file, 'at least one record', 'none');
  const given = options.target;
  const targets = (given === undefined ? [] : [given].flat()).map((name) => columnIndex(table, name));
  if (task === 'classification' && targets.length > 1) {
    throw new TenonError({
      code: 'INVALID_ARGUMENT',
      where: 'fromCsv: target',
      expected: 'one column for a classification',
      got: `${targets.length} columns`,
      hint: "For numbers pass { task: 'regression' }.",
    });
  }
  const features =
    options.features?.map((name) => columnIndex(table, name)) ??
    table.columns.map((_, i) => i).filter((i) => !targets.includes(i));
  if (features.length === 0) throw invalid(table.file, 'at least one column besides the target', 'none');

  const input = numbers(table, features);
  const featureNames = features.map((i) => table.columns[i]);
  if (targets.length === 0) return { examples: fromArrays({ input }), featureNames, classNames: [] };
  if (task === 'regression') {
    return {
      examples: fromArrays({ input, target: numbers(table, targets) }),
      featureNames,
      classNames: [],
    };
  }
  const { target, classNames } = classes(table, targets[0], options.classNames);
  return { examples: fromArrays({ input, target }), featureNames, classNames };
}

function numbers(table: CsvTable, columns: readonly number[]): NdArray<'float32'> {
  const data = new Float32Array(table.rows.length * columns.length);
  let at = 0;
  for (const [r, row] of table.rows.entries()) {
    for (const column of columns) {
      const cell = row[column].trim();
      if (!isNumber(cell)) {
        throw invalid(
          `${table.file}:${table.lines[r]}, ${table.columns[column]}`,
          'a number',
          cell === '' ? 'an empty cell' : `'${cell.slice(0, 40)}'`,
        );
      }
      data[at] = Number(cell);
      if (!Number.isFinite(data[at])) {
        throw invalid(
          `${table.file}:${table.lines[r]}, ${table.columns[column]}`,
          'a number that float32 holds',
          cell,
        );
      }
      at++;
    }
  }
  return { dtype: 'float32', shape: [table.rows.length, columns.length], data };
}

function classes(
  table: CsvTable,
  column: number,
  known: readonly string[] | undefined,
): { target: NdArray<'int32'>; classNames: readonly string[] } {
  const labels = table.rows.map((row) => row[column].trim());
  const where = (r: number): string => `${table.file}:${table.lines[r]}, ${table.columns[column]}`;
  const empty = labels.indexOf('');
  if (empty >= 0) throw invalid(where(empty), 'a label', 'an empty cell');
  const classNames = known ?? sortedLabels(new Set(labels));
  const indexOf = new Map(classNames.map((name, index) => [name, index]));
  const data = Int32Array.from(labels, (label, r) => {
    const index = indexOf.get(label);
    if (index !== undefined) return index;
    const near = nearestNames(label, classNames);
    throw new TenonError({
      code: 'LABEL_OUT_OF_RANGE',
      where: where(r),
      expected: `one of the ${classNames.length} classes ${classNames.slice(0, 10).join(', ')}${classNames.length > 10 ? ', …' : ''}`,
      got: `'${label.slice(0, 40)}'`,
      hint: near.length > 0 ? `Did you mean '${near[0]}'?` : undefined,
    });
  });
  return { target: { dtype: 'int32', shape: [labels.length], data }, classNames };
}

function sortedLabels(labels: ReadonlySet<string>): string[] {
  const sorted = [...labels].sort();
  return sorted.every(isNumber) ? sorted.sort((a, b) => Number(a) - Number(b)) : sorted;
}

function columnIndex(table: CsvTable, column: string | number): number {
  const { columns, file } = table;
  const index =
    typeof column === 'string' ? columns.indexOf(column) : column < 0 ? columns.length + column : column;
  if (typeof column === 'string' && index < 0) throw unknownName('column', column, columns, file);
  if (Number.isInteger(index) && index >= 0 && index < columns.length) return index;
  throw new TenonError({
    code: 'INVALID_ARGUMENT',
    where: file,
    expected: `a column from 0 to ${columns.length - 1}, or from -${columns.length} to -1`,
    got: String(column),
  });
}

function checkColumns(columns: readonly string[], where: string): string[] {
  const names = columns.map((name) => name.trim());
  for (const [i, name] of names.entries()) {
    if (name === '') throw invalid(where, 'a name for every column', `none for column ${i + 1}`);
    if (names.indexOf(name) !== i)
      throw invalid(where, 'a different name for every column', `'${name}' twice`);
  }
  return names;
}

function isNumber(cell: string): boolean {
  return /^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*$/.test(cell);
}

function invalid(where: string, expected: string, got: string): TenonError {
  return new TenonError({ code: 'DATA_INVALID', where, expected, got });
}
