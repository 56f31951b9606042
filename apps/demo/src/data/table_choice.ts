import type { DataSpec } from '@tenon-ml/experiment';
import type { ColumnLook } from '../import/look.js';

export type TableSpec = Extract<DataSpec, { readonly source: 'csv' }>;
type Column = Pick<ColumnLook, 'name' | 'numeric' | 'distinct'>;

/** Numbers of more values than this are rather a quantity than a class. */
const mostNumericClasses = 20;

/** The columns that go in: those that are named, or all but the target. */
export function featuresOf(data: TableSpec, columns: readonly Column[]): string[] {
  return [...(data.features ?? columns.map(({ name }) => name).filter((name) => name !== data.target))];
}

/**
 * The same table with another column to predict: a class where its values are text or few. The one before becomes a
 * feature where it holds numbers.
 */
export function withTarget(data: TableSpec, columns: readonly Column[], target: string): TableSpec {
  const column = columns.find(({ name }) => name === target);
  if (!column || target === data.target) return data;
  const chosen = new Set([...featuresOf(data, columns), data.target]);
  const others = columns.filter(({ name, numeric }) => numeric && name !== target);
  const features = others.map(({ name }) => name).filter((name) => chosen.has(name));
  return {
    ...data,
    target,
    task: column.numeric && column.distinct > mostNumericClasses ? 'regression' : 'classification',
    features: features.length > 0 ? features : others.map(({ name }) => name),
  };
}

/** With a feature more or less, in the order of the columns; one is left at least. */
export function withFeature(
  data: TableSpec,
  columns: readonly Column[],
  name: string,
  used: boolean,
): TableSpec {
  const now = new Set(featuresOf(data, columns));
  if (used) now.add(name);
  else now.delete(name);
  const features = columns.map((column) => column.name).filter((one) => now.has(one));
  return features.length === 0 ? data : { ...data, features };
}
