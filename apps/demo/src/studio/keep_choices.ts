import type { DataSpec } from '@tenon-ml/experiment';

/**
 * What was imported, with the choices that were made for such data before, where they still make sense: the context of a
 * text, the limit of CIFAR-10, the target and the features of a table with the same columns.
 */
export function keepChoices(before: DataSpec, imported: DataSpec, columns: readonly string[]): DataSpec {
  if (before.source === 'text' && imported.source === 'text') return { ...before, file: imported.file };
  if (before.source === 'cifar10' && imported.source === 'cifar10') return before;
  if (before.source === 'csv' && imported.source === 'csv') {
    const named = [before.target, ...(before.features ?? [])];
    if (named.every((name) => columns.includes(name))) return { ...before, file: imported.file };
  }
  return imported;
}
