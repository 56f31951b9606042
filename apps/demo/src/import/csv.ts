import { type ArtifactStore, TenonError } from '@tenon-ml/core';
import { type CsvTable, parseCsv } from '@tenon-ml/data';
import type { DataSpec } from '@tenon-ml/experiment';
import { pathOf, readUtf8 } from './dropped_files.js';
import type { ImportNote } from './import_files.js';

/** What is in a column of a table. */
export interface TableColumn {
  readonly name: string;
  /** Whether every cell is a finite number. */
  readonly numeric: boolean;
  readonly distinct: number;
}

export type TableColumns = readonly TableColumn[];

/** Many more classes than this are rather numbers, names or times. */
const mostClasses = 100;

/** Reads a CSV, and writes it as `data.csv` with commas; the spec has a guess at target, task and features. */
export async function importCsv(
  file: File,
  store: ArtifactStore,
): Promise<{ data: DataSpec; examples: number; columns: TableColumns; notes: ImportNote[] }> {
  const path = pathOf(file);
  const text = await readUtf8(file, 'csv');
  const delimiter = guessDelimiter(text);
  const parsed = parseCsv(text, { file: path, delimiter });
  if (parsed.rows.length === 0 || parsed.columns.length < 2) {
    throw new TenonError({
      code: 'DATA_INVALID',
      where: path,
      expected: 'records of at least two columns: an input and a target',
      got: `${parsed.rows.length} records, columns ${parsed.columns.join(', ')}`,
    });
  }
  const notes: ImportNote[] = [];
  const { table, changed } = delimiter === ',' ? { table: parsed, changed: [] } : decimalPoints(parsed);
  if (delimiter !== ',') notes.push({ code: 'DELIMITER', delimiter });
  if (changed.length > 0) notes.push({ code: 'DECIMAL_COMMAS', columns: changed });
  const columns = columnsOf(table);
  const data = guessCsv(columns, path);
  await store.write('data.csv', new TextEncoder().encode(delimiter === ',' ? text : formatCsv(table)));
  return { data, examples: table.rows.length, columns, notes };
}

/** ',', ';' or a tab: the one that the first record has most of, outside quotes. */
export function guessDelimiter(text: string): string {
  const counts = new Map([
    [',', 0],
    [';', 0],
    ['\t', 0],
  ]);
  let quoted = false;
  for (const character of text.slice(0, 1_000_000)) {
    if (character === '"') quoted = !quoted;
    else if (!quoted && character === '\n') break;
    else if (!quoted && counts.has(character)) counts.set(character, (counts.get(character) as number) + 1);
  }
  return [...counts].reduce((best, next) => (next[1] > best[1] ? next : best))[0];
}

/** What is in each column. */
export function columnsOf({ columns, rows }: Pick<CsvTable, 'columns' | 'rows'>): TableColumns {
  return columns.map((name, c) => {
    const cells = new Set<string>();
    let numeric = true;
    for (const row of rows) {
      const cell = row[c].trim();
      cells.add(cell);
      numeric &&= isNumber(cell);
    }
    return { name, numeric, distinct: cells.size };
  });
}

/**
 * The target is the last column that isn't numeric and has a class's few values; the last column where there is none, as
 * classes if its values are few and whole. Features are the other numeric columns. Throws `DATA_INVALID` where none is left.
 */
export function guessCsv(columns: TableColumns, where: string): DataSpec & { source: 'csv' } {
  const labels = columns.filter(
    ({ numeric, distinct }) => !numeric && distinct >= 2 && distinct <= mostClasses,
  );
  const target = labels.at(-1) ?? columns[columns.length - 1];
  const classes = !target.numeric || target.distinct <= 20;
  const numeric = columns.filter((column) => column !== target && column.numeric).map(({ name }) => name);
  if (numeric.length === 0) {
    throw new TenonError({
      code: 'DATA_INVALID',
      where,
      expected: 'at least one column of numbers besides the target',
      got: columns
        .map(({ name }) => name)
        .slice(0, 10)
        .join(', '),
      hint: 'Empty cells count as text: fill them in, or leave their rows out.',
    });
  }
  return {
    source: 'csv',
    file: 'data.csv',
    target: target.name,
    task: classes ? 'classification' : 'regression',
    ...(numeric.length === columns.length - 1 ? {} : { features: numeric }),
  };
}

/** A number as `fromCsv` takes it: decimal, finite in float32. */
export function isNumber(cell: string): boolean {
  return (
    /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(cell) && Number.isFinite(Math.fround(Number(cell)))
  );
}

/** Columns whose cells are all numbers once commas are read as points, as in files with ';' between fields. */
function decimalPoints(table: CsvTable): { table: CsvTable; changed: string[] } {
  const comma = /^\s*[+-]?\d+,\d+\s*$/;
  const decimal = table.columns.map(
    (_, c) =>
      table.rows.some((row) => comma.test(row[c])) &&
      table.rows.every((row) => comma.test(row[c]) || /^\s*[+-]?\d+\s*$/.test(row[c])),
  );
  const rows = table.rows.map((row) => row.map((cell, c) => (decimal[c] ? cell.replace(',', '.') : cell)));
  return { table: { ...table, rows }, changed: table.columns.filter((_, c) => decimal[c]) };
}

/** A table as CSV, with commas and \n, quoted where it must be. */
export function formatCsv({ columns, rows }: Pick<CsvTable, 'columns' | 'rows'>): string {
  const field = (cell: string): string => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
  return [columns, ...rows].map((row) => `${row.map(field).join(',')}\n`).join('');
}
